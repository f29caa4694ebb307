"""Who works on the queue: one unlogged row for each drain, watchdog and dispatcher, renewed while it lives. A claim is good
as long as its drain beats."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import connection

from messaging.models import Tier
from sendarix.core.statements import Statement

LEASE = timedelta(seconds=15)
"""A worker that has not beaten for this long has lost its claims."""

LOOK = timedelta(milliseconds=150)
"""How long a look at the queue is a promise of another one, during which acceptance wakes nobody."""

WATCHDOG = "watchdog"
"""The name of the cluster under which watchdogs beat. They claim nothing; they show that a cluster is looked after."""

DISPATCHER = "dispatcher"
"""The one under which dispatchers beat, who claim nothing either."""

_BEAT = Statement(
    "beat",
    """
INSERT INTO delivery_workers AS w (id, cluster, beat_at, looks_until)
VALUES (%(id)s::text, %(cluster)s::text, clock_timestamp(),
    CASE WHEN %(looks)s::boolean THEN clock_timestamp() + %(look)s::interval ELSE '-infinity' END)
ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at, looks_until = excluded.looks_until
RETURNING EXISTS (SELECT FROM unnest(%(tiers)s::int[]) AS t(tier), LATERAL (
    SELECT FROM messages m WHERE m.tier = t.tier AND m.due_at <= statement_timestamp() LIMIT 1
) due)
""",
)


def beat(worker: str, cluster: str, looks: bool, tiers: Sequence[Tier] = ()) -> bool:
    """Renew the worker's lease; with `looks`, promise that it looks at the queue again within LOOK. One unlogged row. Returns
    whether anything of these tiers is due."""
    with connection.cursor() as cursor:
        _BEAT.run(cursor, {"id": worker, "cluster": cluster, "looks": looks, "look": LOOK, "tiers": list(tiers)})
        return cursor.fetchone()[0]


def leave(worker: str) -> None:
    """The worker is done; whatever it should still hold is given back at the next sweep."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE delivery_workers SET beat_at = '-infinity', looks_until = '-infinity' WHERE id = %(id)s;"
            "DELETE FROM delivery_workers WHERE id = %(id)s AND NOT EXISTS (SELECT FROM messages WHERE worker = %(id)s)",
            {"id": worker},
        )


def forget_old_workers() -> None:
    """Drop workers that have not beaten for a day and hold nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM delivery_workers w WHERE beat_at < clock_timestamp() - interval '1 day'"
            " AND NOT EXISTS (SELECT FROM messages m WHERE m.worker = w.id)"
        )


def beating() -> int:
    """Clusters whose watchdog beats."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM delivery_workers WHERE cluster = %s AND beat_at > clock_timestamp() - %s",
            [WATCHDOG, LEASE],
        )
        return cursor.fetchone()[0]
