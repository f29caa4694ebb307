"""Latencies as counts in buckets whose bounds grow by a tenth, and percentiles of those. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

GROWTH = 1.1
"""Bucket n holds (GROWTH^(n-1), GROWTH^n] milliseconds. A percentile is told as the point of its bucket that is at most
(GROWTH-1)/(GROWTH+1) = 4.8 % away from anything in it (DDSketch, Masson et al. 2019)."""

LONGEST = 240
"""The last bucket: 90 days."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from the time a message was accepted (or scheduled for) until a server took it, retries and all. `count` messages
    were delivered; the percentiles are None without any, and within 5 % of the exact ones."""

    count: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


def bucket(milliseconds: float) -> int:
    """The bucket of a latency, as rollup's statement finds it."""
    return min(LONGEST, math.ceil(round(math.log(max(1.0, milliseconds)) / math.log(GROWTH), 9)))


def middle(number: int) -> float:
    """The seconds that stand for everything in a bucket."""
    return 2 * GROWTH**number / (GROWTH + 1) / 1000


def summary(counts: Mapping[int, int]) -> Latency:
    """The percentiles (nearest rank) of counts by bucket."""
    total = sum(counts.values())
    if not total:
        return Latency()
    return Latency(total, *(percentile(counts, share) for share in (0.5, 0.95, 0.99)))


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    rank, seen = math.ceil(share * sum(counts.values())), 0
    for number in sorted(counts):
        seen += counts[number]
        if seen >= rank and seen:
            return middle(number)
    return None
