"""Which path a message takes out, and why. Pure: a decision over a snapshot of routes, rules, policies, pauses and health
(routebook.py reads it), which explains itself with each attempt and in POST /v1/routing/simulate."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from messaging.delivery.ways import (
    DEFAULT_POLICY,
    SANDBOX,
    WELL,
    Action,
    Facts,
    Path,
    PathKey,
    Pause,
    Policy,
    Route,
    Rule,
    Snapshot,
)
from sendarix.core.times import zulu

PROBES_OUT = timedelta(seconds=1)
"""How long a message waits whose only route is half open and has its probes under way."""

MOST_NAMED = 5
"""Routes that a waiting message's note names."""

URGENT_PROBES = 0.1
"""Share of critical messages that may be the probe of a half-open path while another route could carry them."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The decision. With action ROUTE there is a route; with HOLD `reason` says why, and `until` when it is worth looking again
    (None: NOTHING_FREE from now). `probes`: the half-open paths that the message is to find out about. `resting`: it is held
    only because its routes' breakers are open or their limits reached. `pauses`: the ids of those that alone hold it, or that
    close every route which could carry it otherwise."""

    action: Action
    route: Route | None
    policy: Policy
    reason: str
    explanation: dict[str, Any]
    until: datetime | None = None
    probes: tuple[PathKey, ...] = ()
    resting: bool = False
    pauses: tuple[str, ...] = ()

    @property
    def connections(self) -> int:
        """At once, to each destination; the narrower of the route's and the policy's."""
        allowed = self.route.connections if self.route else 1
        return min(allowed, self.policy.connections or allowed)

    def lane(self, destination: str) -> str:
        """What the message shares connections and pace with: its route's lane, unless its policy says how many connections it
        may have."""
        if self.route is None:
            raise ValueError("a message without a route has no lane")
        if self.policy.connections is None:
            return self.route.lane(destination)
        return f"{self.route.id} {destination} {self.policy.id}"


def choose(
    book: Snapshot,
    facts: Facts,
    now: datetime,
    rng: Random,
    load: Mapping[str, int] | None = None,
    probes: Mapping[PathKey, int] | None = None,
    impatient: bool = False,
) -> Choice:
    """Where a message goes. `load` is what this process has under way by route id, `probes` how many probes each half-open path
    may take now (None: there is one for the asking), `impatient` a message that open breakers hold back no longer."""
    policy = policy_of(book, facts)
    if not facts.livemode:
        return _sent_by(SANDBOX, policy, "sent with a test key: no mail server is ever contacted")
    if pause := pause_of(book, facts, now):
        held = _held(policy, paused(pause), {"pause": pause.id}, pause.until)
        return replace(held, pauses=(pause.id,))
    case = _Case(book, facts, policy, now, rng, load or {}, probes, impatient)
    version, rule = rule_of(book, facts)
    if rule is None:
        return _by_default(case)
    told = {"rule": rule.id, "rule_name": rule.name, "rules_version": version}
    if rule.action is Action.REJECT:
        return Choice(Action.REJECT, None, policy, rule.reason, {**told, "why": f"rule {rule.name}: {rule.reason}"})
    if rule.action is Action.HOLD:
        return _held(policy, f"rule {rule.name}: {rule.reason}", told, now + rule.hold)
    return _among(case, _named(book, facts, rule), lambda why: f"rule {rule.name}: {why}", told)


@dataclass(frozen=True, slots=True)
class _Case:
    """What `choose` was asked, with the policy that applies."""

    book: Snapshot
    facts: Facts
    policy: Policy
    now: datetime
    rng: Random
    load: Mapping[str, int]
    probes: Mapping[PathKey, int] | None
    impatient: bool


def pause_of(book: Snapshot, facts: Facts, now: datetime) -> Pause | None:
    """The pause that holds the message back whatever its route: the one that lasts longest. Mail of test keys has none."""
    holding = [pause for pause in book.pauses_of(facts.account_id) if pause.holds(facts, now)] if facts.livemode else []
    return next((pause for pause in holding if pause.until is None), None) or max(
        holding, key=lambda pause: pause.until or now, default=None
    )


