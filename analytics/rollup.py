"""Counts events: each once, in the order of the event feed, a bounded page at a time. One transaction moves an account's position
and its counts together, so that a step which fails or is repeated changes nothing."""

import itertools
import json
import logging
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

from django.db import connection, transaction

from analytics.dimensions import MOST_VALUES, NONE, OTHER, TIMED, Dimension
from analytics.figures import COLUMNS, SOFT
from analytics.latency import GROWTH, LONGEST
from analytics.models import RollupPosition, RollupRound
from messaging.delivery import destinations

logger = logging.getLogger(__name__)

PAGE = 5_000
"""Events of one step. Its transaction holds back the event feed while it runs (queries.feed), some tenths of a second."""

BUDGET = 4.0
"""Seconds after which a round ends, whatever is left; the next one goes on."""

MINUTES_KEPT = timedelta(hours=25)
"""How long counts by minute are kept: the longest window of an alert, and an hour."""

HOURS_KEPT = timedelta(days=800)
"""The longest series of queries.LONGEST and as much before it to compare it with; a baseline needs six weeks."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step read; `more`: its page was full."""

    events: int
    more: bool


def run(budget: float = BUDGET) -> int:
    """One round: a step for every account that has something to count, then further ones for those that have more, until all is
    counted or the time is up. Returns the number of events. An account whose step fails is left for the next round and is behind
    until then. Several processes may do it at once."""
    ends, began, count = monotonic() + budget, horizon(), 0
    turns = deque(_waiting())
    unseen = set(turns)
    while turns and monotonic() < ends:
        account = turns.popleft()
        done = _tried(*account, began)
        if done is not None:
            unseen.discard(account)
            count += done.events
            if done.more:
                turns.append(account)
    if not unseen:
        RollupRound.objects.update_or_create(id=1, defaults={"as_of": began})
    return count


def _tried(account_id: int, livemode: bool, began: datetime) -> Step | None:
    try:
        return step(account_id, livemode, began, PAGE)
    except Exception:
        if not connection.is_usable():  # it is away: for all of them
            raise
        logger.exception("events of account %d can't be counted (live: %s); the others' are", account_id, livemode)
        RollupPosition.objects.update_or_create(account_id=account_id, livemode=livemode, defaults={"behind": True})
        return Step(0, False)


def step(account_id: int, livemode: bool, began: datetime, page: int = PAGE) -> Step | None:
    """Count the next page of this account's events; None while another process does. `began`: a time before which nothing that
    runs had begun (horizon)."""
    with transaction.atomic(), connection.cursor() as cursor:
        RollupPosition.objects.bulk_create(
            [RollupPosition(account_id=account_id, livemode=livemode)], ignore_conflicts=True
        )
        own = RollupPosition.objects.filter(account_id=account_id, livemode=livemode)
        at = own.select_for_update(skip_locked=True, no_key=True).first()
        if at is None:
            return None
        cursor.execute(_PLANNING)
        cursor.execute(_COUNT, _values(at, page))
        events, *last = cursor.fetchone()
        full = events == page
        changes = {"behind": full} | ({} if full else {"as_of": began})
        if events:
            changes |= dict(zip(("transaction", "number"), last, strict=True))
        own.update(**changes)
    return Step(events, full)


def forget() -> None:
    """Throw away the counts that are older than any alert or series looks at."""
    now = datetime.now(UTC)
    kept = {"minute": MINUTES_KEPT, "hour": HOURS_KEPT}
    with connection.cursor() as cursor:
        for unit, what in itertools.product(kept, ("counts", "latencies")):
            cursor.execute(
                f"DELETE FROM {unit}_{what} t USING accounts a WHERE t.account_id = a.id AND t.livemode IN (true, false)"
                " AND t.dimension = ANY(%s) AND t.at < %s",
                [list(Dimension), now - kept[unit]],
            )


