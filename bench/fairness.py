"""Fairness: from the POST of an account's normal message to its final dot while another account has tens of thousands waiting."""

import random

from bench import latency, seeding
from bench.report import Part
from bench.stage import Stage

COUNT = 40
GAPS = (0.1, 0.6)
WAITING = 50_000


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    """The other account's are low in one half, in the other as normal as the one that is timed."""
    count, waiting = max(10, round(COUNT * scale)), max(1_000, round(WAITING * scale))
    what = f"POST of a normal message to its final dot, ms, {count} a round; {waiting:,} of another account wait"
    part = Part("fairness", what, aim="max <= 2000")
    key = stage.account("Other")
    for number in range(rounds):
        for priority in ("low", "normal"):
            seeding.pattern(stage, priority)
            posts = latency.Posts(key, "normal", count, GAPS, waiting)
            part.add(f"{priority} ones wait", latency.play(stage, posts, random.Random(number)))
    return part
