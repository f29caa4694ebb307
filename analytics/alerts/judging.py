"""When a line is crossed, and when it is well again. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import sqrt
from statistics import median

from analytics.alerts.metrics import Compare

DEVIATIONS = 6.0
"""How many robust standard deviations a baseline grants besides its factor."""

TO_SIGMA = 1.4826
"""From a median absolute deviation to the standard deviation of a normal distribution."""

ENOUGH_WEEKS = 3
"""Weeks that must have had this hour before it is compared with the same hour of the week."""

ENOUGH_HOURS = 24
"""Hours that must be known before a young account is compared with all its hours of the last week."""

AWAY = 0.8
"""An alert ends when the value is this far inside its line (hysteresis) for as long as the window."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One subject's value in the window that ends now, concluded from `volume` messages (or tries); None: nothing to conclude
    from. `seconds`: how long the window really was."""

    subject: str
    value: float | None
    volume: int
    seconds: float
    recipient: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    """Values of one hour each: of this hour in the weeks before, and of all hours of the last week."""

    weeks: Sequence[float] = ()
    hours: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """Where the line is, and what a baseline takes to be usual."""

    threshold: float
    usual: float | None = None


def baseline(history: History, factor: float, floor: float, scale: float, minimum: int = 0) -> Line:
    """`factor` times what is usual, and no less than DEVIATIONS above it. `scale` makes an hour's value one of the window (1 for
    rates).

    Usual is the median of the same hour in the weeks before, which one bad week does not move, or that of the last week's hours
    if it is more; for who is younger, what nine of ten hours of the last week stay below; for who is new, `minimum` or the
    floor."""
    if len(history.weeks) >= ENOUGH_WEEKS:
        values = [value * scale for value in history.weeks]
        usual = median(values)
        spread = TO_SIGMA * median(abs(value - usual) for value in values)
        usual = max(usual, median(history.hours) * scale if len(history.hours) >= ENOUGH_HOURS else 0.0)
    elif len(history.hours) >= ENOUGH_HOURS:
        usual, spread = sorted(history.hours)[len(history.hours) * 9 // 10] * scale, 0.0
    else:
        usual, spread = float(minimum), 0.0
    if scale != 1:
        spread = max(spread, sqrt(usual))  # counts scatter by chance alone
    usual = max(usual, floor)
    return Line(max(factor * usual, usual + DEVIATIONS * spread), usual)


class Verdict(StrEnum):
    CROSSED = "crossed"
    BETWEEN = "between"
    CLEAR = "clear"


def judge(reading: Reading, compare: Compare, line: Line, minimum: int) -> Verdict:
    """CLEAR is well inside the line, and where there is too little to conclude anything from."""
    if compare is Compare.BELOW:
        if reading.value is None or reading.value < line.threshold:
            return Verdict.CROSSED if reading.value is not None else Verdict.CLEAR
        return Verdict.CLEAR if reading.value * AWAY >= line.threshold else Verdict.BETWEEN
    if reading.value is None or reading.volume < minimum:
        return Verdict.CLEAR
    if reading.value > line.threshold:
        return Verdict.CROSSED
    return Verdict.CLEAR if reading.value <= line.threshold * AWAY else Verdict.BETWEEN


def ended(
    verdict: Verdict, clear_since: datetime | None, now: datetime, window: timedelta
) -> tuple[bool, datetime | None]:
    """Whether an open alert is over, and since when it has been clear."""
    if verdict is not Verdict.CLEAR:
        return False, None
    since = clear_since or now
    return now - since >= window, since
