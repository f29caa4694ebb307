"""Which path a message takes out, and why. Pure: a decision over a snapshot of routes, rules, policies, pauses and health
(routebook.py reads it), which explains itself with each attempt and in POST /v1/routing/simulate."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Any

from messaging.delivery.smtp import TlsPolicy

NOTHING_FREE = timedelta(seconds=60)
"""How long a message waits that no route may carry now, unless it is known when one may again."""


class Kind(StrEnum):
    """Where a route leads: kept here and shown, made-up outcomes for test keys, a smarthost, the recipient's own hosts, or a
    provider's API."""

    INBOX = "inbox"
    SANDBOX = "sandbox"
    SMTP = "smtp"
    MX = "mx"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Route:
    """A path out. `connections` is per destination and worker process; `per_day` is today's, warm-up included."""

    id: str
    name: str
    kind: Kind
    account_id: int | None = None
    host: str = ""
    port: int = 25
    username: str = ""
    password: str = field(default="", repr=False)
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    verify: bool = False
    cafile: str | None = None
    helo: str = ""
    source_address: str | None = None
    backend: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    connections: int = 20
    allow_private: bool = False
    enabled: bool = True
    weight: int = 100
    per_minute: int | None = None
    per_day: int | None = None
    tiers: frozenset[int] = frozenset()

    def lane(self, destination: str) -> str:
        """What shares connections and pace: the destination when we go there ourselves, else the route."""
        return f"{self.id} {destination}" if self.kind is Kind.MX else self.id


SANDBOX = Route("sandbox", "sandbox", Kind.SANDBOX, connections=32)


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules, policies and pauses may ask of a message. `provider` is who hosts the recipient's domain, when known."""

    account_id: int
    livemode: bool
    tier: int
    domain: str
    provider: str | None = None
    template: str | None = None
    tags: tuple[str, ...] = ()
    sender_domain: str = ""
    key_id: str = ""
    size: int = 0

    @property
    def destination(self) -> str:
        """The unit of pacing and health: the provider's group, else the domain."""
        return self.provider or self.domain


@dataclass(frozen=True, slots=True)
class Conditions:
    """All must hold; a list holds when it has the message's value, an empty one always. Sizes are octets."""

    domains: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    destinations: frozenset[str] = frozenset()
    tiers: frozenset[int] = frozenset()
    templates: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    sender_domains: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    larger_than: int | None = None
    smaller_than: int | None = None

    def hold(self, facts: Facts) -> bool:
        return (
            (not self.domains or facts.domain in self.domains)
            and (not self.providers or facts.provider in self.providers)
            and (not self.destinations or facts.destination in self.destinations or facts.domain in self.destinations)
            and (not self.tiers or facts.tier in self.tiers)
            and (not self.templates or facts.template in self.templates)
            and (not self.tags or not self.tags.isdisjoint(facts.tags))
            and (not self.sender_domains or facts.sender_domain in self.sender_domains)
            and (not self.keys or facts.key_id in self.keys)
            and (self.larger_than is None or facts.size > self.larger_than)
            and (self.smaller_than is None or facts.size < self.smaller_than)
        )


class Action(StrEnum):
    ROUTE = "route"
    HOLD = "hold"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Rule:
    """Candidates are (route id, weight); `fallback` is asked only when none of them may carry the message."""

    id: str
    name: str
    when: Conditions
    action: Action
    candidates: tuple[tuple[str, int], ...] = ()
    fallback: tuple[tuple[str, int], ...] = ()
    reason: str = ""
    hold: timedelta = NOTHING_FREE


