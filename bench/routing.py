"""Routing: what routes, rules and policies of an account cost a message, beside the default route alone; and the decision by
itself."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median

from bench import deliver, seeding, ways
from bench.report import Part, Sample
from bench.stage import Stage
from messaging.delivery import routing
from messaging.delivery.ways import Action, Conditions, Facts, Kind, Path, Policy, Route, Rule, RuleBook, Snapshot

COUNT = 10_000
ROUTES, RULES, POLICIES = 5, 20, 5
DECISIONS = 2_000


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    """The same queue drained both ways in turns, over 20 sessions. Only the last rule and the last policy hold, so that all
    are asked."""
    count = max(200, round(COUNT * scale))
    shape = f"{ROUTES} routes, {RULES} rules, {POLICIES} policies"
    part = Part("routing", f"drain of {count:,} ready 5 KB messages with {shape}", aim="no slower by more than a tenth")
    sink, port = stage.smtp_sink()
    try:
        seeding.pattern(stage)
        for number in range(rounds):
            sides = ["with rules", "default route"]
            for side in sides if number % 2 == 0 else reversed(sides):
                part.add(side, _drain(stage, port, count, side == "with rules"))
            part.add("decision alone", _decisions())
    finally:
        stage.stop(sink)
    part.ratio("with rules", "default route", "per_second")
    part.ratio("with rules", "default route", "worker_cpu_us")
    return part


def _drain(stage: Stage, port: int, count: int, rules: bool) -> Sample:
    ways.clear(stage)
    if rules:
        routes = [ways.smarthost(f"way {number}", port, connections=10 // ROUTES) for number in range(ROUTES)]
        names = [route["name"] for route in routes]
        others = [
            ways.rule(f"rule {number}", names[:1], domains=[f"d{number}.test"], tiers=["normal"])
            for number in range(RULES - 1)
        ]
        policies = [{"name": f"policy {number}", "when": {"tags": [f"t{number}"]}} for number in range(POLICIES - 1)]
        last = {"name": "last", "when": {}, "retry_ladder": [60, 600]}
        ways.publish(stage, routes, [*others, ways.rule("last", names)], [*policies, last])
    return deliver.drain(stage, port, count)


def _decisions() -> Sample:
    """Microseconds of `routing.choose`, by the same shape, without a database."""
    facts = Facts(1, True, 2, "example.test", tags=("order",), sender_domain="bench.test", size=5_000)
    default = Route("default", "default", Kind.SMTP)
    return {
        "default_us": _microseconds(Snapshot(default), facts),
        "rules_us": _microseconds(_book(default), facts),
    }


def _book(default: Route) -> Snapshot:
    routes = tuple(Route(f"rte_{number}", f"way {number}", Kind.SMTP, account_id=1) for number in range(ROUTES))
    candidates = tuple((route.id, 100) for route in routes)
    rules = [
        Rule(
            f"rul_{number}",
            f"rule {number}",
            Conditions(domains=frozenset({f"d{number}.test"})),
            Action.ROUTE,
            candidates,
        )
        for number in range(RULES - 1)
    ]
    policies = [
        Policy(f"pol_{number}", f"policy {number}", 1, Conditions(tags=frozenset({f"t{number}"})))
        for number in range(POLICIES - 1)
    ]
    return Snapshot(
        default,
        routes={route.id: route for route in routes},
        routes_of={1: routes},
        rules={1: RuleBook(1, (*rules, Rule("last", "last", Conditions(), Action.ROUTE, candidates)))},
        policies={1: (*policies, Policy("last", "last", 1, Conditions()))},
        paths={(route.id, "example.test"): Path(success=0.9) for route in routes},
    )


def _microseconds(book: Snapshot, facts: Facts) -> float:
    now, rng = datetime.now(UTC), random.Random(1)
    return median(_timed(lambda: routing.choose(book, facts, now, rng)) for _ in range(DECISIONS))


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e6
