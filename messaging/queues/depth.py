"""How deep an account's queue is, how old, how fast it empties, and for what its messages wait. Costs about the same however long
the queue is: beyond a number of rows it counts no further and says so."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from messaging.delivery import destinations
from messaging.models import Tier
from sendarix.accounts.keys import Caller

COUNTED = 20_000
"""Waiting messages of a tier that are counted, those that are due first; and of these so many by destination and route:"""
SORTED = 500

ENDED = 5_000
"""The newest events from which the rate is taken, those of the last WINDOW seconds."""
WINDOW = 300.0

NAMED = 100
"""Destinations, and routes, that are shown: those with the most messages."""


@dataclass(slots=True)
class Figures:
    """Of some part of the queue. `oldest` is the age in seconds of what is due the longest; `ended` counts what delivery brought
    to an end in the time looked at; `truncated`: there are more."""

    depth: int = 0
    due: int = 0
    oldest: float | None = None
    in_flight: int = 0
    ended: int = 0
    truncated: bool = False

    def add(self, depth: int, due: int, oldest: float | None) -> None:
        self.depth += depth
        self.due += due
        if oldest is not None:
            self.oldest = max(self.oldest or 0.0, oldest)

    def per_minute(self, seconds: float) -> float:
        """How many came to an end in a minute, of those seen in `seconds`."""
        return self.ended * 60 / seconds

    def drain_seconds(self, seconds: float) -> float | None:
        """Until what is due now is gone at this pace; None while nothing moves."""
        return (self.due + self.in_flight) * seconds / self.ended if self.ended else None


@dataclass(slots=True)
class Depth:
    """`seconds`: the time over which `ended` was counted; `truncated`: not every message was asked for destination and route."""

    at: datetime
    seconds: float
    total: Figures = field(default_factory=Figures)
    tiers: dict[str, Figures] = field(default_factory=lambda: {tier.label: Figures() for tier in Tier})
    destinations: dict[str, Figures] = field(default_factory=lambda: defaultdict(Figures))
    routes: dict[str | None, Figures] = field(default_factory=lambda: defaultdict(Figures))
    waits: dict[str, Figures] = field(default_factory=lambda: defaultdict(Figures))
    truncated: bool = False


# BETWEEN and not =, because then only the index of turns gives the order, and nobody else's rows are walked through.
_WAITING = """
SELECT t.tier, q.livemode, q.waits_for, count(*), count(*) FILTER (WHERE q.due_at <= statement_timestamp()),
    extract(epoch FROM statement_timestamp() - min(q.due_at) FILTER (WHERE q.due_at <= statement_timestamp()))
FROM unnest(ARRAY[0, 1, 2, 3]) AS t(tier), LATERAL (
    SELECT m.due_at, m.waits_for, m.livemode FROM messages m
    WHERE m.tier = t.tier AND m.account_id BETWEEN %(account)s AND %(account)s AND m.due_at IS NOT NULL
    ORDER BY m.account_id, m.due_at LIMIT %(most)s + 1
) q GROUP BY 1, 2, 3
"""

_ROUTE = """LEFT JOIN LATERAL (
    SELECT e.data ->> 'route' AS route FROM events e WHERE e.message_id = q.id AND e.data ? 'route' AND q.status <> 'queued'
    ORDER BY e.sequence DESC LIMIT 1
) last ON true"""

_SORTED = f"""
SELECT split_part(c.recipient_key, '@', -1), last.route, count(*), count(*) FILTER (WHERE q.due_at <= statement_timestamp()),
    extract(epoch FROM statement_timestamp() - min(q.due_at) FILTER (WHERE q.due_at <= statement_timestamp()))
FROM unnest(ARRAY[0, 1, 2, 3]) AS t(tier), LATERAL (
    SELECT m.id, m.due_at, m.status, m.livemode FROM messages m
    WHERE m.tier = t.tier AND m.account_id BETWEEN %(account)s AND %(account)s AND m.due_at IS NOT NULL
    ORDER BY m.account_id, m.due_at LIMIT %(sorted)s
) q JOIN message_contents c ON c.message_id = q.id {_ROUTE}
WHERE q.livemode = %(livemode)s GROUP BY 1, 2
"""

_CLAIMED = f"""
SELECT q.tier, split_part(c.recipient_key, '@', -1), last.route, count(*)
FROM messages q JOIN message_contents c ON c.message_id = q.id {_ROUTE}
WHERE q.worker IS NOT NULL AND q.account_id = %(account)s AND q.livemode = %(livemode)s GROUP BY 1, 2, 3
"""

_ENDED = """
WITH newest AS MATERIALIZED (
    SELECT e.message_id, e.type, e.previous, e.at, e.data ->> 'route' AS route FROM events e
    WHERE e.account_id = %(account)s AND e.livemode = %(livemode)s ORDER BY e.transaction DESC, e.id DESC LIMIT %(ended)s
), looked AS (
    SELECT CASE WHEN count(*) < %(ended)s THEN %(window)s
        ELSE greatest(1, least(%(window)s, extract(epoch FROM statement_timestamp() - min(at)))) END AS seconds FROM newest
)
SELECT m.tier, split_part(c.recipient_key, '@', -1), n.route, count(m.id), max(l.seconds)
FROM looked l LEFT JOIN newest n ON n.at > statement_timestamp() - %(window)s * interval '1 second'
        AND n.type IN ('delivered', 'bounced', 'suppressed', 'expired') AND n.previous <> 'delivered'
    LEFT JOIN messages m ON m.id = n.message_id LEFT JOIN message_contents c ON c.message_id = m.id