def horizon() -> datetime:
    """A time before which every transaction that writes had ended: what was committed before it is seen by whoever reads the feed
    from now on."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT least(statement_timestamp(), min(xact_start)) FROM pg_stat_activity WHERE backend_xid IS NOT NULL"
        )
        return cursor.fetchone()[0]


def _waiting() -> list[tuple[int, bool]]:
    """Accounts and environments with events beyond their position: one step of the feed's index each."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT a.id, mode.livemode FROM accounts a CROSS JOIN (VALUES (true), (false)) mode(livemode)
            LEFT JOIN rollup_positions p ON p.account_id = a.id AND p.livemode = mode.livemode
            CROSS JOIN LATERAL (
                SELECT FROM events e WHERE e.account_id = a.id AND e.livemode = mode.livemode
                    AND (e.transaction, e.id) > (coalesce(p.transaction, 0), coalesce(p.number, 0))
                    AND e.transaction < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
                ORDER BY e.account_id, e.livemode, e.transaction, e.id LIMIT 1
            ) beyond ORDER BY a.id, mode.livemode
            """
        )
        return cursor.fetchall()


def _values(at: RollupPosition, page: int) -> dict[str, object]:
    known = {domain: group for group in destinations.PROVIDERS for domain in destinations.listed(group)}
    return {
        "account": at.account_id, "livemode": at.livemode, "transaction": at.transaction, "number": at.number,
        "skips_before": at.skips_before, "skips_transaction": at.skips_transaction, "skips_number": at.skips_number,
        "page": page, "soft": list(SOFT), "most": MOST_VALUES, "other": OTHER, "none": NONE,
        "providers": json.dumps(known), "timed": [int(dimension) for dimension in TIMED],
        "minutes": datetime.now(UTC) - MINUTES_KEPT,
    }  # fmt: skip


_PLANNING = "SET LOCAL enable_hashjoin = on; SET LOCAL work_mem = '32MB'"
"""The dispatcher's connections have hash joins off; a page's rows are some megabytes."""

_MEANT = {
    "received": "p.sequence = 1",
    "accepted": "p.type = 'accepted'",
    "delivered": "p.type = 'delivered'",
    "deferred": "p.type = 'deferred' AND p.previous = 'accepted'",
    "deferrals": "p.type = 'deferred'",
    "bounced_hard": "p.type = 'bounced' AND NOT coalesce(p.reason = ANY(%(soft)s), false)",
    "bounced_soft": "p.type = 'bounced' AND coalesce(p.reason = ANY(%(soft)s), false)",
    "bounced_late": "p.type = 'bounced' AND p.previous = 'delivered'",
    "complained": "p.type = 'complained'",
    "unsubscribed": "p.type = 'unsubscribed'",
    "suppressed": "p.type = 'suppressed'",
    "canceled": "p.type = 'canceled'",
    "expired": "p.type = 'expired'",
}
"""Which events each column counts."""

_MARKS = " | ".join(f"(coalesce({meant}, false)::int << {COLUMNS.index(name)})" for name, meant in _MEANT.items())
_COUNTED = ", ".join(
    f"coalesce(sum(events) FILTER (WHERE marks & {1 << number} <> 0), 0)" for number in range(len(COLUMNS))
)
"""SQL: what an event counts for, in one number, so that rows stay narrow on their way; and the counts of such rows."""

_SORTED = f"""
    ({Dimension.TIER}, coalesce(a.tier::text, %(none)s)), ({Dimension.TEMPLATE}, coalesce(a.template, %(none)s)),
    ({Dimension.RECIPIENT_PROVIDER}, coalesce(a.provider, %(none)s)),
    ({Dimension.SENDER_DOMAIN}, coalesce(a.sender_domain, %(none)s)),
    ({Dimension.RECIPIENT_DOMAIN}, coalesce(a.domain, %(none)s)), ({Dimension.ROUTE}, a.route),
    ({Dimension.KEY}, coalesce(a.key_id, %(none)s)), ({Dimension.BOUNCE_CLASS}, a.reason)
