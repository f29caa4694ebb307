"""The ways out and what is known of them: routes, rules, policies, pauses and the health of paths, with the facts of a message
that these ask for. Pure values; routebook.py reads them, routing.py decides by them."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from messaging.delivery.smtp import TlsPolicy

NOTHING_FREE = timedelta(seconds=60)
"""How long a message waits that no route may carry now, unless it is known when one may again."""

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
