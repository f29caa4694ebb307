"""Sensitive values: masked wherever they are shown, and forgotten once the account's time is over."""

from datetime import UTC, datetime, timedelta

import pytest

from messaging import redaction
from messaging.models import CapturedMail, MessageContent
from tests.world import MAIL, drain, from_now, message, send, sql, status

CODE = {
    "template": "otp-code",
    "template_data": {"code": "847291", "expires_in": "5 minutes"},
    "sensitive": ["code"],
    "subject": None,
    "text": None,
}


@pytest.fixture
def code(acme, sink) -> str:
    """A delivered mail with a code."""
    acme.template()
    message_id = send(acme.live, **CODE)
    drain()
    return message_id


def stored(message_id: str) -> MessageContent:
    return MessageContent.objects.get(message_id=message_id)


def a_day_later() -> datetime:
    return datetime.now(UTC) + timedelta(hours=24, seconds=5)


def test_a_body_is_masked_when_its_time_is_over(acme, code):
    assert redaction.redact(datetime.now(UTC)) == 0
    assert "847291" in stored(code).html
    assert redaction.redact(a_day_later()) == 1
    kept = stored(code)
    assert "847291" not in f"{kept.html}{kept.text}{kept.subject}{kept.secrets}"
    assert "•••" in kept.html
    assert "•••" in kept.text
    assert kept.redacted_at is not None
    assert redaction.redact(a_day_later()) == 0


def test_an_account_says_how_long(acme, code):
    acme.account.redact_after = timedelta(0)
    acme.account.save()
    assert redaction.redact(datetime.now(UTC) + timedelta(seconds=1)) == 1


def test_what_is_not_sensitive_and_what_still_waits_is_left_alone(acme, sink):
    acme.template()
    plain = send(acme.live, subject="The code is 847291", text="847291")
    drain()
    waiting = send(acme.live, **CODE, scheduled_time=from_now(hours=1))
    assert redaction.redact(a_day_later()) == 0
    assert all("847291" in stored(message_id).text for message_id in (plain, waiting))


def test_the_captured_copy_goes_with_it(acme, take_route):
    take_route("inbox:")
    acme.template()
    send(acme.live, **CODE)
    drain()
    assert CapturedMail.objects.count() == 1
    redaction.redact(a_day_later())
    assert CapturedMail.objects.count() == 0


def test_a_dead_letter_without_its_code_is_not_sent_again(acme, sink):
    acme.template()
    sink.script["rcpt"] = ["550 5.7.1 no"]
    message_id = send(acme.live, **CODE)
    drain()
    redaction.redact(a_day_later())
    answer = acme.live.post(f"/v1/messages/{message_id}/retry")
    assert (answer.status, answer.code) == (409, "conflict")
    redriven = acme.live.post("/v1/dead-letters/redrive", {"ids": [message_id]}).json["redriven"]
    assert (redriven, status(acme.live, message_id)) == ([], "bounced")


def test_a_preview_is_masked(acme):
    acme.template()
    body = {name: value for name, value in (MAIL | CODE).items() if value is not None}
    shown = acme.live.post("/v1/messages/validate", body).json
    assert "847291" not in f"{shown['subject']}{shown['html']}{shown['text']}"
    assert "•••" in shown["text"]


def test_nothing_the_api_shows_has_it(acme, code):
    found = [acme.live.get(path).body.decode() for path in ("/v1/messages", f"/v1/messages/{code}", "/v1/events")]
    assert not any("847291" in body for body in found)
    assert message(acme.live, code)["subject"] == "Your verification code is •••"
    assert sql("SELECT count(*) FROM events WHERE data::text LIKE '%%847291%%'") == [(0,)]