def stopped(book: Snapshot, route: Route, facts: Facts, now: datetime) -> bool:
    """Whether a pause forbids a message that was about to leave by this route."""
    pauses = book.pauses_of(facts.account_id) if facts.livemode else ()
    return any(pause.holds(facts, now) or pause.closes(route.id, facts, now) for pause in pauses)


def paused(pause: Pause) -> str:
    """What is said of a message that waits for the end of this pause; queues.pauses finds it by these words."""
    return f"paused: {pause.reason}"


def policy_of(book: Snapshot, facts: Facts) -> Policy:
    """The first of the account's policies whose conditions hold, then the platform's, then the default."""
    for owner in (facts.account_id, None):
        for policy in book.policies.get(owner, ()):
            if policy.when.hold(facts):
                return policy
    return DEFAULT_POLICY


def rule_of(book: Snapshot, facts: Facts) -> tuple[int, Rule | None]:
    """The first rule that holds, with the version of its set: the account's rules come before the platform's."""
    for owner in (facts.account_id, None):
        rules = book.rules.get(owner)
        for rule in rules.rules if rules else ():
            if rules and rule.when.hold(facts):
                return rules.version, rule
    return 0, None


Stages = tuple[tuple[tuple[Route | None, str, int], ...], ...]
"""Candidates (route, its name, weight) in stages: a later stage is asked when no one of the earlier may carry the message."""


def _named(book: Snapshot, facts: Facts, rule: Rule) -> Stages:
    return tuple(
        tuple((_own(book, facts, route_id), route_id, weight) for route_id, weight in stage)
        for stage in (rule.candidates, rule.fallback)
        if stage
    )


def _own(book: Snapshot, facts: Facts, route_id: str) -> Route | None:
    """A route of the account or of the platform; another account's is none."""
    route = book.routes.get(route_id)
    return route if route and route.account_id in (None, facts.account_id) else None


def _by_default(case: _Case) -> Choice:
    book, facts = case.book, case.facts
    routes = book.routes_of.get(facts.account_id) or book.routes_of.get(None)
    if not routes:
        if not book.pauses_of(facts.account_id) and not book.ways(book.default, facts):
            return _sent_by(book.default, case.policy, "no routing rule applies: the default route")
        routes = (book.default,)
    stage = tuple((route, route.id, route.weight) for route in routes)
    return _among(case, (stage,), lambda why: f"no routing rule applies: {why}", {})


def _sent_by(route: Route, policy: Policy, why: str) -> Choice:
    return Choice(Action.ROUTE, route, policy, why, {"route": route.name, "why": why, **_under(policy)})


def _under(policy: Policy) -> dict[str, Any]:
    return {"policy": policy.name, "policy_version": policy.version}


def _held(policy: Policy, reason: str, told: dict[str, Any], until: datetime | None) -> Choice:
    return Choice(Action.HOLD, None, policy, reason, {**told, "why": reason, **_under(policy)}, until)


@dataclass(frozen=True, slots=True)
class _Judged:
    """One candidate: its score, or why it may not carry this message now and until when. `probes`: it is half open, and may
    carry it to find out about these paths. `rests`: waiting is all that it takes. `pause`: the id of the one that closes it.
    `path`: what its score was made from."""

    route: Route | None
    name: str
    score: float
    barred: str | None = None
    until: datetime | None = None
    probes: tuple[PathKey, ...] = ()
    rests: bool = False
    pause: str | None = None
    path: Path = WELL

    def shown(self, share: float) -> dict[str, Any]:
        return {
            "route": self.route.id if self.route else self.name,
            "name": self.route.name if self.route else self.name,
            "score": round(self.score, 3),
            "success": round(self.path.success, 3),
            "reputation": round(self.path.reputation, 3),
            "share": round(share, 3),
            "barred": self.barred,
            "half_open": bool(self.probes),
        }


