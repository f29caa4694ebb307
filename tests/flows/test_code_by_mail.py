"""A shop lets its customers sign in with a code sent by mail: the whole story, from the first call to the last retry."""

import email
import email.policy

from tests import world
from tests.world import drain, message, story


def sign_in(shop, customer: str, code: str, attempt: str):
    """What the shop's server calls when somebody wants in."""
    return shop.post(
        "/v1/messages",
        {
            "recipient": customer,
            "template": "otp-code",
            "template_data": {"code": code, "expires_in": "5 minutes"},
            "priority": "critical",
            "ttl_seconds": 300,
            "sensitive": ["code"],
            "tags": ["sign-in"],
            "metadata": {"attempt": attempt},
        },
        {"Idempotency-Key": attempt},
    )


def test_a_code_is_asked_for_sent_greylisted_sent_again_and_read(acme, sink):
    acme.template()
    shop = acme.live
    sink.script["rcpt"] = ["450 4.7.1 greylisted, come back in a moment"]

    answer = sign_in(shop, "Kim <kim@hanbit.example>", "847291", "attempt-1")
    assert (answer.status, answer.json["status"]) == (202, "queued")
    message_id = answer.json["message_id"]

    # The shop's server timed out and asks again: the same answer, no second mail.
    again = sign_in(shop, "Kim <kim@hanbit.example>", "847291", "attempt-1")
    assert (again.json, again.headers["Idempotent-Replayed"]) == (answer.json, "true")

    # Kim's provider greylists the first try. The message waits, and says for what.
    drain()
    shown = message(shop, message_id)
    assert (shown["status"], shown["reason"], shown["waiting"]["for"]) == ("deferred", "greylisted", "retry")

    # Half a minute later it is tried again, and taken.
    world.bring_due()
    drain()
    assert story(shop, message_id) == ["queued", "accepted", "deferred", "delivered"]

    # One mail, with the code in it, from the shop's own address.
    (taken,) = sink.accepted
    mail = email.message_from_bytes(taken.content, policy=email.policy.default)
    assert mail["From"] == "Acme <hello@acme.example>"
    assert mail["To"] == "Kim <kim@hanbit.example>"
    assert mail["Subject"] == "Your verification code is 847291"
    bodies = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
    assert ["847291" in body for body in bodies] == [True, True]

    # Support looks the message up, and sees everything but the code.
    found = shop.get("/v1/messages", {"tag": "sign-in", "metadata[attempt]": "attempt-1", "status": "delivered"})
    assert [one["message_id"] for one in found.json["data"]] == [message_id]
    assert "847291" not in found.body.decode()

    # The shop's books follow the feed, which tells the same story.
    feed = shop.get("/v1/events").json["data"]
    assert feed == message(shop, message_id)["events"]


def test_a_code_that_comes_too_late_is_not_sent_and_a_typo_is_told_at_once(acme, sink):
    acme.template()
    late = sign_in(acme.live, "kim@hanbit.example", "1", "attempt-2").json["message_id"]
    world.sql("UPDATE messages SET expires_at = clock_timestamp()")
    drain()
    assert (message(acme.live, late)["status"], sink.dots) == ("expired", 0)
    assert sign_in(acme.live, "kim@hanbit", "1", "attempt-3").faults == {"recipient": "invalid_value"}


def test_a_shop_tries_all_of_this_with_its_test_key_first(acme, sink):
    acme.template()
    message_id = sign_in(acme.test, "deferred-twice@sandbox.sendarix.test", "847291", "attempt-4").json["message_id"]
    for _ in range(3):
        drain()
        world.bring_due()
    assert story(acme.test, message_id) == ["queued", "accepted", "deferred", "deferred", "delivered"]
    assert sink.sessions == []
