"""Telling again, and forgetting."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from sendarix.core.errors import Conflict
from tests.webhooks.engine import attempts, deliver, deliveries, read, subscribe, types
from tests.webhooks.receiver import Receiver, Reply
from tests.webhooks.test_dispatch import told
from tests.world import drain, send, sql
from webhooks import recovery

EVER = datetime(2020, 1, 1, tzinfo=UTC)


def now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def test_a_replay_tells_the_same_event_with_the_same_id(acme, receiver):
    endpoint = subscribe(acme, receiver.url)
    told(acme)
    deliver()
    again = recovery.replay(deliveries(endpoint)[0])
    assert (again.status, again.attempt, again.ended_at) == ("waiting", 0, None)
    deliver()
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert [attempt.number for attempt in attempts(endpoint)] == [1, 1]


def test_a_replay_of_one_that_waits_for_its_next_try_brings_it_forward(acme, receiver, settings):
    settings.WEBHOOK_LADDER = (1000.0, 1000.0)
    endpoint = subscribe(acme, receiver.url)
    receiver.script = [Reply(500)]
    told(acme)
    deliver()
    recovery.replay(deliveries(endpoint)[0])
    assert deliver() == 1
    assert deliveries(endpoint)[0].status == "succeeded"


def test_a_replay_of_one_that_is_due_anyway_leaves_it_alone(acme):
    endpoint = subscribe(acme, "http://127.0.0.1:9/")
    told(acme)
    before = deliveries(endpoint)[0].due_at
    assert recovery.replay(deliveries(endpoint)[0]).due_at == before


def test_a_range_recovered_tells_what_was_missed_in_order_and_nothing_twice(acme, api, sink, receiver, settings):
    settings.WEBHOOK_LADDER = (1000.0,)
    send(api)
    endpoint = subscribe(acme, receiver.url)
    receiver.script = [Reply(500), Reply(200)]
    drain()
    deliver()
    sql("UPDATE webhook_deliveries SET status = 'failed', due_at = NULL WHERE status = 'waiting'")
    assert types(endpoint) == ["message.accepted", "message.delivered"]
    assert recovery.recover(endpoint, EVER, now()) == 2
    assert deliver() == 2
    assert [read(request, endpoint)["data"]["status"] for request in receiver.requests] == [
        "accepted", "delivered", "queued", "accepted",
    ]  # fmt: skip
    assert {delivery.status for delivery in deliveries(endpoint)} == {"succeeded"}
    assert recovery.recover(endpoint, EVER, now()) == 0


def test_only_the_types_and_the_time_asked_for_are_recovered(acme, api, sink):
    send(api)
    drain()
    endpoint = subscribe(acme, "http://127.0.0.1:9/", "message.delivered")
    assert recovery.recover(endpoint, now(), now() + timedelta(hours=1)) == 0
    assert recovery.recover(endpoint, EVER, now()) == 1
    assert types(endpoint) == ["message.delivered"]


def test_a_range_of_more_than_one_batch_is_recovered_whole(acme, monkeypatch):
    monkeypatch.setattr(recovery, "BATCH", 7)
    told(acme, 20)
    endpoint = subscribe(acme, "http://127.0.0.1:9/")
    assert recovery.recover(endpoint, EVER, now()) == 20
    numbers = [row[0] for row in sql("SELECT event_number FROM webhook_deliveries ORDER BY due_at, id")]
    assert numbers == sorted(numbers)


def test_a_test_event_goes_to_that_endpoint_alone(acme, receiver):
    endpoint, other = subscribe(acme, receiver.url, "message.bounced"), subscribe(acme, receiver.url)
    delivery = recovery.test(endpoint)
    assert (delivery.type, delivery.status) == ("webhook.test", "waiting")
    assert types(other) == []
    deliver()
    assert read(receiver.requests[0], endpoint)["data"]["endpoint_id"] == endpoint.id
    assert recovery.recover(other, EVER, now()) == 0


def test_nothing_is_told_again_to_a_disabled_endpoint(acme):
    endpoint = subscribe(acme, "http://127.0.0.1:9/")
    told(acme)
    sql("UPDATE webhook_endpoints SET disabled = 'customer'")
    for call in (
        lambda: recovery.test(endpoint),
        lambda: recovery.recover(endpoint, EVER, now()),
        lambda: recovery.replay(deliveries(endpoint)[0]),
    ):
        with pytest.raises(Conflict, match="disabled"):
            call()


def test_what_ended_a_month_ago_is_forgotten_with_its_attempts(acme, receiver, monkeypatch):
    monkeypatch.setattr(recovery, "BATCH", 2)
    endpoint = subscribe(acme, receiver.url)
    told(acme, 7)
    deliver()
    old = [delivery.id for delivery in deliveries(endpoint)[:5]]
    sql("UPDATE webhook_deliveries SET ended_at = now() - interval '31 days' WHERE id = ANY(%s)", old)
    assert recovery.housekeeping() == 5
    assert len(deliveries(endpoint)) == len(attempts(endpoint)) == 2


def test_what_waits_is_kept_and_what_belonged_to_nobody_is_not(acme):
    endpoint, gone = (subscribe(acme, "http://127.0.0.1:9/") for _ in range(2))
    told(acme, 3)
    gone.delete()
    sql("UPDATE webhook_deliveries SET created_at = now() - interval '40 days'")
    assert recovery.housekeeping() == 3
    assert len(deliveries(endpoint)) == 3
