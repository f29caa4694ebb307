"""GET /v1/queues: how deep, how old, how fast."""

from io import StringIO

from django.core.management import call_command

from messaging.queues import depth
from tests import world
from tests.world import drain, from_now, send


def queues(api) -> dict:
    answer = api.get("/v1/queues")
    assert answer.status == 200, answer.json
    return answer.json


def part(shown: dict, name: str, value: str | None) -> dict:
    key = {"tiers": "tier", "destinations": "destination", "routes": "route", "waiting": "waits_for"}[name]
    return next(one for one in shown[name] if one[key] == value)


def test_an_empty_queue_is_all_noughts(api):
    shown = queues(api)
    assert shown["total"] == {
        "depth": 0, "due": 0, "oldest_seconds": None, "truncated": False,
        "in_flight": 0, "per_minute": 0.0, "drain_seconds": None,
    }  # fmt: skip
    assert [one["tier"] for one in shown["tiers"]] == ["critical", "high", "normal", "low"]
    assert (shown["destinations"], shown["routes"], shown["waiting"]) == ([], [], [])


def test_what_waits_is_counted_by_tier_destination_and_reason(api):
    for fields in ({}, {"priority": "low", "recipient": "min@gmail.com"}, {"scheduled_time": from_now(hours=1)}):
        send(api, **fields)
    world.sql("UPDATE messages SET due_at = now() - interval '90 seconds' WHERE tier = 3")
    shown = queues(api)
    assert (shown["total"]["depth"], shown["total"]["due"]) == (3, 2)
    assert 90 <= shown["total"]["oldest_seconds"] < 120
    assert (part(shown, "tiers", "normal")["depth"], part(shown, "tiers", "low")["due"]) == (2, 1)
    assert (part(shown, "destinations", "hanbit.example")["depth"], part(shown, "destinations", "gmail")["due"]) == (
        2,
        1,
    )
    assert part(shown, "waiting", "scheduled") == {
        "waits_for": "scheduled", "depth": 1, "due": 0, "oldest_seconds": None, "truncated": False
    }  # fmt: skip
    assert part(shown, "routes", None)["depth"] == 3


def test_each_wait_has_its_name(api, sink):
    sink.script["rcpt"] = "451 4.3.0 later"
    send(api)
    drain()
    api.post("/v1/queues/pause", {"tier": "low", "reason": "moving house"})
    send(api, priority="low")
    drain()
    shown = queues(api)
    assert {one["waits_for"]: one["depth"] for one in shown["waiting"]} == {"retry": 1, "paused": 1}
    assert {one["route"]: one["depth"] for one in shown["routes"]} == {f"smtp:127.0.0.1:{sink.port}": 1, None: 1}


def test_what_workers_hold_and_what_has_left_is_told(api, sink):
    for _ in range(5):
        send(api)
    drain()
    held = send(api)
    world.dying_worker(held)
    send(api)
    shown = queues(api)
    for figures in (
        shown["total"], part(shown, "tiers", "normal"), part(shown, "destinations", "hanbit.example")
    ):  # fmt: skip
        assert (figures["in_flight"], figures["due"], figures["per_minute"]) == (1, 1, 1.0)
        assert figures["drain_seconds"] == 120.0
    assert part(shown, "routes", f"smtp:127.0.0.1:{sink.port}")["per_minute"] == 1.0


def test_at_high_rates_the_newest_events_tell_the_rate(api, sink, monkeypatch):
    for _ in range(4):
        send(api)
    drain()
    monkeypatch.setattr(depth, "ENDED", 12)
    world.sql("UPDATE events SET at = clock_timestamp() - interval '30 seconds'")
    assert 7.0 < queues(api)["total"]["per_minute"] <= 8.0


def test_what_is_canceled_is_not_the_rate_of_delivery(api, sink):
    mail = send(api)
    assert api.post(f"/v1/messages/{mail}/cancel").status == 200
    assert queues(api)["total"]["per_minute"] == 0.0


def test_beyond_a_number_of_rows_it_counts_no_further_and_says_so(api, monkeypatch):
    monkeypatch.setattr(depth, "COUNTED", 3)
    monkeypatch.setattr(depth, "SORTED", 2)
    for _ in range(3):
        send(api)
    shown = queues(api)
    assert (shown["total"]["depth"], shown["total"]["truncated"]) == (3, False)
    assert (part(shown, "destinations", "hanbit.example")["depth"], shown["destinations"][0]["truncated"]) == (2, True)
    send(api)
    total = queues(api)["total"]
    assert (total["depth"] >= 3, total["truncated"]) == (True, True)


def test_each_account_and_environment_sees_its_own(acme, globex):
    for other in (globex.live, acme.test):
        send(other)
    assert queues(acme.live)["total"]["depth"] == 0
    assert queues(acme.test)["total"]["depth"] == 1


def test_operators_see_what_waits_of_each_account(acme, globex):
    for number in range(3):
        send(globex.live, priority=("critical", "low", "low")[number])
    send(acme.test, scheduled_time=from_now(hours=1))
    world.sql("UPDATE messages SET due_at = now() - interval '2 hours' WHERE tier = 0")
    out = StringIO()
    call_command("queues", stdout=out)
    first, second = out.getvalue().splitlines()
    assert first.startswith("globex: 3 waiting, 3 due, the oldest for 72")
    assert second == "acme: 1 waiting, 0 due"
