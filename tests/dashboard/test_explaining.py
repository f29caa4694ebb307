"""The sentence on top of a message, for each way that a message can go."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import translation

from messaging.delivery.outcomes import Cause
from sendarix.dashboard import explaining
from sendarix.dashboard.explaining import Facts, explain

NOW = datetime(2026, 4, 19, 5, 31, tzinfo=UTC)
BEGAN = "2026-04-19T05:00:00.000Z"


def event(status: str, at: str = "2026-04-19T05:00:04.200Z", **data: Any) -> dict[str, Any]:
    return {"at": at, "data": {"status": status, **data}}


def attempt(cause: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"cause": cause, "address": "192.0.2.1", "smtp": None, "phase": "rcpt", "route": "direct", **fields}


def said(
    status: str, *events: dict[str, Any], tries: Any = (), who: str = "Naver", hosted: Any = (), **fields: Any
) -> str:
    whole = {
        "status": status, "reason": None, "sending": False, "attempts": len(tries), "created_at": BEGAN,
        "scheduled_time": None, "expires_at": None, "ended_at": None, "waiting": None,
        "policy": {"retry_ladder": [30, 300, 1800, 7200, 18000]}, "events": list(events),
    }  # fmt: skip
    return explain(Facts(whole | fields, tries, who, NOW, lambda at: f"{at:%H:%M} UTC", hosted)).text


def waits(kind: str, until: str | None = "2026-04-19T05:35:00.000Z", why: str | None = None) -> dict[str, Any]:
    return {"for": kind, "until": until, "why": why}


def test_a_deferral_tells_who_why_the_count_and_the_next_try():
    tries = [attempt("greylisted")] * 2
    assert said("deferred", reason="greylisted", tries=tries, waiting=waits("retry")) == (
        "Naver asked us to try later (greylisting). Attempt 2 of 6; next at 05:35 UTC, in 4 minutes."
    )


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_words_for_a_deferral_and_a_bounce(cause):
    for status in ("deferred", "bounced"):
        text = said(status, event(status), reason=str(cause), tries=[attempt(str(cause))], ended_at=BEGAN)
        assert "%(" not in text
        assert text[0].isupper()


def test_a_delivery_tells_how_long_it_took():
    fields = {"ended_at": "2026-04-19T05:00:04.200Z", "tries": [attempt()]}
    assert said("delivered", event("delivered"), **fields) == "Delivered to Naver in 4.2 s, at 05:00 UTC."


def test_a_scheduled_message_is_timed_from_its_time_on():
    fields = {"scheduled_time": "2026-04-19T05:00:03.200Z", "ended_at": "2026-04-19T05:00:04.200Z"}
    assert "in 1 s" in said("delivered", event("delivered"), tries=[attempt()], **fields)


def test_a_delivery_in_several_attempts_says_so():
    tries = [attempt("greylisted"), attempt()]
    assert "It took 2 attempts." in said("delivered", event("delivered"), tries=tries, ended_at=BEGAN)


def test_what_a_provider_took_is_not_called_delivered():
    text = said("delivered", event("delivered", handed_to="amazon_ses"), tries=[attempt()], ended_at=BEGAN)
    assert text.startswith("Handed to amazon_ses")


def test_captured_mail_is_not_said_to_have_left():
    captured = attempt(address=None, smtp={"code": 250, "text": "captured"})
    assert "nothing left" in said("delivered", event("delivered"), tries=[captured], ended_at=BEGAN)


def test_an_override_is_told():
    events = (event("accepted", overrides="user_unsubscribed"), event("delivered"))
    assert "although the recipient has unsubscribed" in said("delivered", *events, tries=[attempt()], ended_at=BEGAN)


def test_a_bounce_names_the_cause_and_what_to_do():
    whole = said("bounced", event("bounced"), reason="mailbox_unknown", tries=[attempt("mailbox_unknown")])
    assert whole == "Naver has no such mailbox. It will not be tried again."


def test_exhausted_retries_tell_the_last_refusal():
    text = said(
        "bounced", event("bounced"), reason="retries_exhausted", tries=[attempt("mailbox_full")] * 6,
        ended_at="2026-04-19T12:00:00.000Z",
    )  # fmt: skip
    assert text == "Given up after 6 attempts in 7 h. The mailbox at Naver is full."


@pytest.mark.parametrize(
    ("phase", "hosted", "words"),
    [
        ("resolving", ["relay"], "The mail server of the route relay was not found."),
        ("resolving", [], "No mail server of Naver was found."),
        ("rcpt", ["relay"], "No mail server of Naver was found."),
    ],
)
def test_a_smarthost_that_is_not_found_is_no_fault_of_the_recipients_domain(phase, hosted, words):
    tries = [attempt("dns", phase=phase, route="relay")]
    assert said("deferred", reason="dns", tries=tries, hosted=hosted).startswith(words)


def test_a_bounce_after_delivery_is_told_as_one():
    text = said("bounced", event("bounced", previous_status="delivered"), reason="mailbox_full", tries=[attempt()])
    assert text.startswith("Naver took it first and sent it back later.")


def test_a_rule_that_rejects_gives_its_reason():
    assert "(rule legal: no mail there)" in said(
        "bounced", event("bounced", detail="rule legal: no mail there"), reason="policy"
    )


@pytest.mark.parametrize("reason", ["user_unsubscribed", "hard_bounce", "spam_complaint", "manual"])
def test_a_suppressed_message_says_why(reason):
    assert said("suppressed", reason=reason) == str(explaining.SUPPRESSED[reason])


@pytest.mark.parametrize(
    ("waiting", "words"),
    [
        (waits("paused", why="queue naver is paused: maintenance"), "held back (queue naver is paused: maintenance)."),
        (
            waits("paced", why="the limits are reached"),
            "It waits for room (the limits are reached); again at 05:35 UTC.",
        ),
        (waits("queued", "2026-04-19T05:00:00.000Z"), "It waits for its turn, for 31 min so far."),
    ],
)
def test_what_holds_a_queued_message_back_is_told(waiting, words):
    assert words in said("queued", waiting=waiting)


def test_a_scheduled_message_tells_its_time():
    text = said("scheduled", waiting=waits("scheduled", "2026-04-19T08:31:00.000Z"))
    assert text == "It waits for its time: it leaves at 08:31 UTC, in 3 hours."


def test_an_uncertain_hand_over_that_is_held_asks_for_a_decision():
    facts = {"reason": "uncertain", "waiting": waits("held", None), "tries": [attempt("uncertain")]}
    assert said("deferred", **facts).endswith("Attempt 1 of 6. It is held until somebody decides.")


def test_a_message_being_sent_says_so():
    assert said("accepted", sending=True) == "Being handed to Naver right now. Attempt 1 of 6."


@pytest.mark.parametrize(
    ("status", "fields", "words"),
    [
        ("canceled", {"ended_at": BEGAN}, "Canceled before it was sent, at 05:00 UTC."),
        ("canceled", {"ended_at": BEGAN, "reason": "purged"}, "Thrown away with a purge of the queue, at 05:00 UTC."),
        ("expired", {"expires_at": BEGAN, "reason": "expired"}, "Not sent: its time ran out at 05:00 UTC."),
        ("complained", {"ended_at": BEGAN}, "The recipient reported it as spam."),
        ("unsubscribed", {"ended_at": BEGAN}, "The recipient unsubscribed by it."),
    ],
)
def test_other_ends_are_told(status, fields, words):
    assert words in said(status, event("delivered"), **fields)


def test_a_destination_without_a_known_provider_goes_by_its_domain():
    assert explaining.destination("hanbit.example", None) == "hanbit.example"
    assert explaining.destination("naver.com", "naver") == "Naver"


def test_hostile_words_of_a_server_do_not_break_the_sentence():
    with translation.override("en"):
        assert "100 %(x)s" in said("queued", waiting=waits("paused", why="100 %(x)s %s"))
