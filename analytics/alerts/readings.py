"""Reads what rules watch: one statement per rule and round for the window, one for the history of a baseline. Windows are
widened to whole minutes."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
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

_SUMS = ", ".join(f"sum({name})::bigint AS {name}" for name in COLUMNS)


_Figure = tuple[float | None, int] | tuple[float | None, int, str]
"""A value, from how many it is concluded, and perhaps to whom so many went."""


def read(rule: AlertRule, now: datetime, standing: Collection[str] = ()) -> list[Reading]:
    """The readings of a rule's busiest subjects and of those `standing`, whose alerts are open; of a rule for the account, or for
    one subject, exactly one."""
    since = (now - timedelta(seconds=rule.window_seconds)).replace(second=0, microsecond=0)
    seconds = (now - since).total_seconds()
    metric, scope = Metric(rule.metric), Scope(rule.scope)
    if metric is Metric.QUEUE_AGE:
        return [Reading("", depth.oldest_due(rule.account_id, rule.livemode), rule.minimum, seconds)]
    if metric is Metric.WEBHOOK_FAILURE_RATE:
        tried, failed = webhooks.tried(rule.account_id, rule.livemode, since)
        return [Reading("", failed / tried if tried else None, tried, seconds)]
    asked = _where(rule, since, standing)
    found: Mapping[str, _Figure]
    if metric is Metric.RECIPIENT_VOLUME:
        found = _to_one_recipient(scope, asked | {"first": ids.floor("msg", since), "newest": NEWEST})
    elif metric is Metric.LATENCY_P95:
        found = _latencies(asked)
    else:
        found = {subject: OF_COUNTS[metric](counts) for subject, counts in _counts(asked).items()}
    silent: _Figure = (0.0 if metric in (Metric.VOLUME, Metric.RECIPIENT_VOLUME) else None, 0)
    subjects = _only(rule, scope) or tuple(dict.fromkeys((*found, *standing)))
    return [_reading(subject, seconds, *found.get(subject, silent)) for subject in subjects]


def _reading(subject: str, seconds: float, value: float | None, volume: int, recipient: str | None = None) -> Reading:
    return Reading(subject, value, volume, seconds, recipient)


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


def _where(rule: AlertRule, since: datetime, standing: Collection[str] = ()) -> dict[str, object]:
    scope = Scope(rule.scope)
    return {
        "account": rule.account_id, "livemode": rule.livemode, "since": since, "value": rule.scope_value,
        "dimension": int(dimension_of(scope, rule.scope_value)), "account_wide": scope is Scope.ACCOUNT,
        "none": NONE, "other": OTHER, "subjects": SUBJECTS + len(standing),
        "standing": list(standing),
    }  # fmt: skip


_SUBJECT = "CASE WHEN %(account_wide)s THEN '' ELSE value END"
_SCOPED = """account_id = %(account)s AND livemode = %(livemode)s AND dimension = %(dimension)s AND at >= %(since)s
    AND (%(account_wide)s OR (value = coalesce(%(value)s, value) AND value NOT IN (%(none)s, %(other)s)))"""


_FIRST = "(subject = ANY(%(standing)s)) DESC"
"""SQL: those whose alerts are open are never left out."""


def _counts(asked: dict[str, object]) -> dict[str, Counts]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT subject, {', '.join(COLUMNS)} FROM (SELECT {_SUBJECT} AS subject, {_SUMS} FROM minute_counts"
            f" WHERE {_SCOPED} GROUP BY 1) s ORDER BY {_FIRST}, received + accepted DESC, subject LIMIT %(subjects)s",
            asked,
        )
        return {subject: Counts(*counts) for subject, *counts in cursor.fetchall()}


def _latencies(asked: dict[str, object]) -> dict[str, tuple[float | None, int]]:
    """The 95th percentile, and of how many deliveries."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT subject, jsonb_object_agg(slot, messages)::text FROM (SELECT {_SUBJECT} AS subject, slot,"
            f" sum(messages) AS messages FROM minute_latencies WHERE {_SCOPED} GROUP BY 1, 2) s GROUP BY subject"
            f" ORDER BY {_FIRST}, sum(messages) DESC, subject LIMIT %(subjects)s",
            asked,
        )
        rows = cursor.fetchall()
    told = {subject: {int(slot): count for slot, count in json.loads(slots).items()} for subject, slots in rows}
    return {subject: (latency.percentile(slots, 0.95), sum(slots.values())) for subject, slots in told.items()}


def _to_one_recipient(scope: Scope, asked: dict[str, object]) -> dict[str, tuple[float, int, str]]:
    """The most that went to one recipient; ids of messages begin with their time."""
    column = {Scope.ACCOUNT: "''", Scope.KEY: "c.key_id", Scope.TEMPLATE: "c.template"}[scope]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT subject, recipient_key, count FROM (
                SELECT DISTINCT ON (subject) subject, recipient_key, count(*) AS count FROM (
                    SELECT {column} AS subject, c.recipient_key FROM (
                        SELECT id FROM messages WHERE account_id = %(account)s AND livemode = %(livemode)s AND id >= %(first)s
                        ORDER BY id DESC LIMIT %(newest)s
                    ) m JOIN message_contents c ON c.message_id = m.id
                ) s WHERE subject = coalesce(%(value)s, subject) GROUP BY 1, 2 ORDER BY 1, 3 DESC
            ) s ORDER BY {_FIRST}, count DESC, subject LIMIT %(subjects)s
            """,
            asked,
        )
        return {subject: (count, count, recipient) for subject, recipient, count in cursor.fetchall()}


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
