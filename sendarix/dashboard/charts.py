"""Charts as data: what static/dashboard/app.js draws, and what a reader without scripts gets as a table."""

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Any

from django.utils.translation import gettext as _

from analytics.figures import Counts
from analytics.queries import Bucket, Group, Interval

Figure = Callable[[Bucket], float | None]

OUTCOMES: Sequence[tuple[str, str, Callable[[Counts], int]]] = (
    ("delivered", "--series-2", lambda counts: counts.delivered),
    ("deferred", "--series-3", lambda counts: counts.deferred),
    ("bounced", "--series-4", lambda counts: counts.bounced),
    ("suppressed", "--series-6", lambda counts: counts.suppressed + counts.expired + counts.canceled),
)


def labels(buckets: Sequence[Bucket], zone: tzinfo, interval: Interval) -> list[str]:
    """When each bucket begins, in the account's zone; one that is not wholly counted yet is marked."""
    form = "%m-%d %H:%M" if interval is Interval.HOUR else "%m-%d"
    return [bucket.start.astimezone(zone).strftime(form) + (" …" if bucket.partial else "") for bucket in buckets]


def outcomes(buckets: Sequence[Bucket], zone: tzinfo, interval: Interval) -> dict[str, Any]:
    """What became of mail, stacked by time."""
    names = {
        "delivered": _("Delivered"),
        "deferred": _("Deferred"),
        "bounced": _("Bounced"),
        "suppressed": _("Not sent"),
    }
    datasets = [
        {"label": names[name], "token": token, "data": [figure(bucket.counts) for bucket in buckets]}
        for name, token, figure in OUTCOMES
    ]
    return _chart("bar", labels(buckets, zone, interval), datasets, stacked=True, precision=0)


def lines(
    buckets: Sequence[Bucket],
    zone: tzinfo,
    interval: Interval,
    series: Sequence[tuple[str, str, Figure]],
    unit: str = "",
) -> dict[str, Any]:
    """A line for each of `series` (label, token, figure)."""
    datasets = [
        {"label": label, "token": token, "data": [figure(bucket) for bucket in buckets]}
        for label, token, figure in series
    ]
    return _chart("line", labels(buckets, zone, interval), datasets, unit=unit)


def groups(
    shown: Sequence[tuple[str, Group]], zone: tzinfo, interval: Interval, figure: Figure, unit: str = ""
) -> dict[str, Any]:
    """A line for each named group."""
    times = labels(shown[0][1].buckets, zone, interval) if shown else []
    datasets = [{"label": name, "data": [figure(bucket) for bucket in group.buckets]} for name, group in shown]
    return _chart("line", times, datasets, unit=unit)


def _chart(kind: str, times: list[str], datasets: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"type": kind, "data": {"labels": times, "datasets": datasets}, **more}
