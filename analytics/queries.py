"""What pages and the API read of the rollups: pure values of one account and environment, one statement per chart however many
messages there are. Nothing here writes, and nothing here knows HTML."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import pairwise

from django.db import connection

from analytics import figures, latency
from analytics.dimensions import NONE, OTHER, Dimension
from analytics.figures import COLUMNS, Counts, Rate
from analytics.latency import Latency
from messaging.models import Tier

HOUR = timedelta(hours=1)
LONGEST = {"hour": timedelta(days=31), "day": timedelta(days=400)}
"""Of a series, by interval."""


class Interval(StrEnum):
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Bucket:
    """One hour or day, [start, end). `partial`: not everything of it has been counted yet."""

    start: datetime
    end: datetime
    partial: bool
    counts: Counts
    latency: Latency


@dataclass(frozen=True, slots=True)
class Group:
    """One value of the dimension that was asked for, over all of the time. `value` None: those that have none (no template, no
    known provider); `other`: everything that is not among the groups named. Buckets as in Series."""

    value: str | None
    other: bool
    counts: Counts
    latency: Latency
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Counts by time, and by group where a dimension was asked for: the largest first. Buckets follow one another without gaps;
    the first begins at or before what was asked, the last ends at or after it. Everything committed before `as_of` is in it.
    Latencies are empty for a dimension that they are not kept by (dimensions.TIMED)."""

    since: datetime
    until: datetime
    as_of: datetime | None
    interval: Interval
    dimension: Dimension | None
    counts: Counts
    latency: Latency
    buckets: tuple[Bucket, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class TierLatency:
    """How fast a tier was, and had been in the period before."""

    tier: str
    latency: Latency
    previous: Latency


@dataclass(frozen=True, slots=True)
class Overview:
    """The last hours beside as many before them. Totals, rates and latencies are of whole hours, [since, until); `hours` holds
    these and, as its last, the running one."""

    since: datetime
    until: datetime
    as_of: datetime | None
    counts: Counts
    previous: Counts
    hours: tuple[Bucket, ...]
    previous_hours: tuple[Bucket, ...]
    delivery: Rate
    bounces: Rate
    complaints: Rate
    deferrals: Rate
    tiers: tuple[TierLatency, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of the counts: `values` narrows to these values of the dimension (NONE and OTHER among them); empty: all.
    `named`: how many groups are told by name; `timed`: latencies too."""

    account_id: int
    livemode: bool
    dimension: Dimension | None = None
    values: tuple[str, ...] = ()
    named: int = 20
    timed: bool = True


def series(
    account_id: int,
    livemode: bool,
    since: datetime,
    until: datetime,
    interval: Interval = Interval.HOUR,
    dimension: Dimension | None = None,
    values: Sequence[str] = (),
    named: int = 20,
    zone: tzinfo = UTC,
    timed: bool = True,
) -> Series:
    """The counts of [since, until), widened to whole hours, or to days of a time zone; an hour that such a day cuts belongs to
    the day in which it begins. Latencies are most of the work: without `timed` they stay empty. ValueError beyond LONGEST."""
    if until - since > LONGEST[interval]:
        raise ValueError(f"at most {LONGEST[interval].days} days by {interval}")
    asked = Asked(account_id, livemode, dimension, tuple(values), named, timed)
    edges = _edges(since, until, interval, zone)
    counted_until = as_of(account_id, livemode)
    cells = _read(asked, edges)
    frame = _Frame(edges, counted_until)
    groups = [_group(frame, value, cells) for value in _largest_first(cells)] if dimension is not None else []
    summed = _summed(cells)
    total = _over_all(summed.values())
    return Series(
        since=edges[0], until=edges[-1], as_of=counted_until, interval=interval, dimension=dimension, counts=total.counts,
        latency=latency.summary(total.latencies), buckets=frame.buckets(summed), groups=tuple(groups),
    )  # fmt: skip


def overview(account_id: int, livemode: bool, hours: int = 24, now: datetime | None = None) -> Overview:
    """The figures of the first page. `tiers` begins with the critical one."""
    until = _hour(now or datetime.now(UTC))
    since = until - hours * HOUR
    edges = [since + number * HOUR for number in range(-hours, hours + 2)]
    counted_until = as_of(account_id, livemode)
    cells = _read(Asked(account_id, livemode, Dimension.TIER), edges)
    buckets = _Frame(edges, counted_until).buckets(_summed(cells))
    counts, previous = _total(buckets[hours:-1]), _total(buckets[:hours])
    delivery, bounces, complaints, deferrals = ((getattr(counts, name), getattr(previous, name)) for name in _RATES)
    return Overview(
        since=since, until=until, as_of=counted_until, counts=counts, previous=previous,
        hours=buckets[hours:], previous_hours=buckets[:hours],
        delivery=Rate(*delivery), bounces=Rate(*bounces, *figures.BOUNCES),
        complaints=Rate(*complaints, *figures.COMPLAINTS), deferrals=Rate(*deferrals),
        tiers=tuple(_tier(tier, cells, hours) for tier in Tier),
    )  # fmt: skip


def by_account(account_ids: Sequence[int], since: datetime) -> dict[int, Counts]:
    """The live counts of these accounts from the hour of `since` on, in one statement; of an account without any, no entry."""
    sums = ", ".join(f"sum({name})" for name in COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT account_id, {sums} FROM hour_counts"
            " WHERE account_id = ANY(%s) AND livemode AND dimension = %s AND at >= %s GROUP BY 1",
            [list(account_ids), Dimension.TIER, _hour(since)],
        )
        return {account_id: Counts(*map(int, counts)) for account_id, *counts in cursor.fetchall()}


def counted_until() -> datetime | None:
    """The last round of counting that came by every account, one of which the dispatcher makes every few seconds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(as_of) FROM rollup_rounds")
        return cursor.fetchone()[0]


def as_of(account_id: int, livemode: bool) -> datetime | None:
    """Everything committed before this time has been counted; None before the first count."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE WHEN p.behind THEN p.as_of ELSE greatest(p.as_of, l.as_of) END"
            " FROM (SELECT max(as_of) AS as_of FROM rollup_rounds) l"
            " LEFT JOIN rollup_positions p ON p.account_id = %s AND p.livemode = %s",
            [account_id, livemode],
        )
        return cursor.fetchone()[0]


_RATES = ("delivery_rate", "bounce_rate", "complaint_rate", "deferral_rate")


@dataclass(slots=True)
class _Cell:
    """One value in one bucket."""

    counts: Counts = field(default_factory=Counts)
    latencies: Counter[int] = field(default_factory=Counter)

    def add(self, other: "_Cell") -> None:
        self.counts += other.counts
        self.latencies.update(other.latencies)


_Cells = dict[str, dict[int, _Cell]]
"""By value, then by number of the bucket."""

_SUMS = ", ".join(f"sum({name})::bigint" for name in COLUMNS)

# Zeros stand where a row tells of latencies, so that one statement reads both.
_READ = f"""
WITH counts AS MATERIALIZED (
    SELECT width_bucket(at, %(edges)s::timestamptz[]) AS bucket, value, {", ".join(f"sum({n})::bigint AS {n}" for n in COLUMNS)}
    FROM hour_counts WHERE account_id = %(account)s AND livemode = %(livemode)s AND dimension = %(dimension)s
        AND at >= %(since)s AND at < %(until)s AND (%(values)s::text[] IS NULL OR value = ANY(%(values)s::text[]))
    GROUP BY 1, 2
), named AS MATERIALIZED (
    SELECT value FROM counts WHERE value <> %(other)s GROUP BY value
    ORDER BY sum(received + accepted + delivered + bounced_hard + bounced_soft + deferrals) DESC, value LIMIT %(named)s
), latencies AS (
    SELECT width_bucket(at, %(edges)s::timestamptz[]) AS bucket,
        CASE WHEN value IN (SELECT value FROM named) THEN value ELSE %(other)s END AS value, slot,
        sum(messages)::bigint AS messages
    FROM hour_latencies WHERE %(timed)s AND account_id = %(account)s AND livemode = %(livemode)s AND dimension = %(dimension)s
        AND at >= %(since)s AND at < %(until)s AND (%(values)s::text[] IS NULL OR value = ANY(%(values)s::text[]))
    GROUP BY 1, 2, 3
)
SELECT bucket, CASE WHEN value IN (SELECT value FROM named) THEN value ELSE %(other)s END, NULL, {_SUMS} FROM counts GROUP BY 1, 2
UNION ALL
SELECT bucket, value, jsonb_object_agg(slot, messages)::text, {", ".join("0" for _ in COLUMNS)} FROM latencies GROUP BY 1, 2
"""


def _read(asked: Asked, edges: Sequence[datetime]) -> _Cells:
    with connection.cursor() as cursor:
        cursor.execute(
            _READ,
            {
                "account": asked.account_id, "livemode": asked.livemode, "edges": list(edges),
                "dimension": int(asked.dimension or Dimension.TIER), "values": list(asked.values) or None,
                "since": edges[0], "until": edges[-1], "named": asked.named, "other": OTHER,
                "timed": asked.timed,
            },
        )  # fmt: skip
        rows = cursor.fetchall()
    cells: _Cells = {}
    for number, value, slots, *counts in rows:
        cell = cells.setdefault(value, {}).setdefault(number - 1, _Cell())
        latencies = Counter({int(slot): count for slot, count in json.loads(slots or "{}").items()})
        cell.add(_Cell(Counts(*counts), latencies))
    return cells


@dataclass(frozen=True, slots=True)
class _Frame:
    """The buckets of a chart."""

    edges: Sequence[datetime]
    as_of: datetime | None

    def buckets(self, cells: dict[int, _Cell]) -> tuple[Bucket, ...]:
        return tuple(
            self._bucket(start, end, cells.get(number) or _Cell())
            for number, (start, end) in enumerate(pairwise(self.edges))
        )

    def _bucket(self, start: datetime, end: datetime, cell: _Cell) -> Bucket:
        partial = self.as_of is None or end > self.as_of
        return Bucket(start, end, partial, cell.counts, latency.summary(cell.latencies))


def _summed(cells: _Cells) -> dict[int, _Cell]:
    found: dict[int, _Cell] = {}
    for by_number in cells.values():
        for number, cell in by_number.items():
            found.setdefault(number, _Cell()).add(cell)
    return found


def _over_all(cells: Iterable[_Cell]) -> _Cell:
    total = _Cell()
    for cell in cells:
        total.add(cell)
    return total


def _largest_first(cells: _Cells) -> list[str]:
    """What is counted under OTHER comes last, however much it is."""

    def size(value: str) -> int:
        return sum(cell.counts.received + cell.counts.tried + cell.counts.deferrals for cell in cells[value].values())

    return sorted(cells, key=lambda value: (value == OTHER, -size(value), value))


def _group(frame: _Frame, value: str, cells: _Cells) -> Group:
    total = _over_all(cells[value].values())
    name = None if value in (NONE, OTHER) else value
    return Group(name, value == OTHER, total.counts, latency.summary(total.latencies), frame.buckets(cells[value]))


def _tier(tier: Tier, cells: _Cells, hours: int) -> TierLatency:
    by_number = cells.get(str(tier.value), {})
    current = _over_all(cell for number, cell in by_number.items() if hours <= number < 2 * hours)
    before = _over_all(cell for number, cell in by_number.items() if number < hours)
    return TierLatency(tier.label, latency.summary(current.latencies), latency.summary(before.latencies))


def _total(buckets: Iterable[Bucket]) -> Counts:
    return sum((bucket.counts for bucket in buckets), Counts())


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _edges(since: datetime, until: datetime, interval: Interval, zone: tzinfo) -> list[datetime]:
    """Where buckets begin, and where the last one ends; in UTC."""
    if interval is Interval.HOUR:
        edges = [_hour(since)]
        while edges[-1] < until:
            edges.append(edges[-1] + HOUR)
        return edges
    day = since.astimezone(zone).date()
    edges = [_midnight(day, zone)]
    while edges[-1] < until:
        day += timedelta(days=1)
        edges.append(_midnight(day, zone))
    return edges


def _midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins, at the next whole hour."""
    begins = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    return begins if begins == _hour(begins) else _hour(begins) + HOUR
