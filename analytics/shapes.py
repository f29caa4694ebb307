"""The query string of /v1/analytics."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, Field, model_validator

from analytics import queries
from analytics.dimensions import Dimension
from analytics.queries import Interval
from messaging.models import Tier
from sendarix.core.shapes import Instant, Limit, Shape, fault

DIMENSIONS = {
    "tier": Dimension.TIER,
    "template": Dimension.TEMPLATE,
    "tag": Dimension.TAG,
    "recipient_provider": Dimension.RECIPIENT_PROVIDER,
    "domain": Dimension.RECIPIENT_DOMAIN,
    "sender_domain": Dimension.SENDER_DOMAIN,
    "route": Dimension.ROUTE,
    "key": Dimension.KEY,
    "bounce_class": Dimension.BOUNCE_CLASS,
}
"""By the names that callers know them by."""

STATUS = "status"

MOST_CELLS = 20_000
"""Of an answer: groups and the total, each with its buckets."""

USUAL = {Interval.HOUR: timedelta(hours=24), Interval.DAY: timedelta(days=30)}
"""How far back a series goes when nobody says."""


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(name: str) -> str:
    try:
        if name in _zones():
            ZoneInfo(name)
            return name
    except ZoneInfoNotFoundError:
        pass
    raise fault("invalid_value", "Must be a time zone of the IANA list, like Asia/Seoul.")


def _near(at: datetime) -> datetime:
    if not 2000 <= at.year < 2100:
        raise fault("out_of_range", "Must lie between 2000 and 2100.")
    return at


Time = Annotated[Instant, AfterValidator(_near)]
Value = Annotated[str, Field(max_length=320)]
Values = Annotated[list[Value], Field(max_length=20)]


class AnalyticsQuery(Shape):
    """Which time, in which steps, sorted by what."""

    since: Time | None = None
    """Without it: 24 hours, or 30 days by day, before `until`. Widened to whole hours or days."""
    until: Time | None = None
    """Without it: now."""
    interval: Literal["hour", "day"] = "hour"
    """By hour up to 31 days, by day up to 400."""
    timezone: Annotated[str, Field(max_length=60), AfterValidator(_zone)] = "UTC"
    """Whose days they are. Counts are kept by the hour of UTC: an hour that such a day cuts is of the day in which it begins."""
    group_by: (
        Literal[
            "status",
            "tier",
            "template",
            "tag",
            "recipient_provider",
            "domain",
            "sender_domain",
            "route",
            "key",
            "bounce_class",
        ]
        | None
    ) = None
    """`domain` is the recipient's, `key` the API key it was sent with, `bounce_class` the cause of bounces and deferrals."""
    limit: Limit = Field(10, validate_default=False)
    """How many groups are told by name, the largest; the rest is told together."""
    tier: Annotated[list[Literal["critical", "high", "normal", "low"]], Field(max_length=4)] = Field(
        default_factory=list
    )
    """A filter; each may be repeated. Filters and `group_by` name one dimension at most: counts are kept by one at a time. Any of
    them may be combined with `group_by=status`. An empty value means those that have none."""
    template: Values = Field(default_factory=list)
    tag: Values = Field(default_factory=list)
    recipient_provider: Values = Field(default_factory=list)
    domain: Values = Field(default_factory=list)
    sender_domain: Values = Field(default_factory=list)
    route: Values = Field(default_factory=list)
    key: Values = Field(default_factory=list)
    bounce_class: Values = Field(default_factory=list)
    format: Literal["json", "csv"] = "json"

    @model_validator(mode="after")
    def _can_be_told(self) -> "AnalyticsQuery":
        since, until = self.times
        named = {*self._filters(), *([self.group_by] if self.group_by not in (None, STATUS) else [])}
        if len(named) > 1:
            raise fault(
                "conflict", f"Counts are kept by one of {', '.join(sorted(map(str, named)))} at a time: name one."
            )
        if since >= until:
            raise fault("out_of_range", "since must be before until.")
        longest, asked = queries.LONGEST[Interval(self.interval)], until - since
        if asked > longest:
            raise fault("out_of_range", f"A series by {self.interval} has at most {longest.days} days.")
        if self.group_by and (self.limit + 2) * (asked / timedelta(**{f"{self.interval}s": 1})) > MOST_CELLS:
            raise fault("out_of_range", "The answer would be too large: ask for a shorter time, or with a lower limit.")
        return self

    @property
    def times(self) -> tuple[datetime, datetime]:
        until = self.until or datetime.now(UTC)
        return self.since or until - USUAL[Interval(self.interval)], until

    def _filters(self) -> Iterator[str]:
        return (name for name in DIMENSIONS if getattr(self, name))

    @property
    def dimension(self) -> Dimension | None:
        return DIMENSIONS.get(next(self._filters(), self.group_by or ""))

    @property
    def values(self) -> list[str]:
        name = next(self._filters(), None)
        if name == "tier":
            return [str(Tier[value.upper()].value) for value in self.tier]
        return getattr(self, name) if name else []
