"""Limits of messages per minute and per day, shared by all workers on all hosts: a worker asks for what it is about to take, and
is granted no more than the running window has left. So a limit is never passed by more than what one worker holds."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from sendarix.core.statements import Statement

SMOOTH = 60
"""Messages per minute from which on a minute is granted in tenths, so that they do not all leave in its first second."""

DAY = 86_400.0

AHEAD = timedelta(seconds=180)
"""How far ahead messages that are over a limit are told their turn."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` messages in each window of `seconds`, counted under `key`."""

    key: str
    seconds: float
    most: int


@dataclass(frozen=True, slots=True)
class Grant:
    """What of `wanted` may go now, when the window after this one begins, and what this one would still let go beside it."""

    granted: int
    next_window: datetime
    spare: int


def per_minute(route_id: str, destination: str, most: int) -> Limit:
    if most < SMOOTH:
        return Limit(f"minute {route_id} {destination}", 60.0, max(1, most))
    return Limit(f"minute {route_id} {destination}", 6.0, math.floor(most / 10))


def per_day(route_id: str, most: int) -> Limit:
    """Days are of UTC."""
    return Limit(f"day {route_id}", DAY, most)


_GRANT = Statement(
    "grant_paces",
    """
WITH asked AS (
    SELECT key, seconds, most, wanted,
        to_timestamp(floor(extract(epoch FROM clock_timestamp()) / seconds) * seconds) AS starts_at
    FROM jsonb_to_recordset(%(asked)s::jsonb) AS asked(key text, seconds float, most int, wanted int)
), before AS (
    INSERT INTO pace_windows AS p (key, starts_at, used) SELECT key, starts_at, 0 FROM asked ORDER BY key
    ON CONFLICT (key) DO UPDATE SET starts_at = greatest(p.starts_at, excluded.starts_at),
        used = CASE WHEN p.starts_at >= excluded.starts_at THEN p.used ELSE 0 END
    RETURNING key, starts_at, used
)
SELECT b.key, least(a.wanted, greatest(0, a.most - b.used)), b.starts_at + make_interval(secs => a.seconds),
    greatest(0, a.most - b.used - a.wanted)
FROM before b JOIN asked a USING (key)
""",
)
_TAKE = Statement(
    "take_paces",
    "UPDATE pace_windows p SET used = p.used + t.granted FROM unnest(%(keys)s::text[], %(granted)s::int[]) AS t(key, granted)"
    " WHERE p.key = t.key",
)


def grant(wanted: Iterable[tuple[Limit, int]]) -> dict[str, Grant]:
    """What of each wish may go now, by key. In the caller's transaction: others who want of the same limits wait for its end."""
    asked = [{"key": w.key, "seconds": w.seconds, "most": w.most, "wanted": count} for w, count in wanted]
    if not asked:
        return {}
    with connection.cursor() as cursor:
        _GRANT.run(cursor, {"asked": json.dumps(asked)})
        grants = {key: Grant(*grant) for key, *grant in cursor.fetchall()}
        taken = {key: one.granted for key, one in grants.items() if one.granted}
        if taken:
            _TAKE.run(cursor, {"keys": list(taken), "granted": list(taken.values())})
    return grants


def standing(limits: Iterable[Limit]) -> dict[str, tuple[int, datetime]]:
    """What the running window of each has let through, and when it ends. Takes nothing."""
    asked = [{"key": one.key, "seconds": one.seconds} for one in limits]
    if not asked:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.key, CASE WHEN p.starts_at >= a.starts_at THEN p.used ELSE 0 END,"
            " a.starts_at + make_interval(secs => a.seconds)"
            " FROM (SELECT key, seconds,"
            " to_timestamp(floor(extract(epoch FROM clock_timestamp()) / seconds) * seconds) AS starts_at"
            " FROM jsonb_to_recordset(%s::jsonb) AS asked(key text, seconds float)) a LEFT JOIN pace_windows p USING (key)",
            [json.dumps(asked)],
        )
        return {key: (used, ends_at) for key, used, ends_at in cursor.fetchall()}


_LINES = """
INSERT INTO pace_windows AS p (key, starts_at, used)
SELECT * FROM unnest(%(keys)s::text[], %(after)s::timestamptz[], %(none)s::int[])
ON CONFLICT (key) DO UPDATE SET starts_at = greatest(p.starts_at, excluded.starts_at),
    used = CASE WHEN p.starts_at >= excluded.starts_at THEN p.used ELSE 0 END
RETURNING key, starts_at, used
"""


def line_up(places: Mapping[tuple[Limit, int], tuple[int, datetime]]) -> dict[tuple[Limit, int], Iterator[datetime]]:
    """When each of so many messages that are over a limit should be looked at again, by limit and tier: behind those of their
    tier that were told before, as many a window as it lets go. `places`: how many, and when the next window begins.

    In the transaction of the grant, whose rows are locked. Nobody is told a time further off than AHEAD: whoever changes a limit
    need not wait longer for it to be seen, and the rest lines up again then."""
    if not places:
        return {}
    asked = {
        f"line {limit.key} {tier}": (limit, tier, *wanted) for (limit, tier), wanted in sorted(places.items(), key=str)
    }
    with connection.cursor() as cursor:
        keys, after = list(asked), [one[3] for one in asked.values()]
        cursor.execute(_LINES, {"keys": keys, "after": after, "none": [0] * len(keys)})
        lines, ends = {}, []
        for key, starts_at, used in cursor.fetchall():
            limit, tier, count, next_window = asked[key]
            line = _Line(limit, starts_at, used, next_window + max(AHEAD, timedelta(seconds=2 * limit.seconds)))
            lines[limit, tier] = iter(line.turns(count))
            ends.append((key, *line.end(count)))
        cursor.execute(
            "UPDATE pace_windows p SET starts_at = e.starts_at, used = e.used"
            " FROM unnest(%s::text[], %s::timestamptz[], %s::int[]) AS e(key, starts_at, used) WHERE p.key = e.key",
            [list(column) for column in zip(*ends, strict=True)],
        )
    return lines


@dataclass(frozen=True, slots=True)
class _Line:
    """Those that wait for a limit: `used` have a place in the window that starts at `starts_at`, and it is the last one."""

    limit: Limit
    starts_at: datetime
    used: int
    horizon: datetime

    def turns(self, count: int) -> list[datetime]:
        return [min(self._window(place), self.horizon) for place in range(self.used, self.used + count)]

    def end(self, count: int) -> tuple[datetime, int]:
        last = self._window(self.used + count)
        return (last, (self.used + count) % self._most) if last < self.horizon else (self.horizon, 0)

    def _window(self, place: int) -> datetime:
        return self.starts_at + timedelta(seconds=self.limit.seconds * (place // self._most))

    @property
    def _most(self) -> int:
        return max(1, self.limit.most)


def give_back(key: str, count: int) -> None:
    """Return what was granted and not used (its message went by another way, or back to the queue)."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pace_windows SET used = greatest(0, used - %s) WHERE key = %s", [count, key])


def forget() -> None:
    """Drop windows long gone."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM pace_windows WHERE starts_at < clock_timestamp() - interval '2 days'")
