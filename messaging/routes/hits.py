"""How often each rule decided lately, from the explanations that attempts keep. Bounded: it reads the account's newest events by
their index of time, so its cost does not grow with the mail there is."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

WINDOW = "24 hours"
NEWEST = 10_000
"""Events that are read."""


@dataclass(frozen=True, slots=True)
class Hits:
    """Tries by rule id, of those since `since`. `whole`: that is all of the last 24 hours."""

    counts: dict[str, int]
    since: datetime
    whole: bool


_HITS = f"""
WITH newest AS MATERIALIZED (
    SELECT e.message_id, e.type, e.at FROM events e
    WHERE e.account_id = %(account)s AND e.livemode AND e.at > statement_timestamp() - interval '{WINDOW}'
    ORDER BY e.account_id DESC, e.livemode DESC, e.at DESC, e.id DESC LIMIT %(newest)s
), looked AS (
    SELECT count(*) = %(newest)s AS cut,
        CASE WHEN count(*) = %(newest)s THEN min(at) ELSE statement_timestamp() - interval '{WINDOW}' END AS since FROM newest
), tried AS (
    SELECT DISTINCT message_id FROM newest
    WHERE type IN ('accepted', 'deferred', 'delivered', 'bounced') AND message_id IS NOT NULL
)
SELECT (SELECT since FROM looked), (SELECT cut FROM looked), a.rule, count(a.id)
FROM looked l LEFT JOIN tried t ON true LEFT JOIN LATERAL (
    SELECT a.id, a.explanation ->> 'rule' AS rule FROM attempts a
    WHERE a.message_id = t.message_id AND a.started_at >= l.since
    OFFSET 0 -- by the index of each message: a join over all attempts may look cheaper to the planner
) a ON true
GROUP BY 3
"""


def of_account(account_id: int) -> Hits:
    """What rules an account's live tries were decided by; those by no rule are under ""."""
    with connection.cursor() as cursor:
        cursor.execute(_HITS, {"account": account_id, "newest": NEWEST})
        rows = cursor.fetchall()
    return Hits({rule or "": count for *_, rule, count in rows if count}, rows[0][0], not rows[0][1])
