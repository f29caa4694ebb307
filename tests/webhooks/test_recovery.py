"""Telling again, and forgetting."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from sendarix.core import events
from sendarix.core.errors import Conflict
from tests.webhooks.engine import attempts, deliver, deliveries, read, subscribe, types
from tests.webhooks.receiver import Receiver, Reply
from tests.webhooks.test_dispatch import told
from tests.world import drain, in_background, send, sql
from webhooks import recovery
from webhooks.recovery import Recovered

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
    assert recovery.recover(endpoint, EVER, now()).count == 2
    assert deliver() == 2
    assert [read(request, endpoint)["data"]["status"] for request in receiver.requests] == [
        "accepted", "delivered", "queued", "accepted",
    ]  # fmt: skip
    assert {delivery.status for delivery in deliveries(endpoint)} == {"succeeded"}
    assert recovery.recover(endpoint, EVER, now()).count == 0


def test_only_the_types_and_the_time_asked_for_are_recovered(acme, api, sink):
    send(api)
    drain()
    endpoint = subscribe(acme, "http://127.0.0.1:9/", "message.delivered")
    assert recovery.recover(endpoint, now(), now() + timedelta(hours=1)).count == 0
    assert recovery.recover(endpoint, EVER, now()).count == 1
    assert types(endpoint) == ["message.delivered"]


def test_a_range_of_more_than_one_batch_is_recovered_whole(acme, monkeypatch):
    monkeypatch.setattr(recovery, "BATCH", 7)
    told(acme, 20)
    endpoint = subscribe(acme, "http://127.0.0.1:9/")
    assert recovery.recover(endpoint, EVER, now()) == Recovered(20, None)
    numbers = [row[0] for row in sql("SELECT event_number FROM webhook_deliveries ORDER BY due_at, id")]
    assert numbers == sorted(numbers)


def test_a_call_recovers_so_many_events_and_says_where_the_next_begins(acme, monkeypatch):
    monkeypatch.setattr(recovery, "BATCH", 4)
    monkeypatch.setattr(recovery, "MOST", 10)
    for _ in range(12):
        told(acme)
    endpoint = subscribe(acme, "http://127.0.0.1:9/")
    first = recovery.recover(endpoint, EVER, now())
    assert first.count == 10
    (at,) = sql("SELECT at FROM events ORDER BY id OFFSET 10 LIMIT 1")[0]
    assert first.next_since == at
    assert recovery.recover(endpoint, first.next_since, now()) == Recovered(2, None)


def test_events_of_the_time_are_found_without_those_before_it_or_of_others(acme, globex):
    for company in (acme, globex):
        told(company, 300)
    sql("UPDATE events SET at = at - interval '20 days' WHERE account_id = %s", acme.account.id)
    told(acme, 5)
    sql("ANALYZE events")
    with watched() as statements:
        found = events.source().between(acme.account.id, True, (now() - timedelta(days=1), 0), now(), 10)
    (statement,) = statements
    plan = sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")[0][0][0]["Plan"]
    assert len(found) == 5
    assert sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in scans(plan)) <= 5


def scans(plan: dict) -> list[dict]:
    inner = [node for child in plan.get("Plans", ()) for node in scans(child)]
    return [plan, *inner] if "Scan" in plan["Node Type"] else inner


@contextmanager
def watched() -> Iterator[list[str]]:
    """The statements of the block, with their values."""
    seen: list[str] = []

    def watch(execute, statement, values, many, context):
        seen.append(context["cursor"].mogrify(statement, values).decode())
        return execute(statement, values, many, context)

    with connection.execute_wrapper(watch):
        yield seen


@contextmanager
def just_before(part: str, call: Callable[[], Any]) -> Iterator[None]:
    """The call is made, and over, right before the block's first statement that holds this."""
    calls = [call]

    def watch(execute, statement, *rest):
        if part in statement and calls:
            in_background(calls.pop()).result()
        return execute(statement, *rest)

    with connection.execute_wrapper(watch):
        yield


def test_two_test_events_at_once_are_each_callers_own(acme):
    endpoint, others = subscribe(acme, "http://127.0.0.1:9/"), []
    with just_before('FROM "webhook_deliveries"', lambda: others.append(recovery.test(endpoint).id)):
        own = recovery.test(endpoint).id
    first, second = deliveries(endpoint)
    assert (own, others) == (first.id, [second.id])


def test_a_test_event_to_one_that_is_disabled_at_that_moment_is_refused_and_leaves_nothing(acme):
    endpoint = subscribe(acme, "http://127.0.0.1:9/")
    with (
        just_before("INSERT INTO events", lambda: sql("UPDATE webhook_endpoints SET disabled = 'customer'")),
        pytest.raises(Conflict, match="disabled"),
    ):
        recovery.test(endpoint)
    assert deliveries(endpoint) == []
    assert sql("SELECT count(*) FROM events") == [(0,)]


def test_a_test_event_goes_to_that_endpoint_alone(acme, receiver):
    endpoint, other = subscribe(acme, receiver.url, "message.bounced"), subscribe(acme, receiver.url)
    delivery = recovery.test(endpoint)
    assert (delivery.type, delivery.status) == ("webhook.test", "waiting")
    assert types(other) == []
    deliver()
    assert read(receiver.requests[0], endpoint)["data"]["endpoint_id"] == endpoint.id
    assert recovery.recover(other, EVER, now()).count == 0


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
    sql("UPDATE webhook_deliveries SET created_at = ended_at - interval '31 days', ended_at = ended_at - interval '31 days'"
        " WHERE id = ANY(%s)", old)  # fmt: skip
    assert recovery.housekeeping() == 5
    assert len(deliveries(endpoint)) == len(attempts(endpoint)) == 2


def test_old_ones_told_again_lately_do_not_keep_the_rest(acme, receiver, monkeypatch):
    monkeypatch.setattr(recovery, "BATCH", 2)
    endpoint = subscribe(acme, receiver.url)
    told(acme, 8)
    deliver()
    rows = [delivery.id for delivery in deliveries(endpoint)]
    sql("UPDATE webhook_deliveries SET created_at = now() - interval '31 days' WHERE id = ANY(%s)", rows[:7])
    sql("UPDATE webhook_deliveries SET ended_at = now() - interval '31 days' WHERE id = ANY(%s)", rows[4:7])
    assert recovery.housekeeping() == 3
    assert [delivery.id for delivery in deliveries(endpoint)] == [*rows[:4], rows[7]]


def test_what_waits_is_kept_and_what_belonged_to_nobody_is_not(acme):
    endpoint, gone = (subscribe(acme, "http://127.0.0.1:9/") for _ in range(2))
    told(acme, 3)
    gone.delete()
    sql("UPDATE webhook_deliveries SET created_at = now() - interval '40 days'")
    assert recovery.housekeeping() == 3
    assert len(deliveries(endpoint)) == 3
