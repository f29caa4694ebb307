"""Reads what rules watch: one statement per rule and round for the window, one for the history of a baseline. Windows are
widened to whole minutes."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import connection

from analytics import latency
from analytics.alerts.judging import History, Reading
from analytics.alerts.metrics import OF_COUNTS, Metric, Scope
from analytics.dimensions import NONE, OTHER, Dimension
from analytics.figures import COLUMNS, Counts
from analytics.models import AlertRule
from messaging.delivery import destinations
from messaging.queues import depth
from sendarix.core import ids
from webhooks import queries as webhooks

SUBJECTS = 200
"""Of a rule that watches each on its own: the busiest."""

NEWEST = 50_000
"""Messages of a window that are looked at for sends to one recipient."""

WEEKS = 6
HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)

_SUMS = ", ".join(f"sum({name})::bigint" for name in COLUMNS)


def read(rule: AlertRule, now: datetime) -> list[Reading]:
    """The readings of every subject of a rule; of a rule for the account, or for one subject, exactly one."""
    since = (now - timedelta(seconds=rule.window_seconds)).replace(second=0, microsecond=0)
    seconds = (now - since).total_seconds()
    metric, scope = Metric(rule.metric), Scope(rule.scope)
    if metric is Metric.QUEUE_AGE:
        return [Reading("", depth.oldest_due(rule.account_id, rule.livemode), rule.minimum, seconds)]
    if metric is Metric.WEBHOOK_FAILURE_RATE:
        tried, failed = webhooks.tried(rule.account_id, rule.livemode, since)
        return [Reading("", failed / tried if tried else None, tried, seconds)]
    if metric is Metric.RECIPIENT_VOLUME:
        return _to_one_recipient(rule, scope, since, seconds)
    if metric is Metric.LATENCY_P95:
        found = _latencies(rule, since)
    else:
        found = {subject: OF_COUNTS[metric](counts) for subject, counts in _counts(rule, since).items()}
    if one := _only(rule, scope):
        return [Reading(one[0], *found.get(one[0], (0.0 if metric is Metric.VOLUME else None, 0)), seconds)]
    return [Reading(subject, value, volume, seconds) for subject, (value, volume) in found.items()]


def _only(rule: AlertRule, scope: Scope) -> tuple[str] | None:
    if scope is Scope.ACCOUNT:
        return ("",)
    return None if rule.scope_value is None else (rule.scope_value,)


def dimension_of(scope: Scope, value: str | None) -> Dimension:
    if scope is Scope.DESTINATION:
        grouped = value is None or value in destinations.PROVIDERS
        return Dimension.RECIPIENT_PROVIDER if grouped else Dimension.RECIPIENT_DOMAIN
    return _DIMENSIONS[scope]


_DIMENSIONS = {
    Scope.ACCOUNT: Dimension.TIER,
    Scope.KEY: Dimension.KEY,
    Scope.TEMPLATE: Dimension.TEMPLATE,
    Scope.TAG: Dimension.TAG,
}


def _where(rule: AlertRule, since: datetime) -> dict[str, object]:
    scope = Scope(rule.scope)
    return {
        "account": rule.account_id, "livemode": rule.livemode, "since": since, "value": rule.scope_value,
        "dimension": int(dimension_of(scope, rule.scope_value)), "account_wide": scope is Scope.ACCOUNT,
        "none": NONE, "other": OTHER, "subjects": SUBJECTS,
    }  # fmt: skip


_SUBJECT = "CASE WHEN %(account_wide)s THEN '' ELSE value END"
_SCOPED = """account_id = %(account)s AND livemode = %(livemode)s AND dimension = %(dimension)s AND at >= %(since)s
    AND (%(account_wide)s OR (value = coalesce(%(value)s, value) AND value NOT IN (%(none)s, %(other)s)))"""


def _counts(rule: AlertRule, since: datetime) -> dict[str, Counts]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_SUBJECT}, {_SUMS} FROM minute_counts WHERE {_SCOPED} GROUP BY 1"
            " ORDER BY sum(received) + sum(accepted) DESC, 1 LIMIT %(subjects)s",
            _where(rule, since),
        )
        return {subject: Counts(*counts) for subject, *counts in cursor.fetchall()}


def _latencies(rule: AlertRule, since: datetime) -> dict[str, tuple[float | None, int]]:
    """The 95th percentile, and of how many deliveries."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT subject, jsonb_object_agg(slot, messages)::text FROM (SELECT {_SUBJECT} AS subject, slot,"
            f" sum(messages) AS messages FROM minute_latencies WHERE {_SCOPED} GROUP BY 1, 2) s GROUP BY subject"
            " ORDER BY sum(messages) DESC, subject LIMIT %(subjects)s",
            _where(rule, since),
        )
        rows = cursor.fetchall()
    told = {subject: {int(slot): count for slot, count in json.loads(slots).items()} for subject, slots in rows}
    return {subject: (latency.percentile(slots, 0.95), sum(slots.values())) for subject, slots in told.items()}


def _to_one_recipient(rule: AlertRule, scope: Scope, since: datetime, seconds: float) -> list[Reading]:
    """The most that went to one recipient; ids of messages begin with their time."""
    column = {Scope.ACCOUNT: "''", Scope.KEY: "c.key_id", Scope.TEMPLATE: "c.template"}[scope]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT DISTINCT ON (subject) subject, recipient_key, count(*) FROM (
                SELECT {column} AS subject, c.recipient_key FROM (
                    SELECT id FROM messages WHERE account_id = %(account)s AND livemode = %(livemode)s AND id >= %(first)s
                    ORDER BY id DESC LIMIT %(newest)s
                ) m JOIN message_contents c ON c.message_id = m.id
            ) s WHERE subject = coalesce(%(value)s, subject) GROUP BY 1, 2 ORDER BY 1, 3 DESC LIMIT %(subjects)s
            """,
            _where(rule, since) | {"first": ids.floor("msg", since), "newest": NEWEST},
        )
        found = [Reading(subject, count, count, seconds, recipient) for subject, recipient, count in cursor.fetchall()]
    only = _only(rule, scope)
    return found or ([Reading(only[0], 0, 0, seconds)] if only else [])


def histories(rule: AlertRule, subjects: Sequence[str], now: datetime) -> dict[str, History]:
    """What each subject's hours were like: this hour in each of the WEEKS before, and all hours of the last week. An hour before
    the first one that is known of a subject tells nothing; one after it without mail was an hour of none."""
    running = now.replace(minute=0, second=0, microsecond=0)
    weeks = [running - number * WEEK for number in range(1, WEEKS + 1)]
    hours = [running - number * HOUR for number in range(1, 168 + 1)]
    metric = OF_COUNTS[Metric(rule.metric)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_SUBJECT} AS subject, at, {_SUMS} FROM hour_counts WHERE {_SCOPED} AND at = ANY(%(hours)s)"
            " AND (%(account_wide)s OR value = ANY(%(named)s)) GROUP BY 1, 2",
            _where(rule, weeks[-1]) | {"hours": [*weeks, *hours], "named": list(subjects)},
        )
        found: dict[str, dict[datetime, Counts]] = defaultdict(dict)
        for subject, at, *counts in cursor.fetchall():
            found[subject][at] = Counts(*counts)
    return {
        subject: History(_values(found[subject], weeks, metric), _values(found[subject], hours, metric))
        for subject in subjects
    }


def _values(known: dict[datetime, Counts], times: Iterable[datetime], metric) -> list[float]:
    first = min(known, default=None)
    told = [metric(known.get(at, Counts()))[0] for at in times if first is not None and at >= first]
    return [value for value in told if value is not None]
