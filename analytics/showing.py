"""A series as the API shows it: as JSON, and as a table."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

from analytics.figures import Counts
from analytics.latency import Latency
from analytics.queries import Bucket, Group, Series
from messaging.models import Tier
from sendarix.core.times import zulu
from suppressions.spreadsheets import neutral

STATUSES: dict[str, tuple[str, ...]] = {
    "received": ("received",),
    "accepted": ("accepted",),
    "delivered": ("delivered",),
    "deferred": ("deferred", "deferrals"),
    "bounced": ("bounced_hard", "bounced_soft", "bounced_late"),
    "complained": ("complained",),
    "unsubscribed": ("unsubscribed",),
    "suppressed": ("suppressed",),
    "canceled": ("canceled",),
    "expired": ("expired",),
}
"""The groups by status, with the counts that each has."""

RATES = ("delivery", "bounce", "complaint", "deferral")
PERCENTILES = ("p50", "p95", "p99")


def by_status(series: Series) -> Series:
    """The same figures, with a group for every status; those with none of it are left out."""
    groups = [_of_status(series, name, columns) for name, columns in STATUSES.items()]
    return replace(series, groups=tuple(group for group in groups if group.counts != Counts()))


def _of_status(series: Series, name: str, columns: tuple[str, ...]) -> Group:
    def only(counts: Counts) -> Counts:
        return Counts(**{column: getattr(counts, column) for column in columns})

    def timed(latency: Latency) -> Latency:
        return latency if name == "delivered" else Latency()

    buckets = tuple(replace(b, counts=only(b.counts), latency=timed(b.latency)) for b in series.buckets)
    return Group(name, False, only(series.counts), timed(series.latency), buckets)


def shown(series: Series, group_by: str | None, zone: str) -> dict[str, Any]:
    rated = group_by != "status"
    return {
        "since": zulu(series.since),
        "until": zulu(series.until),
        "interval": str(series.interval),
        "timezone": zone,
        "group_by": group_by,
        "as_of": zulu(series.as_of),
        "total": _figures(series),
        "buckets": [_bucket(bucket) for bucket in series.buckets],
        "groups": [
            {
                "value": _name(group, group_by),
                "other": group.other,
                **_figures(group, rated),
                "buckets": [_bucket(bucket, rated) for bucket in group.buckets],
            }
            for group in (series.groups if group_by else ())
        ],
    }


def _name(group: Group, group_by: str | None) -> str | None:
    return Tier(int(group.value)).label if group_by == "tier" and group.value else group.value


def _figures(of: Series | Group | Bucket, rated: bool = True) -> dict[str, Any]:
    return {
        "counts": _counts(of.counts),
        "rates": _rates(of.counts) if rated else None,
        "latency": _latency(of.latency),
    }


def _bucket(bucket: Bucket, rated: bool = True) -> dict[str, Any]:
    told = {"start": zulu(bucket.start), "end": zulu(bucket.end), "partial": bucket.partial}
    return told | _figures(bucket, rated)


def _counts(counts: Counts) -> dict[str, int]:
    return asdict(counts) | {"bounced": counts.bounced}


def _rates(counts: Counts) -> dict[str, float | None]:
    return {name: _rounded(getattr(counts, f"{name}_rate"), 6) for name in RATES}


def _latency(latency: Latency) -> dict[str, Any]:
    return {"count": latency.count} | {name: _rounded(getattr(latency, name), 3) for name in PERCENTILES}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def table(series: Series, group_by: str | None) -> Iterator[bytes]:
    """CSV (RFC 4180) in UTF-8 with a header row: a row per bucket, and per group where one was asked for."""
    block = io.StringIO()
    writer = csv.writer(block)
    heads = ["start", "end", "partial", *([group_by] if group_by else []), *_counts(Counts())]
    writer.writerow([*heads, *(f"{name}_rate" for name in RATES), *(f"latency_{name}" for name in PERCENTILES)])
    for name, buckets in _named(series, group_by):
        for bucket in buckets:
            writer.writerow(_row(bucket, name, group_by))
            if block.tell() > 32_768:
                yield block.getvalue().encode()
                block.seek(0)
                block.truncate()
    yield block.getvalue().encode()


def _named(series: Series, group_by: str | None) -> Iterable[tuple[str, tuple[Bucket, ...]]]:
    if group_by is None:
        return [("", series.buckets)]
    return [("(other)" if g.other else _name(g, group_by) or "(none)", g.buckets) for g in series.groups]


def _row(bucket: Bucket, name: str, group_by: str | None) -> list[Any]:
    told = _bucket(bucket, rated=group_by != "status")
    rates = told["rates"] or {}
    return [
        told["start"], told["end"], "true" if bucket.partial else "false", *([neutral(name)] if group_by else []),
        *told["counts"].values(), *(rates.get(rate) for rate in RATES), *(told["latency"][p] for p in PERCENTILES),
    ]  # fmt: skip
