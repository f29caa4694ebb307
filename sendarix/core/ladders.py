"""Retry ladders: how long to wait after a failed try. Pure arithmetic; the caller brings clock and chance."""

from collections.abc import Sequence
from random import Random

DEFAULT = (30, 300, 1800, 7200, 18000)
JITTER = 0.1


def next_wait(ladder: Sequence[float], attempts_made: int, rng: Random) -> float | None:
    """Seconds to wait after `attempts_made` failed tries (1 or more), or None when the ladder is used up.

    Jitter only adds, at most 10 %, so a promised wait is never cut short.
    """
    if attempts_made < 1:
        raise ValueError("a wait follows at least one attempt")
    if attempts_made > len(ladder):
        return None
    return ladder[attempts_made - 1] * (1 + JITTER * rng.random())


def parse(text: str) -> tuple[float, ...]:
    """The ladder written as seconds between commas, as in SENDARIX_RETRY_LADDER. ValueError names the bad
    step."""
    steps = tuple(_step(part) for part in text.split(",") if part.strip())
    if not steps:
        raise ValueError("a retry ladder needs at least one wait")
    return steps


def _step(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(f"retry ladder: {text.strip()!r} is not a number of seconds") from None
    if not 0 < seconds <= 30 * 86400:
        raise ValueError(f"retry ladder: {text.strip()} is not between 0 and 30 days")
    return seconds
