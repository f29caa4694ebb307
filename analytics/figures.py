"""What analytics tells: counts and the rates that follow from them. Pure values, for the API, the pages and the alerts alike."""

from dataclasses import dataclass, fields
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Counts:
    """Events of a time, sorted by what happened. Each counts at its own time: a message received at 9:59 and delivered at 10:00
    stands in both hours.

    received: taken in by us; accepted: given to a route for the first time; deferred: messages put off at least once; deferrals:
    every time one was; bounced_soft: might have gone through on another day (SOFT); bounced_late: those of both kinds of bounces
    that came after a delivery."""

    received: int = 0
    accepted: int = 0
    delivered: int = 0
    deferred: int = 0
    deferrals: int = 0
    bounced_hard: int = 0
    bounced_soft: int = 0
    bounced_late: int = 0
    complained: int = 0
    unsubscribed: int = 0
    suppressed: int = 0
    canceled: int = 0
    expired: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, name) + getattr(other, name) for name in COLUMNS))

    @property
    def bounced(self) -> int:
        return self.bounced_hard + self.bounced_soft

    @property
    def tried(self) -> int:
        """Messages whose delivery came to an end in this time, one way or the other: what rates are shares of."""
        return self.delivered + self.bounced - self.bounced_late

    @property
    def delivery_rate(self) -> float | None:
        """Of what was tried, what arrived and has not bounced since."""
        return _share(self.delivered - self.bounced_late, self.tried)

    @property
    def bounce_rate(self) -> float | None:
        return _share(self.bounced, self.tried)

    @property
    def complaint_rate(self) -> float | None:
        return _share(self.complained, self.delivered)

    @property
    def deferral_rate(self) -> float | None:
        """Of what was given to routes, what was put off at least once."""
        return _share(self.deferred, self.accepted)


COLUMNS = tuple(field.name for field in fields(Counts))

SOFT = ("retries_exhausted", "mailbox_full", "rate_limited", "greylisted", "connection", "timeout")
"""Causes of soft bounces; every other is hard."""


def _share(part: int, whole: int) -> float | None:
    """0 to 1; None of nothing. Numbers of one hour may belong to messages of the hour before, so that shares are held within."""
    return min(1.0, max(0.0, part / whole)) if whole > 0 else None


class Level(StrEnum):
    """How a rate stands to its thresholds; UNKNOWN: of too few messages to say."""

    UNKNOWN = "unknown"
    OK = "ok"
    WARNING = "warning"
    DANGER = "danger"


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate beside the one of the period before and its thresholds (shares, 0 to 1; None where there is none)."""

    value: float | None
    previous: float | None
    warning: float | None = None
    danger: float | None = None

    @property
    def level(self) -> Level:
        if self.value is None:
            return Level.UNKNOWN
        if self.danger is not None and self.value >= self.danger:
            return Level.DANGER
        if self.warning is not None and self.value >= self.warning:
            return Level.WARNING
        return Level.OK


BOUNCES = (0.02, 0.05)
COMPLAINTS = (0.001, 0.003)
"""From which shares on a rate is a warning, and a danger to the sender's reputation."""