@dataclass(frozen=True, slots=True)
class RuleBook:
    """An account's published rules, or the platform's."""

    version: int
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard a message is tried. None: the default."""

    id: str
    name: str
    version: int
    when: Conditions
    ladder: tuple[int, ...] | None = None
    ttl: timedelta | None = None
    holds_uncertain: bool = False
    connections: int | None = None
    per_connection: int | None = None
    per_minute: int | None = None


DEFAULT_POLICY = Policy("default", "default", 1, Conditions())


@dataclass(frozen=True, slots=True)
class Pause:
    """Mail held back; None matches everything."""

    id: str
    account_id: int | None
    tier: int | None
    destination: str | None
    route_id: str | None
    reason: str
    until: datetime | None

    def holds(self, facts: Facts) -> bool:
        """Whether it holds the message back whatever its route."""
        return self.route_id is None and self._concerns(facts)

    def closes(self, route_id: str, facts: Facts) -> bool:
        return self.route_id == route_id and self._concerns(facts)

    def _concerns(self, facts: Facts) -> bool:
        return (
            self.account_id in (None, facts.account_id)
            and self.tier in (None, facts.tier)
            and self.destination in (None, facts.destination, facts.domain)
        )


@dataclass(frozen=True, slots=True)
class Path:
    """The health of one route to one destination. `closed_until`: its breaker is open; `probing`: half open, a few may try."""

    success: float = 1.0
    reputation: float = 1.0
    closed_until: datetime | None = None
    probing: bool = False


WELL = Path()


def success(delivered: float, deferred: float, bounced: float, failed: float) -> float:
    """How often a try by this path comes to an end, 0 to 1: a refusal for good is an answer too. Few tries tell little."""
    return (delivered + bounced + 2) / (delivered + bounced + deferred + failed + 2)


def reputation(delivered: float, bounced: float, complained: float) -> float:
    """What the destination makes of mail by this path, 0.05 to 1: a bounce rate of 5 % takes a quarter off, a complaint rate of
    0.3 % a third."""
    mails = delivered + bounced + 20
    return max(0.05, 1 - 5 * bounced / mails) * max(0.05, 1 - 110 * complained / mails)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a decision is made from, as it stood a moment ago. Keys of None are the platform's."""

    default: Route
    routes: Mapping[str, Route] = field(default_factory=dict)
    routes_of: Mapping[int | None, tuple[Route, ...]] = field(default_factory=dict)
    rules: Mapping[int | None, RuleBook] = field(default_factory=dict)
    policies: Mapping[int | None, tuple[Policy, ...]] = field(default_factory=dict)
    pauses: tuple[Pause, ...] = ()
    paths: Mapping[tuple[str, str], Path] = field(default_factory=dict)
    used_today: Mapping[str, int] = field(default_factory=dict)

    def path(self, route: Route, facts: Facts) -> Path:
        return self.paths.get((route.id, facts.destination), WELL)


@dataclass(frozen=True, slots=True)
class Choice:
    """The decision. With action ROUTE there is a route; with HOLD `reason` says why, and `until` when it is worth looking again
    (None: NOTHING_FREE from now)."""

    action: Action
    route: Route | None
    policy: Policy
    reason: str
    explanation: dict[str, Any]
    until: datetime | None = None


def choose(book: Snapshot, facts: Facts, now: datetime, rng: Random, load: Mapping[str, int] | None = None) -> Choice:
    """Where a message goes. `load` is what this process has under way by route id."""
    policy = policy_of(book, facts)
    if not facts.livemode:
        return _sent_by(SANDBOX, policy, "sent with a test key: no mail server is ever contacted")
    for pause in book.pauses:
        if pause.holds(facts):
            return _held(policy, f"paused: {pause.reason}", {"pause": pause.id}, pause.until)
    version, rule = rule_of(book, facts)
    if rule is None:
        return _by_default(book, facts, policy, now, rng, load or {})
    told = {"rule": rule.id, "rule_name": rule.name, "rules_version": version}
    if rule.action is Action.REJECT:
        return Choice(Action.REJECT, None, policy, rule.reason, {**told, "why": f"rule {rule.name}: {rule.reason}"})
    if rule.action is Action.HOLD:
        return _held(policy, f"rule {rule.name}: {rule.reason}", told, now + rule.hold)
    return _among(book, facts, policy, now, rng, load or {}, _named(book, facts, rule), f"rule {rule.name}", told)


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


def _by_default(
    book: Snapshot, facts: Facts, policy: Policy, now: datetime, rng: Random, load: Mapping[str, int]
) -> Choice:
    routes = book.routes_of.get(facts.account_id) or book.routes_of.get(None)
    if not routes:
        if not book.pauses and (book.default.id, facts.destination) not in book.paths:
            return _sent_by(book.default, policy, "no routing rule applies: the default route")
        routes = (book.default,)
    stage = tuple((route, route.id, route.weight) for route in routes)
    return _among(book, facts, policy, now, rng, load, (stage,), "no routing rule applies", {})


