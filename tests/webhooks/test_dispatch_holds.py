"""Holds on endpoints: who keeps one, who loses it, and who is woken."""

import threading

from tests.webhooks.engine import deliver, deliveries, jobs_waiting, subscribe
from tests.webhooks.receiver import Receiver
from tests.webhooks.test_dispatch import told
from tests.world import in_background, sql, until
from webhooks import holds, ticking

URL = "http://127.0.0.1:9/hook"


def held_by(worker: str, beat: str) -> None:
    """As if this drain held every endpoint, and had beaten so long ago."""
    sql("UPDATE webhook_endpoints SET worker = %s", worker)
    sql("INSERT INTO webhook_workers VALUES (%s, clock_timestamp() - %s::interval, '-infinity')", worker, beat)


def holder() -> str | None:
    return sql("SELECT worker FROM webhook_endpoints")[0][0]


def test_a_hold_lasts_while_its_drain_beats(acme):
    subscribe(acme, URL)
    held_by("alive", "10 seconds")
    assert holds.recover() == 0
    assert holder() == "alive"


def test_a_hold_whose_drain_stopped_beating_is_free_after_the_lease(acme, monkeypatch):
    subscribe(acme, URL)
    held_by("dead", "1 hour")
    until(lambda: sql("SELECT pg_postmaster_start_time() < clock_timestamp() - interval '1 second'")[0][0])
    monkeypatch.setattr(holds, "LEASE", holds.timedelta(seconds=1))
    assert holds.recover() == 1
    assert holder() is None


def test_a_drain_the_database_forgot_gets_a_whole_lease(acme):
    subscribe(acme, URL, worker="forgotten")
    assert holds.recover() == 0
    assert sql("SELECT id FROM webhook_workers") == [("forgotten",)]


def test_a_drain_that_lost_its_hold_writes_nothing_and_the_other_posts_again(acme):
    with Receiver() as receiver:
        endpoint = subscribe(acme, receiver.url)
        told(acme)
        began, goes_on = threading.Event(), threading.Event()

        def answer(request):
            began.set()
            goes_on.wait(10)
            return receiver.default

        receiver.answer = answer
        first = in_background(deliver)
        assert began.wait(10)
        sql("UPDATE webhook_endpoints SET worker = 'other'")
        goes_on.set()
        first.result()
        assert deliveries(endpoint)[0].status == "waiting"
        sql("UPDATE webhook_endpoints SET worker = NULL")
        assert deliver() == 1
        assert deliveries(endpoint)[0].status == "succeeded"
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


def test_the_tick_wakes_one_drain_for_what_is_due(acme):
    subscribe(acme, URL)
    told(acme)
    sql("DELETE FROM django_q_ormq")
    ticking.tick()
    ticking.tick()
    assert jobs_waiting() == 1


def test_the_tick_wakes_nobody_for_what_waits_or_may_not_be_sent(acme):
    later, paused, disabled = (subscribe(acme, URL) for _ in range(3))
    told(acme)
    sql("DELETE FROM django_q_ormq")
    sql("UPDATE webhook_deliveries SET due_at = now() + interval '100 ms' WHERE endpoint_id = %s", later.id)
    sql("UPDATE webhook_endpoints SET paused_until = now() + interval '1 hour' WHERE id = %s", paused.id)
    sql("UPDATE webhook_endpoints SET disabled = 'customer' WHERE id = %s", disabled.id)
    assert ticking.tick() <= 0.1
    assert jobs_waiting() == 0
    assert not ticking.idle_with_work()


def test_a_look_walks_over_endpoints_not_over_deliveries(acme):
    for _ in range(3):
        subscribe(acme, URL)
    told(acme, 300)
    seen = holds.look()
    assert seen.oldest_age is not None
    assert seen.neglected_age == seen.oldest_age
    assert holds.waiting() == 900
    sql("ANALYZE webhook_deliveries")
    sql("SET enable_seqscan = off")
    plan = sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {holds._WAITING} SELECT * FROM waiting")[0][0]
    sql("RESET enable_seqscan")
    rows = [
        node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan[0]["Plan"]) if "Index" in node["Node Type"]
    ]
    assert rows
    assert sum(rows) <= 4


def nodes(plan: dict) -> list[dict]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes(child))]
