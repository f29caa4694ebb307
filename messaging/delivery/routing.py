"""Which path a message takes out, and why. Pure: a decision over a snapshot of routes, rules, policies, pauses and health
(routebook.py reads it), which explains itself with each attempt and in POST /v1/routing/simulate."""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from random import Random
from typing import Any

from messaging.delivery.smtp import TlsPolicy
from sendarix.core.times import zulu

NOTHING_FREE = timedelta(seconds=60)
"""How long a message waits that no route may carry now, unless it is known when one may again."""


PROBES_OUT = timedelta(seconds=1)
"""How long a message waits whose only route is half open and has its probes under way."""

MOST_NAMED = 5
"""Routes that a waiting message's note names."""

URGENT_PROBES = 0.1
"""Share of critical messages that may be the probe of a half-open path while another route could carry them."""

EVERYWHERE = "*"
"""The destination under which the health of a smarthost or a provider as a whole is kept."""

PathKey = tuple[str, str]
"""Route id and destination."""


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
    """A path out. `connections` is per destination and worker process; `per_day` is today's, and `warming` whether its warm-up
    says so."""

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
    warming: bool = False
    tiers: frozenset[int] = frozenset()

    def lane(self, destination: str) -> str:
        """What shares connections and pace: the destination when we go there ourselves, else the route."""
        return f"{self.id} {destination}" if self.kind is Kind.MX else self.id


SANDBOX = Route("sandbox", "sandbox", Kind.SANDBOX, connections=32)


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules, policies and pauses may ask of a message. `provider` is who hosts the recipient's domain,
    and `mail_hosts` where, when known."""

    account_id: int
    livemode: bool
    tier: int
    domain: str
    provider: str | None = None
    mail_hosts: tuple[str, ...] = ()
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
    """All must hold; a list holds when it has the message's value, an empty one always. Sizes are octets. `mail_hosts` are
    names of hosts and of what they stand below."""

    domains: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    mail_hosts: frozenset[str] = frozenset()
    destinations: frozenset[str] = frozenset()
    tiers: frozenset[int] = frozenset()
    templates: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    sender_domains: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    larger_than: int | None = None
    smaller_than: int | None = None

    def names_host(self, hosts: Iterable[str]) -> bool:
        return any(host == end or host.endswith(f".{end}") for host in hosts for end in self.mail_hosts)

    def speaks_of(self, providers: Container[str]) -> bool:
        return bool(self.providers or self.mail_hosts) or any(one in providers for one in self.destinations)

    def hold(self, facts: Facts) -> bool:
        return (
            (not self.domains or facts.domain in self.domains)
            and (not self.providers or facts.provider in self.providers)
            and (not self.mail_hosts or self.names_host(facts.mail_hosts))
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
    key_id: str | None = None

    def holds(self, facts: Facts, now: datetime) -> bool:
        """Whether it holds the message back whatever its route."""
        return self.route_id is None and self._concerns(facts, now)

    def closes(self, route_id: str, facts: Facts, now: datetime) -> bool:
        return self.route_id == route_id and self._concerns(facts, now)

    def _concerns(self, facts: Facts, now: datetime) -> bool:
        return (
            self.account_id in (None, facts.account_id)
            and self.tier in (None, facts.tier)
            and self.destination in (None, facts.destination, facts.domain)
            and self.key_id in (None, facts.key_id)
            and (self.until is None or self.until > now)
        )


@dataclass(frozen=True, slots=True)
class Path:
    """The health of one route to one destination. `closed_until`: its breaker is open; `probing`: half open, a few may try;
    `wait_until`: it asked that mail of `wait_tier` and below is held back."""

    success: float = 1.0
    reputation: float = 1.0
    closed_until: datetime | None = None
    probing: bool = False
    wait_until: datetime | None = None
    wait_tier: int = 0

    def open(self, now: datetime) -> bool:
        return self.closed_until is not None and self.closed_until > now

    def half_open(self, now: datetime) -> bool:
        """Also one whose rest is over, until the first probe makes it so."""
        return self.probing or (self.closed_until is not None and self.closed_until <= now)

    def asks_to_wait(self, tier: int, now: datetime) -> bool:
        return self.wait_until is not None and self.wait_until > now and self.wait_tier <= tier


WELL = Path()


def success(delivered: float, deferred: float, bounced: float, failed: float) -> float:
    """How often a try by this path comes to an end, 0 to 1: a refusal for good is an answer too. Few tries tell little."""
    return (delivered + bounced + 2) / (delivered + bounced + deferred + failed + 2)


def reputation(delivered: float, bounced: float, complained: float) -> float:
    """What the destination makes of mail by this path, 0.05 to 1: a bounce rate of 5 % takes a quarter off, a complaint rate of
    0.3 % a third."""
    mails = delivered + bounced + 20
    return max(0.05, 1 - 5 * bounced / mails) * max(0.05, 1 - 110 * complained / mails)


def paths_of(route: Route, destination: str) -> tuple[PathKey, ...]:
    """The paths that a message takes by this route: to the destination, and the route as a whole."""
    return (route.id, destination), (route.id, EVERYWHERE)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a decision is made from, as it stood a moment ago. Keys of None are the platform's. `tells_providers_apart`:
    whose rules, policies or pauses speak of who hosts a domain."""

    default: Route
    routes: Mapping[str, Route] = field(default_factory=dict)
    routes_of: Mapping[int | None, tuple[Route, ...]] = field(default_factory=dict)
    rules: Mapping[int | None, RuleBook] = field(default_factory=dict)
    policies: Mapping[int | None, tuple[Policy, ...]] = field(default_factory=dict)
    pauses: Mapping[int | None, tuple[Pause, ...]] = field(default_factory=dict)
    paths: Mapping[tuple[str, str], Path] = field(default_factory=dict)
    used_today: Mapping[str, int] = field(default_factory=dict)
    tells_providers_apart: frozenset[int | None] = frozenset()

    def pauses_of(self, account_id: int) -> tuple[Pause, ...]:
        """The account's, then the platform's."""
        return (*self.pauses.get(account_id, ()), *self.pauses.get(None, ())) if self.pauses else ()

    def asks_who_hosts(self, account_id: int) -> bool:
        return bool(self.tells_providers_apart) and not self.tells_providers_apart.isdisjoint((account_id, None))

    def path(self, route: Route, facts: Facts) -> Path:
        return self.paths.get((route.id, facts.destination), WELL)

    def ways(self, route: Route, facts: Facts) -> list[tuple[PathKey, Path]]:
        """What is known of the route to this destination, and of the route as a whole."""
        return [(key, self.paths[key]) for key in paths_of(route, facts.destination) if key in self.paths]


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
