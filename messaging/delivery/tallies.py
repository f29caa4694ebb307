"""What one process saw of each path since it last wrote it down: attempts added up, weighed as the breaker weighs them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from messaging.delivery import breaker
from messaging.delivery.breaker import NO_PROBES, Bearing, Probes
from messaging.delivery.outcomes import Outcome, Verdict
from messaging.delivery.ways import EVERYWHERE, Kind, PathKey, Route

MOST_TROUBLED = 5
"""Different messages in trouble that a path remembers."""

FIGURES = (
    "delivered", "deferred", "bounced", "failed", "complained", "milliseconds", "tries", "strained", "misses",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """The end of one attempt, as its paths are told. `probes`: the half-open paths it was to find out about."""

    route: Route
    destination: str
    message_id: str
    tier: int
    outcome: Outcome
    milliseconds: int
    probes: tuple[PathKey, ...] = ()

    @property
    def lane(self) -> PathKey:
        """What it has to be counted together with, in order."""
        return self.route.id, self.destination if self.route.kind is Kind.MX else EVERYWHERE

    @property
    def urgent(self) -> bool:
        """Whether it may move a breaker."""
        if self.outcome.verdict is Verdict.DELIVERED:
            return bool(self.probes)
        return bool(self.probes) or breaker.bearing(self.outcome) in (Bearing.STRAIN, Bearing.MISS)


@dataclass(frozen=True, slots=True)
class Unused:
    """Probes that went back to the queue instead of out."""

    probes: tuple[PathKey, ...]
    urgent: bool = True

    @property
    def lane(self) -> PathKey:
        return self.probes[0]


@dataclass(slots=True)
class Tally:
    """What a process saw of one path. `tries` and `strained` weigh as in breaker.MEMORY, `misses` are those at the end."""

    delivered: int = 0
    deferred: int = 0
    bounced: int = 0
    failed: int = 0
    complained: int = 0
    milliseconds: float = 0.0
    tries: float = 0.0
    strained: float = 0.0
    misses: int = 0
    troubled: list[str] = field(default_factory=list)
    wait: float | None = None
    wait_tier: int | None = None
    probes: Probes = NO_PROBES

    def add(self, seen: Seen, bearing: Bearing, concerns: str) -> None:
        """`concerns`: what is in trouble if this speaks against the path."""
        outcome = seen.outcome
        if bearing is Bearing.MISS:
            self.failed += 1
        elif outcome.verdict is Verdict.DELIVERED:
            self.milliseconds = (self.milliseconds * self.delivered + seen.milliseconds) / (self.delivered + 1)
            self.delivered += 1
        elif outcome.verdict is Verdict.BOUNCED:
            self.bounced += 1
        else:
            self.deferred += 1
        self.misses = self.misses + 1 if bearing is Bearing.MISS else 0
        if bearing is not Bearing.NOTHING:
            self._weigh(bearing in (Bearing.STRAIN, Bearing.MISS), concerns)
        wait = breaker.asked_to_wait(outcome)
        if wait is not None:
            self.wait = max(wait, self.wait or 0.0)
            self.wait_tier = seen.tier if self.wait_tier is None else min(self.wait_tier, seen.tier)

    def probed(self, bearing: Bearing | None) -> None:
        """A probe of this path came back; None: it told nothing of it."""
        good, bad = bearing is Bearing.ANSWER, bearing in (Bearing.STRAIN, Bearing.MISS)
        known = self.probes
        self.probes = Probes(known.good + good, known.bad + bad, known.void + (not good and not bad))

    def _weigh(self, strains: bool, concerns: str) -> None:
        keeps = 1 - 1 / breaker.MEMORY
        self.tries = self.tries * keeps + 1
        self.strained = self.strained * keeps + strains
        if strains and concerns not in self.troubled and len(self.troubled) < MOST_TROUBLED:
            self.troubled.append(concerns)

    def row(self, path: PathKey) -> dict[str, Any]:
        shown = {name: getattr(self, name) for name in (*FIGURES, "troubled", "wait", "wait_tier")}
        return {"route_id": path[0], "destination": path[1], **shown}


_FIGURES = (
    "delivered", "deferred", "bounced", "failed", "complained", "milliseconds", "tries", "strained", "misses", "troubled",
    "wait", "wait_tier",
)  # fmt: skip


def tally(seen: Iterable[Seen | Unused]) -> dict[PathKey, Tally]:
    """What the attempts say, by path."""
    tallies: dict[PathKey, Tally] = {}
    for one in seen:
        told: dict[PathKey, Bearing] = {}
        if isinstance(one, Seen) and not breaker.is_ours(one.outcome):
            bearing = breaker.bearing(one.outcome)
            for path, concerns in _paths(one, bearing):
                told[path] = bearing
                tallies.setdefault(path, Tally()).add(one, bearing, concerns)
        for path in one.probes:
            tallies.setdefault(path, Tally()).probed(told.get(path))
    return tallies


def _paths(seen: Seen, bearing: Bearing) -> list[tuple[PathKey, str]]:
    """The paths an attempt tells of, each with what is in trouble if it went badly.

    Our own connection is to the destination; that of a smarthost or provider serves all of them, so that no connection
    speaks against the route as a whole, and so do the troubles of several destinations."""
    to_destination = (seen.route.id, seen.destination)
    if seen.route.kind is Kind.MX:
        return [(to_destination, seen.message_id)]
    whole = (seen.route.id, EVERYWHERE)
    if bearing is Bearing.MISS:
        return [(whole, seen.message_id)]
    return [(to_destination, seen.message_id), (whole, seen.destination)]
