"""The settings page."""

from datetime import timedelta

import pytest

from sendarix.accounts import audit
from tests import builders
from tests.api_client import Api

FIELDS = {
    "name": "Acme Ltd", "default_sender": "Acme <hi@acme.example>", "timezone": "Asia/Seoul", "redact_after": "36h",
    "keep_bodies": "20", "keep_messages": "60", "keep_requests": "7",
}  # fmt: skip


def test_settings_are_changed_with_an_entry_of_what_differs(owner, acme):
    assert "The settings are saved." in owner.sent("settings", FIELDS)
    acme.refresh_from_db()
    assert (acme.name, acme.timezone, acme.redact_after) == ("Acme Ltd", "Asia/Seoul", timedelta(hours=36))
    entry = audit.entries(acme.pk).get(action="account.updated")
    assert entry.actor == f"user:{owner.user.email}"
    assert entry.after == {
        "name": "Acme Ltd", "default_sender": "Acme <hi@acme.example>", "redact_after": 129_600, "timezone": "Asia/Seoul",
        "keep_bodies": 20, "keep_messages": 60,
    }  # fmt: skip
    assert 'value="36h"' in owner.page("settings")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timezone", "Mars/Olympus"),
        ("timezone", "../../etc/passwd"),
        ("default_sender", "nobody"),
        ("redact_after", "soon"),
        ("redact_after", "99999d"),
        ("name", " "),
        ("keep_bodies", "61"),
        ("keep_requests", "0"),
    ],
)
def test_faults_stand_at_their_fields(owner, acme, field, value):
    answer = owner.post("settings", {**FIELDS, field: value})
    assert answer.status_code == 422
    assert f'id="id_{field}-errors"' in answer.content.decode()
    acme.refresh_from_db()
    assert acme.name == "Acme"


def test_limits_and_their_use_are_shown_and_not_theirs_to_change(owner, acme):
    assert Api(builders.api_key(acme)).get("/v1/audit-log").status == 200
    owner.sent("settings", {**FIELDS, "plan": "enterprise", "rate_limit": "9", "sender_policy": "registered"})
    acme.refresh_from_db()
    assert (acme.plan, acme.rate_limit) == ("standard", 1_000_000)
    page = owner.page("settings")
    assert "1,000,000" in page
    assert 'value="1" aria-label="Requests of this minute"' in page
