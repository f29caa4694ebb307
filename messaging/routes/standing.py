"""How each route fares: what is known lately of its paths, today's use against its caps, and what changed. For whoever reads it;
routing itself decides over routebook's snapshot."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeVar

from django.db.models import QuerySet

from messaging.delivery import destinations, pacing, routebook
from messaging.delivery.ways import EVERYWHERE
from messaging.models import PathChange, PathHealth, Route

WORST = (PathHealth.Breaker.OPEN, PathHealth.Breaker.HALF_OPEN, PathHealth.Breaker.CLOSED)
Row = TypeVar("Row", PathChange, PathHealth)

MOST_PATHS = 20_000
"""Paths that `summaries` reads at most."""


@dataclass(frozen=True, slots=True)
class Path:
    """A route's standing at one destination (`*`: everywhere), in fading figures. Rates are 0 to 1, of `tries`; `complaint_rate`
    is of what was delivered."""

    destination: str
    tries: float
    delivery_rate: float
    deferral_rate: float
    bounce_rate: float
    failure_rate: float
    complaint_rate: float
    latency_ms: int
    success: float
    reputation: float
    breaker: str
    open_until: datetime | None
    wait_until: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Today:
    """A route's use on this day of UTC. `cap` is None without one; `warmup_day` counts from 1, None outside the warm-up."""

    date: date
    used: int
    cap: int | None
    warmup_day: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """All paths of a route together: rates of `tries`, mean milliseconds of a delivery, its worst breaker, and how many of its
    paths are not closed."""

    tries: float = 0.0
    delivery_rate: float = 0.0
    deferral_rate: float = 0.0
    failure_rate: float = 0.0
    latency_ms: int = 0
    breaker: str = PathHealth.Breaker.CLOSED
    troubled: int = 0


def changes(route: Route, account_id: int | None) -> QuerySet[PathChange]:
    """Changes of the route's breakers, newest first, as far as this account may know them."""
    return _tellable(PathChange.objects.filter(route_id=route.id), route, account_id).order_by("-id")


def paths(route: Route, account_id: int | None) -> QuerySet[PathHealth]:
    """The route's paths by destination, as far as this account may know them."""
    return _tellable(PathHealth.objects.filter(route_id=route.id), route, account_id).order_by("destination")


def _tellable(found: QuerySet[Row], route: Route, account_id: int | None) -> QuerySet[Row]:
    """Of a route that others use too, only what does not tell whom they write to."""
    if route.account_id == account_id:
        return found
    return found.filter(destination__in=(*destinations.PROVIDERS, EVERYWHERE))


def path(row: PathHealth, now: datetime) -> Path:
    known = routebook.path_of(row, now)
    tries = row.delivered + row.deferred + row.bounced + row.failed
    return Path(
        destination=row.destination,
        tries=round(tries, 1),
        delivery_rate=_rate(row.delivered, tries),
        deferral_rate=_rate(row.deferred, tries),
        bounce_rate=_rate(row.bounced, tries),
        failure_rate=_rate(row.failed, tries),
        complaint_rate=_rate(row.complained, row.delivered),
        latency_ms=round(row.milliseconds),
        success=round(known.success, 4),
        reputation=round(known.reputation, 4),
        breaker=row.breaker,
        open_until=row.open_until if row.breaker == PathHealth.Breaker.OPEN else None,
        wait_until=known.wait_until if known.wait_until and known.wait_until > now else None,
        updated_at=row.updated_at,
    )


def _rate(count: float, of: float) -> float:
    return round(count / of, 4) if of else 0.0


def today(route: Route, now: datetime | None = None) -> Today:
    return todays([route], now)[route.id]


def todays(routes: Iterable[Route], now: datetime | None = None) -> dict[str, Today]:
    """By route id, in one statement."""
    day = (now or datetime.now(UTC)).date()
    limits = {route.id: pacing.per_day(route.id, 0) for route in routes}
    used = pacing.standing(limits.values())
    return {
        route.id: Today(
            day, used[limits[route.id].key][0], routebook.cap_of(route.per_day, route.warmup, day), _warmup(route, day)
        )
        for route in routes
    }


def _warmup(route: Route, day: date) -> int | None:
    number = (day - date.fromisoformat(route.warmup["starts_on"])).days + 1 if route.warmup else 0
    return number if route.warmup and 1 <= number <= len(route.warmup["daily"]) else None


def summaries(routes: Iterable[Route]) -> dict[str, Summary]:
    """By route id, in one statement; a route that nothing is known of has an empty one."""
    known: dict[str, list[PathHealth]] = {route.id: [] for route in routes}
    for row in PathHealth.objects.filter(route_id__in=list(known)).order_by("-updated_at")[:MOST_PATHS]:
        known[row.route_id].append(row)
    return {route_id: _summary(rows) for route_id, rows in known.items()}


def _summary(rows: list[PathHealth]) -> Summary:
    """The figures of a route as a whole are those of its destinations again, and are not counted twice."""
    counted = [row for row in rows if row.destination != EVERYWHERE] or rows
    delivered = sum(row.delivered for row in counted)
    tries = sum(row.delivered + row.deferred + row.bounced + row.failed for row in counted)
    milliseconds = sum(row.milliseconds * row.delivered for row in counted)
    states = [row.breaker for row in rows]
    return Summary(
        tries=round(tries, 1),
        delivery_rate=_rate(delivered, tries),
        deferral_rate=_rate(sum(row.deferred for row in counted), tries),
        failure_rate=_rate(sum(row.failed for row in counted), tries),
        latency_ms=round(milliseconds / delivered) if delivered else 0,
        breaker=next((state for state in WORST if state in states), PathHealth.Breaker.CLOSED),
        troubled=sum(state != PathHealth.Breaker.CLOSED for state in states),
    )
