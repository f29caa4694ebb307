"""Security mail over a suppression: for one who only unsubscribed, with the right to it, and never without a trace."""

import pytest

from sendarix.accounts import keys
from sendarix.accounts.models import AuditEntry
from tests import world
from tests.world import drain, message, post, send, status, story

OVERRIDE = {"priority": "critical", "override_suppression": True}


@pytest.fixture
def guard(acme):
    """The key of Acme's sign-in service."""
    return acme.key(scopes=keys.SCOPES)


def test_a_code_reaches_one_who_has_unsubscribed(acme, guard, sink):
    world.suppress(acme, "kim@hanbit.example", "user_unsubscribed")
    answer = post(guard, **OVERRIDE)
    assert (answer.status, "warnings" in answer.json) == (202, False)
    drain()
    message_id = answer.json["message_id"]
    assert story(guard, message_id) == ["queued", "accepted", "delivered"]
    assert message(guard, message_id)["events"][1]["data"]["overrides"] == "user_unsubscribed"


def test_it_is_in_the_audit_log_once_however_often_it_is_tried(acme, guard, sink):
    world.suppress(acme, "kim@hanbit.example", "user_unsubscribed")
    sink.script["rcpt"] = ["450 4.2.1 later"]
    message_id = send(guard, **OVERRIDE)
    drain()
    world.bring_due()
    drain()
    (entry,) = AuditEntry.objects.filter(action="suppression.overridden")
    assert (entry.account_id, entry.subject) == (acme.account.id, "kim@hanbit.example")
    assert entry.after == {"message_id": message_id, "reason": "user_unsubscribed"}


def test_the_audit_log_names_the_key_and_the_request_that_asked_for_it(acme, guard, sink):
    world.suppress(acme, "kim@hanbit.example", "user_unsubscribed")
    key_id = acme.account.api_keys.latest("created_at").pk
    answer = post(guard, **OVERRIDE)
    drain()
    (entry,) = guard.get("/v1/audit-log", {"action": "suppression.overridden"}).json["data"]
    assert (entry["actor"], entry["request_id"]) == (key_id, answer.headers["X-Request-Id"])


@pytest.mark.parametrize("reason", ["hard_bounce", "spam_complaint", "manual"])
def test_nothing_else_is_overridden(acme, guard, sink, reason):
    world.suppress(acme, "kim@hanbit.example", reason)
    answer = post(guard, **OVERRIDE)
    assert [warning["code"] for warning in answer.json["warnings"]] == ["suppressed_recipient"]
    drain()
    assert (status(guard, answer.json["message_id"]), sink.dots) == ("suppressed", 0)


def test_only_critical_mail_may(guard):
    assert post(guard, override_suppression=True).faults == {"override_suppression": "conflict"}


def test_only_a_key_with_the_scope_may(acme):
    answer = post(acme.key(scopes=keys.ORDINARY), **OVERRIDE)
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert "suppressions:override" in answer.json["error"]["message"]
