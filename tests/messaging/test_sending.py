"""POST /v1/messages: what is taken, what is refused, and what comes of each field."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from messaging.models import Attachment, Message, MessageContent
from tests import world
from tests.world import from_now, message, post, send

PRODUCT_PAGE = {
    "recipient": "user@example.com",
    "subject": "Your verification code",
    "template": "otp-code",
    "template_data": {"code": "847291", "expires_in": "5 minutes"},
    "headers": {"X-Idempotency-Key": "uuid-v4-here"},
}


def content(answer) -> MessageContent:
    return MessageContent.objects.get(message_id=answer.json["message_id"])


def test_the_example_of_the_product_page_is_accepted_as_it_stands(acme):
    acme.template()
    answer = acme.live.post("/v1/messages", PRODUCT_PAGE)
    assert answer.status == 202
    assert list(answer.json) == ["message_id", "status", "recipient", "created_at"]
    assert re.fullmatch(r"msg_[0-9a-z]{26}", answer.json["message_id"])
    assert (answer.json["status"], answer.json["recipient"]) == ("queued", "user@example.com")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.json["created_at"])
    assert content(answer).subject == "Your verification code"
    assert "847291" in content(answer).html
    assert content(answer).headers == {}


def test_a_message_shows_what_was_asked(api):
    asked = {
        "recipient": "Kim <kim@hanbit.example>",
        "from": "Acme Bills <bills@acme.example>",
        "reply_to": "help@acme.example",
        "metadata": {"order": "7"},
        "tags": ["bill", "eu"],
        "priority": "high",
        "expires_at": (expires_at := from_now(seconds=3600)),
    }
    shown = message(api, send(api, **asked))
    assert shown["from"] == "Acme Bills <bills@acme.example>"
    assert (shown["recipient"], shown["subject"]) == ("Kim <kim@hanbit.example>", "Your order")
    assert (shown["metadata"], shown["tags"], shown["priority"]) == ({"order": "7"}, ["bill", "eu"], "high")
    assert (shown["status"], shown["waiting"]["for"], shown["livemode"]) == ("queued", "queued", True)
    assert shown["expires_at"][:19] == expires_at[:19]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("recipient", None, "required"),
        ("recipient", "", "required"),
        ("recipient", ["kim@hanbit.example"], "invalid_type"),
        ("recipient", "kim@hanbit.example, lee@hanbit.example", "invalid_value"),
        ("recipient", "kim", "invalid_value"),
        ("recipient", "kim@hanbit.example\r\nBcc: eve@evil.example", "invalid_value"),
        ("recipient", f"{'k' * 65}@hanbit.example", "too_long"),
        ("from", "Acme", "invalid_value"),
        ("from", ["a@acme.example"], "invalid_type"),
        ("subject", None, "required"),
        ("subject", "", "too_short"),
        ("subject", "a\nBcc: eve@evil.example", "invalid_value"),
        ("subject", "a" * 999, "too_long"),
        ("text", None, "required"),
        ("text", 5, "invalid_type"),
        ("template", "no such/key", "invalid_value"),
        ("template", "nowhere", "not_found"),
        ("template_data", [], "invalid_type"),
        ("reply_to", "nobody", "invalid_value"),
        ("tags", "bill", "invalid_type"),
        ("tags", ["a"] * 21, "too_long"),
        ("tags.0", [""], "too_short"),
        ("priority", "urgent", "invalid_value"),
        ("metadata", {f"k{n}": "v" for n in range(51)}, "too_long"),
        ("metadata", {"a": "v" * 501}, "too_long"),
        ("metadata", {"": "v"}, "too_long"),
        ("metadata.a", {"a": 1}, "invalid_type"),
        ("scheduled_time", "2031-01-01T00:00:00", "invalid_value"),
        ("scheduled_time", 1893456000, "invalid_type"),
        ("scheduled_time", "2031-02-30T00:00:00Z", "invalid_value"),
        ("ttl_seconds", 0, "out_of_range"),
        ("ttl_seconds", True, "invalid_type"),
        ("sensitive", "code", "invalid_type"),
        ("cc", "lee@hanbit.example", "unknown_field"),
    ],
)
def test_a_field_that_is_wrong_is_named(api, field, value, code):
    answer = post(api, **{field.partition(".")[0]: value})
    assert answer.status == 422
    assert answer.faults == {field: code}


def test_all_faults_are_told_at_once_those_of_the_shape_and_those_of_the_account(acme):
    acme.template()
    api = acme.key(sender_domains=["acme.example"])
    answer = api.post(
        "/v1/messages",
        {
            "recipient": ["kim@hanbit.example"],
            "from": "eve@evil.example",
            "template": "otp-code",
            "template_data": {"code": "1"},
            "headers": {"Bcc": "eve@evil.example", "X-Ok": 5},
            "attachments": [{"filename": "a\n", "content": "AA=="}, {"filename": "b", "content": "%"}],
            "priority": "urgent",
            "scheduled_time": "2001-01-01T00:00:00Z",
            "colour": "red",
        },
    )
    assert answer.faults == {
        "recipient": "invalid_type",
        "from": "sender_domain_not_allowed",
        "template_data.expires_in": "required",
        "headers.Bcc": "reserved_header",
        "headers.X-Ok": "invalid_type",
        "attachments.0.filename": "invalid_value",
        "attachments.1.content": "invalid_value",
        "priority": "invalid_value",
        "scheduled_time": "out_of_range",
        "colour": "unknown_field",
    }


def test_a_bad_idempotency_key_is_told_together_with_the_other_faults(api):
    answer = api.post("/v1/messages", {"recipient": "kim"}, {"Idempotency-Key": "two words"})
    assert answer.faults == {
        "Idempotency-Key": "invalid_value",
        "recipient": "invalid_value",
        "subject": "required",
        "text": "required",
    }


@pytest.mark.parametrize(
    "recipient",
    ["김철수@한빛.example", "Kim <kim@hanbit.example>", '"Kim, C." <kim@한빛.example>', "KIM@HANBIT.EXAMPLE"],
)
def test_a_recipient_may_be_international_and_have_a_name(api, recipient):
    assert post(api, recipient=recipient).json["recipient"] == recipient


def test_the_sender_is_the_bodys_else_the_templates_else_the_keys_else_the_accounts(acme):
    acme.template()
    acme.template(key="with-sender", default_sender="template@acme.example")
    keyed = acme.key(default_sender="key@acme.example")
    data = {"template_data": {"code": "1", "expires_in": "1 minute"}}
    assert (
        content(post(keyed, **data, template="with-sender", **{"from": "body@acme.example"})).sender
        == "body@acme.example"
    )
    assert content(post(keyed, **data, template="with-sender")).sender == "template@acme.example"
    assert content(post(keyed, **data, template="otp-code")).sender == "key@acme.example"
    assert content(post(acme.live)).sender == "Acme <hello@acme.example>"


def test_without_any_sender_from_is_required(transactional_db):
    assert post(world.company("nameless", default_sender="").live).faults == {"from": "required"}


def test_a_key_sends_only_from_its_domains(acme):
    world.domain(acme, "한빛.example".encode("idna").decode())
    api = acme.key(sender_domains=["한빛.example", "acme.example"])
    assert post(api, **{"from": "a@한빛.example"}).status == post(api, **{"from": "a@ACME.example"}).status == 202
    assert post(api, **{"from": "a@sub.acme.example"}).faults == {"from": "sender_domain_not_allowed"}
    assert post(acme.key(sender_domains=["other.example"])).faults == {"from": "sender_domain_not_allowed"}


def test_a_text_is_made_of_the_html_when_there_is_none(api):
    made = content(
        post(api, text=None, html="<p>Dear <b>Kim</b>,</p><p>see <a href='https://a.example/x'>this</a></p>")
    )
    assert "Dear Kim" in made.text
    assert "https://a.example/x" in made.text
    assert content(post(api, text="plain", html="<p>rich</p>")).text == "plain"


@pytest.mark.parametrize(
    "name",
    [
        "From",
        "to",
        "BCC",
        "Received",
        "Return-Path",
        "DKIM-Signature",
        "Content-Type",
        "Message-ID",
        "Date",
        "List-Unsubscribe",
    ],
)
def test_a_header_that_is_ours_to_set_is_refused(api, name):
    assert post(api, headers={name: "x"}).faults == {f"headers.{name}": "reserved_header"}


@pytest.mark.parametrize(("name", "value"), [("X-A", "a\r\nBcc: eve@evil.example"), ("X-A", "a\nb"), ("X-A", "a\x0bb")])
def test_a_header_value_never_starts_a_new_line(api, name, value):
    assert post(api, headers={name: value}).faults == {f"headers.{name}": "invalid_value"}


@pytest.mark.parametrize("name", ["X-A\r\nBcc", "X A", "X:A", "", "Ünïcode"])
def test_a_header_name_is_visible_ascii_without_a_colon(api, name):
    assert post(api, headers={name: "x"}).faults == {"headers": "invalid_value"}


@pytest.mark.parametrize("part", ["subject", "text", "html"])
def test_nul_is_refused_anywhere(api, part):
    assert post(api, **{part: "a\x00b"}).code == "bad_json"
    assert post(api, headers={"X-A": "a\x00b"}).code == "bad_json"


def test_a_custom_header_goes_out_with_the_mail(api, sink):
    send(api, headers={"X-Campaign": "봄 2026"})
    world.drain()
    assert b"X-Campaign: =?utf-8?" in sink.accepted[0].content


def test_a_scheduled_message_says_so(api):
    at = from_now(seconds=3600)
    answer = post(api, scheduled_time=at)
    assert list(answer.json) == ["message_id", "status", "recipient", "created_at", "scheduled_time"]
    assert answer.json["status"] == "scheduled"
    assert answer.json["scheduled_time"][:19] == at[:19]
    shown = message(api, answer.json["message_id"])
    assert shown["waiting"] == {"for": "scheduled", "until": answer.json["scheduled_time"], "why": None}


def test_an_offset_is_reckoned_with(api):
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    given = (at + timedelta(hours=9)).replace(tzinfo=None).isoformat() + "+09:00"
    assert post(api, scheduled_time=given).json["scheduled_time"] == f"{at:%Y-%m-%dT%H:%M:%S}.000Z"


def test_a_time_up_to_a_minute_past_means_now_and_an_older_one_is_a_fault(api):
    answer = post(api, scheduled_time=from_now(seconds=-55))
    assert (answer.status, answer.json["status"]) == (202, "queued")
    assert "scheduled_time" not in answer.json
    assert post(api, scheduled_time=from_now(seconds=-61)).faults == {"scheduled_time": "out_of_range"}


def test_a_time_is_at_most_ninety_days_ahead(api):
    assert post(api, scheduled_time=from_now(seconds=90 * 86400 - 5)).status == 202
    assert post(api, scheduled_time=from_now(seconds=90 * 86400 + 5)).faults == {"scheduled_time": "out_of_range"}


def test_a_lifetime_counts_from_acceptance_or_from_the_scheduled_time(api):
    now = Message.objects.get(id=send(api, ttl_seconds=60))
    assert now.expires_at == now.created_at + timedelta(seconds=60)
    later = Message.objects.get(id=send(api, ttl_seconds=60, scheduled_time=from_now(seconds=600)))
    assert later.expires_at == later.scheduled_time + timedelta(seconds=60)


def test_an_expiry_lies_after_the_time_of_sending_and_is_given_once(api):
    assert post(api, expires_at=from_now(seconds=-1)).faults == {"expires_at": "out_of_range"}
    early = post(api, expires_at=from_now(seconds=60), scheduled_time=from_now(seconds=120))
    assert early.faults == {"expires_at": "out_of_range"}
    assert post(api, expires_at=from_now(seconds=60), ttl_seconds=60).faults == {"ttl_seconds": "conflict"}


def test_a_sensitive_variable_may_lie_deep_in_the_data(acme):
    acme.template(key="deep", subject="Code {{ user.code }}", html="", text="Hello")
    data = {"user": {"code": "847291"}}
    code = send(acme.live, subject=None, template="deep", template_data=data, sensitive=["user.code"])
    assert message(acme.live, code)["subject"] == "Code •••"


def test_a_sensitive_variable_that_is_not_there_is_a_fault(api):
    assert post(api, sensitive=["code"]).faults == {"sensitive.0": "not_found"}


def test_a_sensitive_variable_is_masked_in_lists_but_not_in_the_mail(acme, sink):
    acme.template()
    data = {"code": "847291", "expires_in": "5 minutes"}
    code = send(acme.live, subject=None, text=None, template="otp-code", template_data=data, sensitive=["code"])
    assert message(acme.live, code)["subject"] == "Your verification code is •••"
    assert "847291" not in str(acme.live.get("/v1/messages").json)
    assert acme.live.get("/v1/messages", {"q": "847291"}).json["data"] == []
    world.drain()
    assert b"Subject: Your verification code is 847291" in sink.accepted[0].content


def test_a_suppressed_recipient_is_reported_at_acceptance(acme):
    world.suppress(acme, "kim@hanbit.example", "manual")
    answer = post(acme.live, recipient="Kim@Hanbit.example")
    assert [warning["code"] for warning in answer.json["warnings"]] == ["suppressed_recipient"]


def test_a_mail_over_25_mb_is_accepted_with_a_warning(api):
    answer = post(api, attachments=[{"filename": "big.bin", "content": "A" * (26 * 1024 * 1024)}])
    assert [warning["code"] for warning in answer.json["warnings"]] == ["large_message"]


@pytest.mark.parametrize("header", ["Idempotency-Key", None])
def test_a_refused_message_leaves_nothing(api, header):
    post(api, subject=None, attachments=[{"filename": "a", "content": "AAAA"}], headers={header: "k"} if header else {})
    assert Message.objects.count() == MessageContent.objects.count() == Attachment.objects.count() == 0
    assert world.sql("SELECT count(*) FROM idempotency_keys") == world.sql("SELECT count(*) FROM events") == [(0,)]


def test_a_full_queue_is_503_and_nothing_is_taken(api, settings, monkeypatch):
    settings.QUEUE_LIMIT = -2
    monkeypatch.setattr("messaging.capacity._looked_at", float("-inf"))
    monkeypatch.setattr("messaging.capacity._full", False)
    answer = post(api)
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "queue_full", "30")
    assert Message.objects.count() == 0
