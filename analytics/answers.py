"""The body of the answer of /v1/analytics, for the API's document and the tests that hold answers against it."""

from sendarix.accounts.calls import AnswerShape, Moment


class EventCounts(AnswerShape):
    """Events of the time, each counted when it happened."""

    received: int
    """Messages that were taken in."""
    accepted: int
    """Given to a route for the first time."""
    delivered: int
    deferred: int
    """Messages that were put off at least once."""
    deferrals: int
    """Every time one was put off."""
    bounced: int
    bounced_hard: int
    bounced_soft: int
    """Might have gone through on another day: a full mailbox, a ladder of retries used up."""
    bounced_late: int
    """Of both kinds, those that came after a delivery."""
    complained: int
    unsubscribed: int
    suppressed: int
    canceled: int
    expired: int


class Rates(AnswerShape):
    """Shares, 0 to 1; null of nothing."""

    delivery: float | None
    """Of messages whose delivery came to an end, those that arrived and have not bounced since."""
    bounce: float | None
    """Of the same, those that bounced."""
    complaint: float | None
    """Of those delivered."""
    deferral: float | None
    """Of those given to a route, those put off at least once."""


class LatencyFigures(AnswerShape):
    """Seconds from acceptance (or the scheduled time) to delivery, retries and all, within 5 %. Null without a delivery, and
    where latency is not kept: by domain, sender_domain and bounce_class."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None


class Figures(AnswerShape):
    counts: EventCounts
    rates: Rates | None
    """Null in groups by status."""
    latency: LatencyFigures


class AnalyticsBucket(Figures):
    """An hour or a day; `start` is in it, `end` is not."""

    start: Moment
    end: Moment
    partial: bool
    """Not all of it has been counted yet."""


class AnalyticsGroup(Figures):
    value: str | None
    """Null: the messages that have none, and `other`."""
    other: bool
    """True for the group that holds everything not told by name."""
    buckets: list[AnalyticsBucket]
    """One for each of the answer's."""


class Analytics(AnswerShape):
    """Counts, rates and latencies by time, and by group where one was asked for, the largest first."""

    since: Moment
    until: Moment
    interval: str
    timezone: str
    group_by: str | None
    as_of: Moment | None
    """Everything committed before this time has been counted, usually some seconds ago; null while all is counted anew."""
    total: Figures
    buckets: list[AnalyticsBucket]
    groups: list[AnalyticsGroup]