"""
"""Under which values a message of the CTE `alike` stands, besides its tags; under none where the value is null."""


def _added(table: str, unit: str, also: str = "") -> str:
    """SQL: what is counted of the page, added to the counts by hour or by minute."""
    return f"""
    INSERT INTO {table} AS t (account_id, livemode, dimension, at, value, {", ".join(COLUMNS)})
    SELECT %(account)s, %(livemode)s, dimension, {unit}, value, {_COUNTED}
    FROM told WHERE {also or "true"} GROUP BY 3, 4, 5
    ON CONFLICT (account_id, livemode, dimension, at, value) DO UPDATE SET
        {", ".join(f"{name} = t.{name} + excluded.{name}" for name in COLUMNS)}"""


def _timed(table: str, unit: str, also: str = "") -> str:
    return f"""
    INSERT INTO {table} AS t (account_id, livemode, dimension, at, value, slot, messages)
    SELECT %(account)s, %(livemode)s, dimension, {unit}, value, slot, sum(events)
    FROM told WHERE slot IS NOT NULL AND dimension = ANY(%(timed)s) AND {also or "true"} GROUP BY 3, 4, 5, 6
    ON CONFLICT (account_id, livemode, dimension, at, value, slot) DO UPDATE SET messages = t.messages + excluded.messages"""


_MILLISECONDS = "extract(epoch FROM p.at - greatest(m.created_at, m.scheduled_time)) * 1000"
_SLOT = (
    f"least({LONGEST}, ceil(round((ln(greatest(1, {_MILLISECONDS})::float8) / ln({GROWTH}::float8))::numeric, 9)))::int"
)
"""SQL: latency.bucket."""

_RECENT = "minute >= %(minutes)s"

# `alike` are events that count alike, as one: most of a page that came from one minute do.
# `fresh` are the values that the hour has not counted yet, `refused` those of them for which it has no room;
# what an open alert is about always has some, so that the alert ends by its own figure.
_COUNT = f"""
WITH page AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY e.account_id, e.livemode, e.transaction, e.id) AS place, e.transaction, e.id, e.message_id,
        e.type, e.previous, e.sequence, e.at, e.data ->> 'route' AS route,
        CASE WHEN e.type IN ('bounced', 'deferred') THEN e.data ->> 'reason' END AS reason
    FROM events e WHERE e.account_id = %(account)s AND e.livemode = %(livemode)s
        AND (e.transaction, e.id) > (%(transaction)s, %(number)s)
        AND e.transaction < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    ORDER BY e.account_id, e.livemode, e.transaction, e.id LIMIT %(page)s
), facts AS MATERIALIZED (
    SELECT p.place, date_trunc('minute', p.at, 'UTC') AS minute, p.route, p.reason, m.tier, c.template, c.tags, c.key_id,
        lower(rtrim(split_part(c.sender, '@', -1), '>')) AS sender_domain, split_part(c.recipient_key, '@', -1) AS domain,
        {_MARKS} AS marks, CASE WHEN p.type = 'delivered' THEN {_SLOT} END AS slot
    FROM page p LEFT JOIN messages m ON m.id = p.message_id LEFT JOIN message_contents c ON c.message_id = p.message_id
    WHERE p.message_id IS NOT NULL AND (p.type <> 'queued' OR p.sequence = 1) AND NOT coalesce(
        p.at < %(skips_before)s AND (p.transaction, p.id) <= (%(skips_transaction)s, %(skips_number)s), false)
), alike AS MATERIALIZED (
    SELECT f.*, coalesce(%(providers)s::jsonb ->> f.domain, d.provider) AS provider, date_trunc('hour', minute, 'UTC') AS hour
    FROM (
        SELECT minute, route, reason, tier, template, tags, key_id, sender_domain, domain, marks, slot,
            min(place) AS place, count(*)::int AS events
        FROM facts GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    ) f LEFT JOIN mail_domains d USING (domain)
), sorted AS MATERIALIZED (
    SELECT a.place, a.hour, a.minute, a.slot, a.marks, a.events, s.dimension, s.value FROM alike a CROSS JOIN LATERAL (
        SELECT * FROM (VALUES {_SORTED}) AS named(dimension, value) WHERE value IS NOT NULL
        UNION ALL SELECT DISTINCT {Dimension.TAG}, unnest(a.tags)
    ) s
), fresh AS MATERIALIZED (
    SELECT dimension, hour, value, row_number() OVER (PARTITION BY dimension, hour ORDER BY first, value) AS rank
    FROM (SELECT dimension, hour, value, min(place) AS first FROM sorted GROUP BY 1, 2, 3) s
    WHERE NOT EXISTS (SELECT FROM hour_counts h WHERE h.account_id = %(account)s AND h.livemode = %(livemode)s
        AND h.dimension = s.dimension AND h.at = s.hour AND h.value = s.value)
), refused AS MATERIALIZED (
    SELECT f.dimension, f.hour, f.value FROM fresh f JOIN (
        SELECT g.dimension, g.hour, (SELECT count(*) FROM hour_counts h WHERE h.account_id = %(account)s
            AND h.livemode = %(livemode)s AND h.dimension = g.dimension AND h.at = g.hour AND h.value <> %(other)s) AS used
        FROM (SELECT DISTINCT dimension, hour FROM fresh) g
    ) room USING (dimension, hour) WHERE room.used + f.rank > %(most)s AND NOT EXISTS (SELECT FROM alerts a
        WHERE a.account_id = %(account)s AND a.livemode = %(livemode)s AND a.resolved_at IS NULL AND a.subject = f.value)
), told AS MATERIALIZED (
    SELECT s.dimension, s.hour, s.minute, s.slot, s.marks, s.events,
        CASE WHEN r.value IS NULL THEN s.value ELSE %(other)s END AS value
    FROM sorted s LEFT JOIN refused r USING (dimension, hour, value)
), hours AS ({_added("hour_counts", "hour")}
), minutes AS ({_added("minute_counts", "minute", _RECENT)}
), hourly AS ({_timed("hour_latencies", "hour")}
), minutely AS ({_timed("minute_latencies", "minute", _RECENT)}
), newest AS (SELECT transaction, id FROM page ORDER BY transaction DESC, id DESC LIMIT 1)
SELECT (SELECT count(*) FROM page), (SELECT transaction FROM newest), (SELECT id FROM newest)
"""
