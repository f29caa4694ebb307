"""The idempotency key: the same request again gets the same answer and sends nothing, however and whenever it comes."""

import threading
from contextlib import contextmanager

import pytest

from messaging.models import Message
from sendarix.core import events
from tests import builders, world
from tests.api_client import Api
from tests.world import MAIL, post

KEY = {"Idempotency-Key": "order-7"}


def rows() -> int:
    return Message.objects.count()


@pytest.mark.parametrize(
    ("headers", "custom"),
    [
        ({"Idempotency-Key": "order-7"}, {}),
        ({"X-Idempotency-Key": "order-7"}, {}),
        ({"x-IDEMPOTENCY-key": "order-7"}, {}),
        ({}, {"X-Idempotency-Key": "order-7"}),
        ({}, {"idempotency-KEY": "order-7"}),
        ({"Idempotency-Key": "order-7"}, {"X-Idempotency-Key": "order-7", "X-Campaign": "spring"}),
    ],
)
def test_a_repetition_gets_the_first_answer_and_sends_nothing(api, headers, custom):
    first = api.post("/v1/messages", MAIL | {"headers": custom}, headers)
    again = api.post("/v1/messages", MAIL | {"headers": custom}, headers)
    assert (first.status, again.status) == (202, 202)
    assert again.json == first.json
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert rows() == 1


def test_it_does_not_matter_where_the_key_stands(api):
    first = api.post("/v1/messages", MAIL, {"Idempotency-Key": "order-7"})
    moved = api.post("/v1/messages", MAIL | {"headers": {"X-Idempotency-Key": "order-7"}})
    doubled = api.post("/v1/messages", MAIL, {"Idempotency-Key": "order-7,order-7"})
    assert first.json == moved.json == doubled.json


def test_the_key_never_goes_out_with_the_mail(api, sink):
    world.send(api, headers={"X-Idempotency-Key": "order-7", "X-Campaign": "spring"})
    world.drain()
    assert b"X-Campaign: spring" in sink.accepted[0].content
    assert b"dempotency" not in sink.accepted[0].content


def test_a_payload_that_only_looks_different_is_the_same(api):
    first = api.call(
        "POST", "/v1/messages", body=b'{"recipient":"a@b.example","subject":"s","text":"\\u00e9"}', headers=KEY
    )
    again = api.call(
        "POST", "/v1/messages", body='{"text": "é",  "subject":"s", "recipient":"a@b.example"}'.encode(), headers=KEY
    )
    assert again.json == first.json


@pytest.mark.parametrize(
    ("headers", "custom"),
    [
        ({"Idempotency-Key": "a", "X-Idempotency-Key": "b"}, {}),
        ({"Idempotency-Key": "a"}, {"Idempotency-Key": "b"}),
        ({}, {"Idempotency-Key": "a", "x-idempotency-key": "b"}),
    ],
)
def test_two_different_keys_are_a_fault(api, headers, custom):
    answer = api.post("/v1/messages", MAIL | {"headers": custom}, headers)
    assert answer.status == 422
    assert answer.faults == {"Idempotency-Key": "invalid_value"}
    assert rows() == 0


@pytest.mark.parametrize("key", ["", "two words", "a\tb", "é", "k" * 256])
def test_a_key_is_1_to_255_visible_ascii_characters(api, key):
    assert post(api, headers={"Idempotency-Key": key}).faults == {"Idempotency-Key": "invalid_value"}


def test_a_key_of_255_characters_is_taken(api):
    assert post(api, headers={"Idempotency-Key": "~" * 255}).status == 202


def test_the_same_key_for_another_payload_names_the_first_message(api):
    first = api.post("/v1/messages", MAIL, KEY).json["message_id"]
    answer = api.post("/v1/messages", MAIL | {"text": "Another."}, KEY)
    assert (answer.status, answer.code) == (422, "idempotency_key_reused")
    assert answer.faults == {"Idempotency-Key": "idempotency_key_reused"}
    assert first in answer.json["error"]["message"]
    assert rows() == 1


def test_a_refused_request_is_not_remembered(api):
    assert api.post("/v1/messages", MAIL | {"priority": "urgent"}, KEY).status == 422
    assert api.post("/v1/messages", MAIL, KEY).status == 202
    assert rows() == 1


def test_a_key_is_remembered_for_24_hours(api):
    api.post("/v1/messages", MAIL, KEY)
    assert world.sql("SELECT expires_at - now() BETWEEN '23:59' AND '24:00' FROM idempotency_keys") == [(True,)]
    world.sql("UPDATE idempotency_keys SET expires_at = now() - interval '1 second'")
    answer = api.post("/v1/messages", MAIL | {"text": "Another."}, KEY)
    assert answer.status == 202
    assert "Idempotent-Replayed" not in answer.headers
    assert rows() == 2


