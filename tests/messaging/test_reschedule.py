"""PATCH /v1/messages/{id}: a scheduled message gets another time."""

from datetime import UTC, datetime, timedelta

import pytest

from messaging.models import IdempotencyKey
from tests.world import MAIL, drain, from_now, message, send


def reschedule(api, message_id, at):
    return api.patch(f"/v1/messages/{message_id}", {"scheduled_time": at})


def test_a_scheduled_message_waits_until_its_new_time(api, sink):
    message_id = send(api, scheduled_time=from_now(hours=1))
    at = from_now(hours=2)
    answer = reschedule(api, message_id, at)
    assert (answer.status, answer.json["status"]) == (200, "scheduled")
    assert answer.json["scheduled_time"][:19] == answer.json["waiting"]["until"][:19] == at[:19]
    assert drain() == 0


def test_an_earlier_time_is_kept_too(api, sink):
    message_id = send(api, scheduled_time=from_now(hours=1))
    reschedule(api, message_id, from_now(seconds=-1))
    assert drain() == 1
    assert message(api, message_id)["status"] == "delivered"


@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("2031-01-01T00:00:00", "invalid_value"),
        (None, "invalid_type"),
        ("soon", "invalid_value"),
        ("2001-01-01T00:00:00Z", "out_of_range"),
        ("2201-01-01T00:00:00Z", "out_of_range"),
    ],
)
def test_the_new_time_follows_the_rules_of_the_first(api, at, code):
    message_id = send(api, scheduled_time=from_now(hours=1))
    answer = reschedule(api, message_id, at)
    assert (answer.status, answer.faults) == (422, {"scheduled_time": code})


def test_a_time_after_the_expiry_is_a_fault(api):
    message_id = send(api, scheduled_time=from_now(hours=1), expires_at=from_now(hours=2))
    assert reschedule(api, message_id, from_now(hours=3)).faults == {"scheduled_time": "out_of_range"}


def test_other_fields_are_unknown(api):
    message_id = send(api, scheduled_time=from_now(hours=1))
    answer = api.patch(f"/v1/messages/{message_id}", {"subject": "x"})
    assert answer.faults == {"scheduled_time": "required", "subject": "unknown_field"}


def test_only_a_scheduled_message_can_be_rescheduled(api, sink):
    message_id = send(api)
    assert reschedule(api, message_id, from_now(hours=1)).code == "conflict"
    drain()
    assert reschedule(api, message_id, from_now(hours=1)).status == 409
    assert reschedule(api, "msg_nowhere", from_now(hours=1)).status == 404


def test_a_moved_message_keeps_its_idempotency_key_until_its_new_time_and_a_day(api):
    asked = {**MAIL, "scheduled_time": from_now(hours=1)}
    first = api.post("/v1/messages", asked, headers={"Idempotency-Key": "order-1"}).json["message_id"]
    reschedule(api, first, from_now(days=30))
    kept_until = IdempotencyKey.objects.get(message_id=first).expires_at
    assert kept_until > datetime.now(UTC) + timedelta(days=30, hours=23)