GROUP BY 1, 2, 3
"""


def look(caller: Caller) -> Depth:
    """The queue of the caller's account and environment, in four statements."""
    asked = {
        "account": caller.account_id, "livemode": caller.livemode,
        "most": COUNTED, "sorted": SORTED, "ended": ENDED, "window": WINDOW,
    }  # fmt: skip
    with connection.cursor() as cursor:
        answers = []
        for statement in (_WAITING, _SORTED, _CLAIMED, _ENDED):
            cursor.execute(statement, asked)
            answers.append(cursor.fetchall())
        cursor.execute("SELECT statement_timestamp()")
        depth = Depth(at=cursor.fetchone()[0], seconds=float(max(row[4] for row in answers[3])))
    waiting, grouped, claimed, ended = answers
    _count(depth, waiting, caller.livemode)
    destinations.prefetch(
        domain for rows in (_column(grouped, 0), _column(claimed, 1), _column(ended, 1)) for domain in rows
    )
    for domain, route, *counts in grouped:
        for part in (depth.destinations[_destination(domain)], depth.routes[route]):
            part.add(*_figures(*counts))
    for tier, domain, route, count in claimed:
        for part in _parts(depth, tier, domain, route):
            part.in_flight += count
    for tier, domain, route, count, _ in ended:
        for part in _parts(depth, tier, domain, route) if count else ():
            part.ended += count
    return depth


def waiting(caller: Caller) -> Figures:
    """All that waits of the caller's account and environment, in one statement. What is in flight or has ended it leaves out."""
    depth = Depth(at=datetime.now(UTC), seconds=WINDOW)
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, {"account": caller.account_id, "most": COUNTED})
        _count(depth, cursor.fetchall(), caller.livemode)
    return depth.total


def oldest_due(account_id: int, livemode: bool) -> float:
    """Seconds since when the message is due that is due the longest; 0 when none is. What a pause holds back is not due."""
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST, {"account": account_id, "livemode": livemode})
        return float(cursor.fetchone()[0] or 0.0)


_OLDEST = """
SELECT extract(epoch FROM statement_timestamp() - min(q.due_at)) FROM unnest(ARRAY[0, 1, 2, 3]) AS t(tier), LATERAL (
    SELECT m.due_at FROM messages m WHERE m.tier = t.tier AND m.account_id BETWEEN %(account)s AND %(account)s
        AND m.due_at <= statement_timestamp() AND m.livemode = %(livemode)s
    ORDER BY m.account_id, m.due_at LIMIT 1
) q
"""


@dataclass(frozen=True, slots=True)
class OfAccount:
    """What waits of one account, in both environments; of each tier at most COUNTED + 1 are counted. `oldest` as in Figures."""

    slug: str
    depth: int
    due: int
    oldest: float | None


_ACCOUNTS = """
WITH RECURSIVE waiting (tier, account_id) AS (
    SELECT t.tier, -1::bigint FROM unnest(ARRAY[0, 1, 2, 3]) AS t(tier)
    UNION ALL
    SELECT w.tier, next.account_id FROM waiting w, LATERAL (
        SELECT m.account_id FROM messages m
        WHERE m.tier = w.tier AND m.due_at IS NOT NULL AND m.account_id > w.account_id ORDER BY m.account_id, m.due_at LIMIT 1
    ) next
)
SELECT a.slug, sum(q.depth)::int, sum(q.due)::int, max(q.oldest)::float
FROM waiting w JOIN accounts a ON a.id = w.account_id, LATERAL (
    SELECT count(*) AS depth, count(*) FILTER (WHERE due_at <= statement_timestamp()) AS due,
        extract(epoch FROM statement_timestamp() - min(due_at) FILTER (WHERE due_at <= statement_timestamp())) AS oldest
    FROM (
        SELECT m.due_at FROM messages m
        WHERE m.tier = w.tier AND m.account_id BETWEEN w.account_id AND w.account_id AND m.due_at IS NOT NULL
        ORDER BY m.account_id, m.due_at LIMIT %(most)s + 1
    ) counted
) q GROUP BY a.slug ORDER BY 2 DESC, 1 LIMIT %(named)s
"""


def by_account() -> list[OfAccount]:
    """The NAMED accounts with the most waiting messages, for operators."""
    with connection.cursor() as cursor:
        cursor.execute(_ACCOUNTS, {"most": COUNTED, "named": NAMED})
        return [OfAccount(*row) for row in cursor.fetchall()]


def _column(rows: Iterable[tuple], index: int) -> list[str]:
    return [row[index] for row in rows if row[index] is not None]


def _count(depth: Depth, rows: list[tuple[Any, ...]], livemode: bool) -> None:
    """The statement walks through a tier's rows of both environments, up to COUNTED."""
    walked: Counter[int] = Counter()
    for tier, *_, count, _, _ in rows:
        walked[tier] += count
    for tier, environment, kind, *counts in rows:
        for part in (depth.total, depth.tiers[Tier(tier).label], depth.waits[kind]) if environment == livemode else ():
            part.add(*_figures(*counts))
            part.truncated |= walked[tier] > COUNTED
    depth.truncated = any(count > SORTED for count in walked.values())


def _figures(count: int, due: int, oldest: Any) -> tuple[int, int, float | None]:
    return count, due, None if oldest is None else float(oldest)


def _parts(depth: Depth, tier: int, domain: str, route: str | None) -> tuple[Figures, ...]:
    return depth.total, depth.tiers[Tier(tier).label], depth.destinations[_destination(domain)], depth.routes[route]


def _destination(domain: str) -> str:
    return destinations.provider(domain) or domain


def largest(parts: dict[Any, Figures]) -> list[tuple[Any, Figures]]:
    """At most NAMED of them, the deepest first."""
    return sorted(parts.items(), key=lambda part: (-part[1].depth - part[1].in_flight, -part[1].ended, part[0] or ""))[
        :NAMED
    ]
