"""The request log on pages."""

from datetime import UTC, datetime

import pytest

from sendarix.accounts import request_log
from sendarix.accounts.models import Role
from sendarix.accounts.request_log import Entry, Made
from sendarix.core import ids
from tests import builders

HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def note(acme):
    """Write a request of Acme's down; returns its id."""

    def noted(of=acme, **changes) -> str:
        plain = {
            "id": ids.new("req"), "at": datetime.now(UTC), "account_id": of.pk, "livemode": True, "key_id": "key_1",
            "method": "POST", "route": "v1/messages", "path": "/v1/messages", "status": 202, "code": None, "faults": (),
            "duration_ms": 12.5, "source": "192.0.2.7",
        }  # fmt: skip
        entry = Entry(**plain | changes)
        request_log.write([entry])
        return entry.id

    return noted


def test_requests_are_listed_and_narrowed(member, note):
    kim = member(Role.SUPPORT)
    fine, refused = note(), note(route="v1/routes", path="/v1/routes", status=422, code="validation_failed")
    page = kim.page("requests")
    assert fine in page
    assert refused in page
    assert fine not in kim.page("requests", status="4")
    assert refused not in kim.get("requests?path=/v1/messages").content.decode()
    assert refused not in kim.page("requests", request_id=fine)
    assert "Nothing matches" in kim.page("requests", until="2020-01-01T00:00")
    assert kim.get("requests", status="many").status_code == 422
    assert kim.get("requests", cursor="nonsense").status_code == 404


def test_one_shows_its_faults_and_what_they_mean(owner, note):
    wrong = note(status=422, code="validation_failed", faults=((HOSTILE, "required"),), path="/v1/" + HOSTILE)
    page = owner.page(f"requests/{wrong}")
    assert "The field is missing." in page
    assert "Correct every field listed in errors." in page
    assert "<script>alert" not in page


def test_one_links_what_it_made_and_who_got_the_same_answer(owner, note):
    first = note(made=Made("msg_1", 3))
    again = note(made=Made("msg_1", 3, replayed=True))
    page = owner.page(f"requests/{first}")
    assert "3 messages" in page
    assert "/messages/msg_1" in page
    assert again in page


def test_keys_are_named_as_people_know_them(owner, acme, note):
    builders.api_key(acme, name="Shop server")
    note(key_id=acme.api_keys.get().id)
    assert "Shop server" in owner.page("requests")


def test_other_accounts_and_environments_have_theirs(owner, member, globex, note):
    foreign, mine = note(of=globex), note()
    assert foreign not in owner.page("requests")
    assert owner.get(f"requests/{foreign}").status_code == 404
    assert member(Role.ADMIN, "test").get(f"requests/{mine}").status_code == 404