def _among(case: _Case, stages: Stages, because: Callable[[str], str], told: dict[str, Any]) -> Choice:
    """`because`: the reason, with what led to these stages."""
    judged = [[_judge(case, *candidate) for candidate in stage] for stage in stages]
    seen = [one.shown(one.score / (_total(stage) or 1)) for stage in judged for one in stage]
    for number, stage in enumerate(judged):
        taken = _taken(case, stage, last=not any(_total(later) for later in judged[number + 1 :]))
        if taken is not None and taken.route is not None:
            reason = _reason(stage, taken)
            why = because(f"the fallback, {reason}" if number else reason)
            shown = {**told, "route": taken.route.name, "why": why, **_under(case.policy), "candidates": seen}
            return Choice(Action.ROUTE, taken.route, case.policy, why, shown, probes=taken.probes)
    everyone = [one for stage in judged for one in stage]
    barred = "; ".join(f"{one.route.name if one.route else one.name}: {one.barred}" for one in everyone[:MOST_NAMED])
    until = min((one.until for one in everyone if one.until), default=None)
    why = because(f"no route may carry it now ({barred})")
    held = _held(case.policy, why, {**told, "candidates": seen}, until)
    resting = any(one.rests for one in everyone)
    return replace(held, resting=resting, pauses=() if resting else tuple(one.pause for one in everyone if one.pause))


def _total(judged: Iterable[_Judged]) -> float:
    return sum(one.score for one in judged)


def _taken(case: _Case, judged: list[_Judged], last: bool) -> _Judged | None:
    """A half-open candidate that may be probed, so that it is found out about; else one by chance. Critical messages seldom
    probe while another route could carry them; `last`: no later stage could."""
    probed = next((one for one in judged if one.score and one.probes), None)
    others = [one for one in judged if one.score and not one.probes]
    if probed and (case.facts.tier or not (others or not last) or case.rng.random() < URGENT_PROBES):
        return probed
    return _drawn(others, case.rng) if others else None


def _judge(case: _Case, route: Route | None, name: str, weight: int) -> _Judged:
    if route is None:
        return _Judged(None, name, 0.0, "there is no such route")
    ways, path = case.book.ways(route, case.facts), case.book.path(route, case.facts)
    judged = partial(_Judged, route, name, path=path)
    if barred := _bar(case, route):
        return judged(0.0, *barred)
    if weight <= 0:
        return judged(0.0, "its weight is 0")
    for pause in case.book.pauses_of(case.facts.account_id):
        if pause.closes(route.id, case.facts, case.now):
            return judged(0.0, paused(pause), pause.until, pause=pause.id)
    if resting := _rest(case, route, ways):
        return judged(0.0, *resting, rests=True)
    score = weight * path.success * path.reputation / (1 + case.load.get(route.id, 0) / 100)
    return judged(score, probes=tuple(key for key, way in ways if way.half_open(case.now) and not case.impatient))


Bar = tuple[str, datetime | None]
"""Why a route may not carry the message now, and until when if that is known."""


def _bar(case: _Case, route: Route) -> Bar | None:
    """What its settings say against it."""
    if not route.enabled:
        return "disabled", None
    if route.tiers and case.facts.tier not in route.tiers:
        return "does not carry this tier", None
    return None


def _rest(case: _Case, route: Route, ways: list[tuple[PathKey, Path]]) -> Bar | None:
    """What today's count and the health of its paths say against it: nothing that does not pass."""
    if route.per_day is not None and case.book.used_today.get(route.id, 0) >= route.per_day:
        return "over today's warm-up cap" if route.warming else "over today's cap", _tomorrow(case.now)
    for key, way in ways:
        if way.asks_to_wait(case.facts.tier, case.now):
            return f"asked to be left alone until {zulu(way.wait_until)}", way.wait_until
        if case.impatient:
            continue
        if way.open(case.now):
            return f"breaker open until {zulu(way.closed_until)}", way.closed_until
        if way.half_open(case.now) and case.probes is not None and case.probes.get(key, 0) <= 0:
            return "half open, its probes are under way", case.now + PROBES_OUT
    return None


def _tomorrow(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _drawn(usable: list[_Judged], rng: Random) -> _Judged:
    """One of the candidates, by chance in proportion to their scores."""
    point = rng.random() * _total(usable)
    for one in usable:
        point -= one.score
        if point <= 0:
            return one
    return usable[-1]


def _reason(judged: list[_Judged], taken: _Judged) -> str:
    if taken.probes:
        return "a probe of its half-open path"
    usable = [one for one in judged if one.score > 0]
    if len(usable) == 1:
        return "the only usable route" if len(judged) > 1 else "its only route"
    return f"one of {len(usable)} usable routes, with a share of {taken.score / _total(usable):.0%}"
