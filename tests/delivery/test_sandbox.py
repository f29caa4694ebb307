"""Test keys (contract section 9): the address chooses the outcome, the rest is captured, and no socket is ever opened."""

import time

import pytest

from messaging.models import CapturedMail
from tests import world
from tests.world import attempts, drain, message, send, status, story


def to(mailbox: str) -> str:
    return f"{mailbox}@sandbox.sendarix.test"


def ended(api, mailbox: str) -> str:
    """A message to this mailbox, driven to its end."""
    message_id = send(api, recipient=to(mailbox))
    for _ in range(7):
        drain()
        world.bring_due()
    return message_id


@pytest.mark.parametrize(
    ("mailbox", "events"),
    [
        ("delivered", ["delivered"]),
        ("Delivered", ["delivered"]),
        ("bounced", ["bounced"]),
        ("deferred-twice", ["deferred", "deferred", "delivered"]),
        ("deferred-forever", [*["deferred"] * 5, "bounced"]),
        ("complained", ["delivered", "complained"]),
        ("unsubscribed", ["delivered", "unsubscribed"]),
        ("anybody", ["delivered"]),
    ],
)
def test_the_mailbox_chooses_what_becomes_of_the_message(acme, sink, mailbox, events):
    message_id = ended(acme.test, mailbox)
    assert story(acme.test, message_id) == ["queued", "accepted", *events]
    assert message(acme.test, message_id)["livemode"] is False
    assert sink.sessions == []


def test_a_bounce_of_the_sandbox_suppresses_nobody(acme, sink):
    ended(acme.test, "bounced")
    assert status(acme.test, ended(acme.test, "bounced")) == "bounced"
    assert world.sql("SELECT count(*) FROM suppressions") == [(0,)]


def test_slow_takes_its_time(acme, monkeypatch):
    monkeypatch.setattr("messaging.delivery.transports.SLOW", 0.3)
    message_id = send(acme.test, recipient=to("slow"))
    started = time.monotonic()
    drain()
    assert time.monotonic() - started >= 0.3
    assert attempts(acme.test, message_id)[0]["duration_ms"] >= 300


def test_any_other_address_is_captured(acme, sink):
    message_id = send(acme.test)
    drain()
    assert status(acme.test, message_id) == "delivered"
    captured = CapturedMail.objects.get()
    assert (captured.message_id, captured.recipient, captured.livemode) == (message_id, "kim@hanbit.example", False)
    assert sink.sessions == []


def test_the_mailboxes_are_nothing_special_to_a_live_key(acme, sink):
    message_id = send(acme.live, recipient=to("bounced"))
    drain()
    assert (status(acme.live, message_id), sink.dots) == ("delivered", 1)


def test_retries_run_on_a_compressed_clock(acme):
    send(acme.test, recipient=to("deferred-forever"))
    drain()
    ((wait,),) = world.sql("SELECT extract(epoch FROM due_at - (SELECT max(at) FROM events))::float FROM messages")
    assert wait < 10


def test_a_suppressed_recipient_is_suppressed_here_too(acme):
    world.suppress(acme, "kim@hanbit.example", "manual", livemode=False)
    message_id = send(acme.test)
    drain()
    assert status(acme.test, message_id) == "suppressed"
