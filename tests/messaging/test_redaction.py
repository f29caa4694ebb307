"""Sensitive values: masked wherever they are shown, and forgotten once the account's time is over."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.db import Error

from messaging import content, redaction, templating
from messaging.models import CapturedMail, MessageContent
from messaging.templating import Source
from tests import world
from tests.world import MAIL, drain, from_now, message, post, send, sql, status

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


def test_a_file_that_can_not_be_deleted_keeps_its_message_and_no_other(acme, take_route, settings):
    take_route("inbox:")
    acme.template()
    kept, gone = (send(acme.live, **CODE) for _ in range(2))
    drain()
    path = CapturedMail.objects.get(message_id=kept).path
    whole = Path(storages[content.ALIAS].path(path))
    whole.unlink()
    (whole / "in the way").mkdir(parents=True)
    assert redaction.redact(a_day_later()) == 1
    assert "847291" in stored(kept).text
    assert list(CapturedMail.objects.values_list("message_id", flat=True)) == [kept]
    (whole / "in the way").rmdir()
    assert redaction.redact(a_day_later()) == 1
    assert "847291" not in f"{stored(kept).text}{stored(gone).text}"
    assert not whole.exists()


def test_a_captured_file_goes_before_its_row(acme, take_route):
    take_route("inbox:")
    acme.template()
    send(acme.live, **CODE)
    drain()
    path = CapturedMail.objects.get().path
    world.sql("ALTER TABLE message_contents ADD CONSTRAINT away CHECK (redacted_at IS NULL)")
    try:
        with pytest.raises(Error):
            redaction.redact(a_day_later())
    finally:
        world.sql("ALTER TABLE message_contents DROP CONSTRAINT away")
    assert not Path(storages[content.ALIAS].path(path)).exists()
    assert CapturedMail.objects.count() == 1
    assert redaction.redact(a_day_later()) == 1
    assert CapturedMail.objects.count() == 0


def test_of_several_who_redact_at_once_one_counts_each_message(acme, code):
    assert sum(world.together([lambda: redaction.redact(a_day_later())] * 4)) == 1
    assert "847291" not in stored(code).text


SPELLINGS = {
    "html": "it&#39;s &#34;x&#34;", "other": "it&#x27;s &quot;x&quot;", "upper": "IT'S \"X\"", "capitals": "It's \"x\"",
    "upper html": "IT&#39;S &#34;X&#34;", "raw": "it's \"x\"",
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_value_is_masked_however_it_was_escaped_or_its_case_changed(spelling):
    assert templating.mask(f"<b>{SPELLINGS[spelling]}</b>", ['it\'s "x"']) == "<b>•••</b>"


def test_what_a_template_printed_is_masked_in_what_it_printed(acme, sink):
    html = "<p>{{ code }} {{ code | upcase }} {{ code | capitalize }} {{ code | escape }}</p>"
    acme.template(Source("quoted", 1, "s", html, html), key="quoted")
    value = 'it\'s "x"'
    message_id = send(acme.live, **CODE | {"template": "quoted", "template_data": {"code": value}})
    drain()
    redaction.redact(a_day_later())
    assert stored(message_id).html == "<p>••• ••• ••• •••</p>"
    assert stored(message_id).text == "<p>••• ••• ••• •••</p>"


@pytest.mark.parametrize(
    ("text", "values", "masked"),
    [
        ("a b ab a-b", ["a"], "••• b ab •••-b"),
        ("1234 12 123 112", ["12", "1234"], "••• ••• 123 112"),
        ("xabcdy", ["abc", "bcd"], "x•••y"),
        ("abcx abcd bcd", ["abcd", "bcx"], "a••• ••• bcd"),
        ("codecode •", ["code", "•"], "•••••• •••"),
        ("AbcAbd", [{"a": ["Abd", None, True]}], "Abc•••"),
        ("5 & 6 &lt;", [5, "<"], "••• & 6 •••"),
        ("x", [""], "x"),
    ],
)
def test_values_are_found_where_they_overlap_and_short_ones_where_they_stand_alone(text, values, masked):
    assert templating.mask(text, values) == masked


TOO_MANY = [["x"] * 101, {"a": ["x"] * 60, "b": ["y"] * 41}, "x" * 10_001, ["x" * 6_000, "y" * 6_000]]


@pytest.mark.parametrize("value", TOO_MANY)
def test_more_secrets_than_can_be_masked_are_refused(acme, value):
    acme.template(Source("list", 1, "s", None, "{{ n }}"), key="list")
    body = {"template": "list", "subject": None, "text": None}
    answer = post(acme.live, **body, template_data={"n": 1, "codes": value}, sensitive=["n", "codes"])
    assert answer.faults == {"sensitive.1": "too_long"}
    assert "at most 100 texts and numbers, of 10,000 characters together" in answer.body.decode()
    declared = [{"name": "codes", "type": "string", "required": False, "sensitive": True}]
    acme.template(Source("list", 1, "s", None, "{{ n }}"), key="declared", variables=declared)
    answer = post(acme.live, **body | {"template": "declared"}, template_data={"n": 1, "codes": "x" * 10_001})
    assert answer.faults == {"template_data.codes": "too_long"}


def test_as_many_secrets_as_can_be_masked_are_taken(acme):
    acme.template(Source("list", 1, "s", None, "{{ n }}"), key="list")
    codes = [f"{number:0100}" for number in range(100)]
    message_id = send(
        acme.live, template="list", subject=None, text=None, template_data={"n": 1, "codes": codes}, sensitive=["codes"]
    )
    assert len(stored(message_id).secrets) == 100