def _sent_by(route: Route, policy: Policy, why: str) -> Choice:
    return Choice(Action.ROUTE, route, policy, why, {"route": route.name, "why": why, "policy": policy.name})


def _held(policy: Policy, reason: str, told: dict[str, Any], until: datetime | None) -> Choice:
    return Choice(Action.HOLD, None, policy, reason, {**told, "why": reason, "policy": policy.name}, until)


@dataclass(frozen=True, slots=True)
class _Judged:
    """One candidate: its score, or why it may not carry this message now and until when."""

    route: Route | None
    name: str
    score: float
    barred: str | None
    until: datetime | None = None

    def shown(self, share: float) -> dict[str, Any]:
        return {
            "route": self.route.id if self.route else self.name,
            "name": self.route.name if self.route else self.name,
            "score": round(self.score, 3),
            "share": round(share, 3),
            "barred": self.barred,
        }


def _among(
    book: Snapshot,
    facts: Facts,
    policy: Policy,
    now: datetime,
    rng: Random,
    load: Mapping[str, int],
    stages: Stages,
    because: str,
    told: dict[str, Any],
) -> Choice:
    seen: list[dict[str, Any]] = []
    waits: list[datetime] = []
    for number, stage in enumerate(stages):
        judged = [_judge(book, facts, now, load, *candidate) for candidate in stage]
        total = sum(one.score for one in judged)
        seen += [one.shown(one.score / total if total else 0.0) for one in judged]
        waits += [one.until for one in judged if one.until]
        if total:
            taken = _drawn(judged, total, rng)
            why = f"{because}: {'the fallback, ' if number else ''}{_reason(judged, taken)}"
            shown = {**told, "route": taken.name, "why": why, "policy": policy.name, "candidates": seen}
            return Choice(Action.ROUTE, taken, policy, why, shown)
    reason = f"{because}: no route may carry it now"
    return _held(policy, reason, {**told, "candidates": seen}, min(waits, default=None))


def _judge(
    book: Snapshot,
    facts: Facts,
    now: datetime,
    load: Mapping[str, int],
    route: Route | None,
    name: str,
    weight: int,
) -> _Judged:
    if route is None:
        return _Judged(None, name, 0.0, "there is no such route")
    path = book.path(route, facts)
    barred, until = _bar(book, facts, route, path, now)
    if barred:
        return _Judged(route, name, 0.0, barred, until)
    return _Judged(route, name, weight * path.success * path.reputation / (1 + load.get(route.id, 0) / 100), None)


def _bar(book: Snapshot, facts: Facts, route: Route, path: Path, now: datetime) -> tuple[str | None, datetime | None]:
    """Why this route may not carry the message now, and until when if that is known."""
    if not route.enabled:
        return "disabled", None
    if route.tiers and facts.tier not in route.tiers:
        return "does not carry this tier", None
    for pause in book.pauses:
        if pause.closes(route.id, facts):
            return f"paused: {pause.reason}", pause.until
    if path.closed_until is not None and path.closed_until > now:
        return "breaker open", path.closed_until
    if route.per_day is not None and book.used_today.get(route.id, 0) >= route.per_day:
        return "over today's cap", _tomorrow(now)
    return None, None


def _tomorrow(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _drawn(judged: Iterable[_Judged], total: float, rng: Random) -> Route:
    """One of the candidates, by chance in proportion to their scores."""
    point = rng.random() * total
    last = None
    for one in judged:
        if one.route is not None and one.score > 0:
            last, point = one.route, point - one.score
            if point <= 0:
                break
    if last is None:
        raise ValueError("no candidate has a score")
    return last


def _reason(judged: list[_Judged], taken: Route) -> str:
    usable = [one for one in judged if one.score > 0]
    if len(usable) == 1:
        return "the only usable route" if len(judged) > 1 else "its only route"
    share = next(one.score for one in usable if one.route is taken) / sum(one.score for one in usable)
    return f"one of {len(usable)} usable routes, with a share of {share:.0%}"
