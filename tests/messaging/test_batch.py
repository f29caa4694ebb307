"""POST /v1/messages/batch: each message is accepted or refused by itself, the accepted ones together."""

import pytest

from messaging.models import Message
from tests import world
from tests.world import MAIL


def batch(api, *messages, **rest):
    return api.post("/v1/messages/batch", {"messages": list(messages)} | rest)


def test_each_message_gets_a_result_of_its_own_in_order(api):
    answer = batch(api, MAIL, MAIL | {"recipient": "nobody"}, MAIL | {"scheduled_time": world.from_now(hours=1)})
    first, second, third = answer.json["results"]
    assert answer.status == 202
    assert (first["status"], third["status"]) == ("queued", "scheduled")
    assert {fault["field"] for fault in second["error"]["errors"]} == {"recipient"}
    assert set(Message.objects.values_list("id", flat=True)) == {first["message_id"], third["message_id"]}


def test_messages_of_a_batch_are_sent_in_its_order(api, sink, take_route):
    take_route(f"smtp://127.0.0.1:{sink.port}?tls=none&connections=1")
    batch(api, *(MAIL | {"recipient": f"k{number}@hanbit.example"} for number in range(20)))
    world.drain()
    assert [mail.recipients[0] for mail in sink.accepted] == [f"k{number}@hanbit.example" for number in range(20)]


def test_a_batch_of_nothing_but_faults_is_answered_one_by_one(api):
    answer = batch(api, {}, MAIL | {"text": 5})
    assert answer.status == 202
    assert [result["error"]["code"] for result in answer.json["results"]] == ["validation_failed"] * 2
    assert Message.objects.count() == 0


def test_a_batch_holds_500_messages(api):
    answer = batch(api, *[MAIL] * 500)
    assert len({result["message_id"] for result in answer.json["results"]}) == 500
    assert batch(api, *[MAIL] * 501).faults == {"messages": "too_long"}


@pytest.mark.parametrize(
    ("payload", "faults"),
    [
        ({}, {"messages": "required"}),
        ({"messages": []}, {"messages": "too_short"}),
        ({"messages": MAIL}, {"messages": "invalid_type"}),
        ({"messages": [MAIL, "text"]}, {"messages.1": "invalid_type"}),
        ({"messages": [MAIL], "priority": "high"}, {"priority": "unknown_field"}),
    ],
)
def test_a_batch_that_is_none_is_refused_whole(api, payload, faults):
    answer = api.post("/v1/messages/batch", payload)
    assert (answer.status, answer.faults) == (422, faults)


def test_one_message_of_a_batch_has_no_key_of_its_own(api):
    result = batch(api, MAIL | {"headers": {"Idempotency-Key": "k"}}).json["results"][0]
    assert result["error"]["errors"][0]["field"] == "headers"


def test_a_bad_key_is_told_with_the_faults_of_the_batch(api):
    answer = api.post("/v1/messages/batch", {"messages": []}, {"Idempotency-Key": ""})
    assert answer.faults == {"Idempotency-Key": "invalid_value", "messages": "too_short"}


def test_a_message_the_key_may_not_send_is_refused_alone(acme):
    shop = acme.key(scopes=["messages:send"], sender_domains=["acme.example"])
    secret = MAIL | {"priority": "critical", "override_suppression": True}
    answer = batch(shop, MAIL, secret, MAIL | {"from": "a@other.example"}, MAIL)
    first, overriding, foreign, last = answer.json["results"]
    assert answer.status == 202
    assert (overriding["error"]["code"], overriding["error"]["errors"]) == ("insufficient_scope", [])
    assert "suppressions:override" in overriding["error"]["message"]
    assert foreign["error"]["errors"][0]["code"] == "sender_domain_not_allowed"
    assert set(Message.objects.values_list("id", flat=True)) == {first["message_id"], last["message_id"]}


def test_a_batch_with_a_refused_message_is_answered_alike_again(acme):
    shop, key = acme.key(scopes=["messages:send"]), {"Idempotency-Key": "batch-1"}
    payload = {"messages": [MAIL, MAIL | {"priority": "critical", "override_suppression": True}]}
    first, again = (shop.post("/v1/messages/batch", payload, key) for _ in range(2))
    assert first.json["results"][1]["error"]["code"] == "insufficient_scope"
    assert (again.headers["Idempotent-Replayed"], again.json) == ("true", first.json)
    assert Message.objects.count() == 1
