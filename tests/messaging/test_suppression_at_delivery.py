"""Suppressions: whatever was known at acceptance, what is listed when the message is due decides."""

import pytest

from tests import world
from tests.world import attempts, drain, message, send, status, story


def test_a_recipient_suppressed_after_acceptance_is_not_mailed(acme, sink):
    message_id = send(acme.live)
    world.suppress(acme, "kim@hanbit.example", "user_unsubscribed")
    assert (drain(), sink.dots) == (0, 0)
    shown = message(acme.live, message_id)
    assert (shown["status"], shown["reason"]) == ("suppressed", "user_unsubscribed")
    assert shown["events"][-1]["data"]["reason"] == "user_unsubscribed"
    assert attempts(acme.live, message_id) == []


@pytest.mark.parametrize("recipient", ["KIM@한빛.Example", "Kim <kim@한빛.example>", "kim@{puny}"])
def test_any_spelling_of_the_address_is_the_same(acme, sink, recipient):
    world.suppress(acme, "kim@한빛.example", "manual")
    message_id = send(acme.live, recipient=recipient.format(puny="한빛.example".encode("idna").decode()))
    drain()
    assert status(acme.live, message_id) == "suppressed"


def test_a_retry_looks_again(acme, sink):
    sink.script["rcpt"] = ["450 4.2.1 later"]
    message_id = send(acme.live)
    drain()
    world.suppress(acme, "kim@hanbit.example", "manual")
    world.bring_due()
    drain()
    assert story(acme.live, message_id) == ["queued", "accepted", "deferred", "suppressed"]


def test_lists_belong_to_one_account_and_environment(acme, globex, sink):
    world.suppress(acme, "kim@hanbit.example", "manual", livemode=False)
    world.suppress(globex, "kim@hanbit.example", "manual")
    message_id = send(acme.live)
    drain()
    assert status(acme.live, message_id) == "delivered"


@pytest.mark.parametrize("reply", ["550 5.1.1 no such user", "550 5.2.1 mailbox disabled"])
def test_a_dead_mailbox_is_suppressed_with_its_cause(acme, sink, reply):
    sink.script["rcpt"] = reply
    first, second = (
        send(acme.live),
        send(acme.live, recipient="KIM@hanbit.example", scheduled_time=world.from_now(hours=1)),
    )
    drain()
    assert world.sql("SELECT recipient_key, reason, message_id, livemode FROM suppressions") == [
        ("kim@hanbit.example", "hard_bounce", first, True)
    ]
    sink.script.clear()
    world.bring_due()
    drain()
    assert (status(acme.live, first), status(acme.live, second)) == ("bounced", "suppressed")


@pytest.mark.parametrize("reply", ["550 5.7.1 not like this", "552 5.2.2 mailbox full", "554 5.6.0 bad content"])
def test_any_other_refusal_suppresses_nobody(acme, sink, reply):
    sink.script["rcpt"] = reply
    message_id = send(acme.live)
    drain()
    assert status(acme.live, message_id) in ("bounced", "deferred")
    assert world.sql("SELECT count(*) FROM suppressions") == [(0,)]


def test_two_messages_to_a_dead_mailbox_at_once_are_one_suppression(acme, sink):
    sink.script["rcpt"] = "550 5.1.1 no such user"
    ids = [send(acme.live) for _ in range(5)]
    drain()
    assert {status(acme.live, message_id) for message_id in ids} == {"bounced"}
    assert world.sql("SELECT count(*) FROM suppressions") == [(1,)]