def test_the_key_of_a_scheduled_message_is_remembered_until_24_hours_after_its_time(api):
    api.post("/v1/messages", MAIL | {"scheduled_time": world.from_now(days=10)}, KEY)
    assert world.sql("SELECT round(extract(epoch FROM expires_at - now()) / 3600)::int FROM idempotency_keys") == [
        (264,)
    ]


def test_accounts_and_environments_have_keys_of_their_own(acme, globex):
    answers = [caller.post("/v1/messages", MAIL, KEY) for caller in (acme.live, acme.test, globex.live)]
    assert [answer.status for answer in answers] == [202, 202, 202]
    assert len({answer.json["message_id"] for answer in answers}) == 3


def test_all_keys_of_an_environment_share_it(acme):
    first = acme.live.post("/v1/messages", MAIL, KEY)
    assert acme.key().post("/v1/messages", MAIL, KEY).json == first.json


def test_a_batch_has_one_key_for_the_call(api):
    batch = {"messages": [MAIL, MAIL | {"recipient": "nobody"}]}
    first, again = api.post("/v1/messages/batch", batch, KEY), api.post("/v1/messages/batch", batch, KEY)
    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert rows() == 1


def twins(acme, rounds: int, many: int) -> None:
    token = builders.api_key(acme.account)

    def burst() -> list:
        client = Api(token)
        return [client.post("/v1/messages", MAIL, {"Idempotency-Key": f"round-{number}"}) for number in range(rounds)]

    answers = world.together([burst] * many)
    for number in range(rounds):
        found = [mine[number] for mine in answers]
        assert {answer.status for answer in found} == {202}
        assert len({answer.body for answer in found}) == 1
        assert sum("Idempotent-Replayed" not in answer.headers for answer in found) == 1
    assert rows() == rounds


def test_of_twins_at_the_same_moment_one_is_accepted_and_all_hear_the_same(acme):
    twins(acme, rounds=3, many=64)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_of_64_twins_in_200_rounds_one_each_is_accepted_and_sent_once(acme, sink):
    twins(acme, rounds=200, many=64)
    world.drain(120)
    assert sink.dots == 200


@contextmanager
def held_before_commit():
    """The next acceptance waits inside its transaction until the block ends."""
    reached, go_on = threading.Event(), threading.Event()

    def wait(**_: object) -> None:
        if not reached.is_set():
            reached.set()
            go_on.wait(20)

    world.listen()
    events.recorded.connect(wait)
    try:
        yield reached, go_on
    finally:
        go_on.set()
        events.recorded.disconnect(wait)


def test_a_twin_waits_for_the_one_in_flight_and_gets_its_answer(api):
    with held_before_commit() as (reached, go_on):
        first = world.in_background(api.post, "/v1/messages", MAIL, KEY)
        assert reached.wait(5)
        twin = world.in_background(api.post, "/v1/messages", MAIL, KEY)
        world.until(lambda: world.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
        go_on.set()
        assert twin.result().json == first.result().json
    assert twin.result().headers["Idempotent-Replayed"] == "true"


def test_a_twin_in_flight_for_too_long_is_409_and_the_caller_is_told_to_come_back(api, monkeypatch):
    monkeypatch.setattr("messaging.acceptance.TWIN_PATIENCE", "100ms")
    with held_before_commit() as (reached, go_on):
        first = world.in_background(api.post, "/v1/messages", MAIL, KEY)
        assert reached.wait(5)
        answer = api.post("/v1/messages", MAIL, KEY)
        go_on.set()
        assert first.result().status == 202
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (409, "idempotency_in_flight", "1")
    assert rows() == 1


def test_a_twin_of_a_request_that_failed_is_accepted(api):
    def fail(**_: object) -> None:
        raise RuntimeError("the transaction fails")

    world.listen()
    events.recorded.connect(fail)
    try:
        assert api.post("/v1/messages", MAIL, KEY).status == 500
    finally:
        events.recorded.disconnect(fail)
    assert rows() == 0
    assert api.post("/v1/messages", MAIL, KEY).status == 202


def test_the_warning_of_a_suppressed_recipient_is_part_of_what_is_repeated(acme, api):
    world.suppress(acme, "kim@hanbit.example", "manual")
    mail = MAIL | {"recipient": "kim@hanbit.example"}
    first = api.post("/v1/messages", mail, KEY)
    assert [warning["code"] for warning in first.json["warnings"]] == ["suppressed_recipient"]
    assert api.post("/v1/messages", mail, KEY).json == first.json
    assert rows() == 1
