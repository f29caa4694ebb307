"""What an answer of a customer's server means, and how long to wait after it. Pure; the caller brings the clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 86_400.0
"""Seconds of a Retry-After that are respected at most."""

AWAY = frozenset({429, 502, 503, 504})
"""Codes that speak of the server, not of this event: the next event would fare no better."""

GONE = 410

PATIENCE = 3
"""Tries in a row that find nobody, before the endpoint is left alone for a while."""

LONGEST_PAUSE = 120.0
"""Seconds an endpoint is left alone of our own accord, at most."""

LONGEST_REST = 3_600.0
"""Seconds an endpoint is left alone because it asks for that, at most; the delivery itself waits up to LONGEST_WAIT."""

OUR_PAUSE = 30.0
"""Seconds until the next try after a fault of ours."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`cause` is None on success. `away`: nobody was there, or nobody who could serve. `final`: never again.
    `ours`: the fault is on our side and counts against nobody. `retry_after` in seconds."""

    cause: str | None = None
    detail: str = ""
    away: bool = False
    gone: bool = False
    final: bool = False
    ours: bool = False
    retry_after: float | None = None

    @property
    def succeeded(self) -> bool:
        return self.cause is None


def of_answer(code: int, headers: Mapping[str, str], now: datetime) -> Verdict:
    """The verdict on a reply; header names in lower case."""
    if 200 <= code < 300:
        return Verdict()
    detail = f"answered {code}"
    if 300 <= code < 400:
        detail = f"answered {code}; redirects are not followed"
    gone = code == GONE
    wait = None if gone else retry_after(headers.get("retry-after"), now)
    return Verdict("status", detail, away=code in AWAY, gone=gone, final=gone, retry_after=wait)


def retry_after(text: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After asks for (RFC 9110 section 10.2.3: seconds or a date), LONGEST_WAIT at most; None for anything
    else."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text)
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, wait.total_seconds()), LONGEST_WAIT)


def pause(failures: int, asked: float | None) -> float | None:
    """Seconds to leave an endpoint alone after so many tries in a row that found nobody: 1, 2, 4, … from the third on up to
    LONGEST_PAUSE, or what it asked for when that is longer, up to LONGEST_REST. None: go on."""
    own = min(2.0 ** min(failures - PATIENCE, 10), LONGEST_PAUSE) if failures >= PATIENCE else 0.0
    return max(own, min(asked or 0.0, LONGEST_REST)) or None
