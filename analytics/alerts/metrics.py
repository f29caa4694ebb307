"""What alert rules can watch, and what of it each can be watched by. Pure names."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from analytics.figures import Counts


class Metric(StrEnum):
    VOLUME = "volume"
    BOUNCE_RATE = "bounce_rate"
    DEFERRAL_RATE = "deferral_rate"
    COMPLAINT_RATE = "complaint_rate"
    LATENCY_P95 = "latency_p95"
    QUEUE_AGE = "queue_age"
    WEBHOOK_FAILURE_RATE = "webhook_failure_rate"
    RECIPIENT_VOLUME = "recipient_volume"


class Scope(StrEnum):
    """Of whose mail. A rule without a value of its scope watches each on its own."""

    ACCOUNT = "account"
    KEY = "key"
    TEMPLATE = "template"
    TAG = "tag"
    DESTINATION = "destination"


class Compare(StrEnum):
    """By which line: a fixed one, or some times what is usual."""

    ABOVE = "above"
    BELOW = "below"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is true of a metric. `longest`: its longest window; `share`: it is one, 0 to 1; `floor`: what a baseline takes to be
    usual at least (None: the metric has no baseline)."""

    scopes: frozenset[Scope]
    longest: timedelta = timedelta(days=1)
    share: bool = False
    floor: float | None = None


_EVERY, _ONE = frozenset(Scope), frozenset({Scope.ACCOUNT})

KINDS: dict[Metric, Kind] = {
    Metric.VOLUME: Kind(_EVERY, floor=0.0),
    Metric.BOUNCE_RATE: Kind(_EVERY, share=True, floor=0.01),
    Metric.DEFERRAL_RATE: Kind(_EVERY, share=True, floor=0.02),
    Metric.COMPLAINT_RATE: Kind(_EVERY, share=True, floor=0.0005),
    Metric.LATENCY_P95: Kind(_EVERY),
    Metric.QUEUE_AGE: Kind(_ONE),
    Metric.WEBHOOK_FAILURE_RATE: Kind(_ONE, share=True),
    Metric.RECIPIENT_VOLUME: Kind(frozenset({Scope.ACCOUNT, Scope.KEY, Scope.TEMPLATE}), longest=timedelta(hours=1)),
}

OF_COUNTS: dict[Metric, Callable[[Counts], tuple[float | None, int]]] = {
    Metric.VOLUME: lambda counts: (float(counts.received), counts.received),
    Metric.BOUNCE_RATE: lambda counts: (counts.bounce_rate, counts.tried),
    Metric.DEFERRAL_RATE: lambda counts: (counts.deferral_rate, counts.accepted),
    Metric.COMPLAINT_RATE: lambda counts: (counts.complaint_rate, counts.delivered),
}
"""Metrics that counts tell: the value, and from how many messages it is concluded."""
