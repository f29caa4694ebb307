"""What is to be told to whom: a delivery for each endpoint that takes an event, written in the transaction of the event.
It is on the way of every acceptance and every outcome: one statement, and nothing else where there are no endpoints."""

import json
from collections.abc import Iterable, Sequence

from django.db import connection

from sendarix.core import jobs
from sendarix.core.events import Recorded
from sendarix.core.statements import Statement

DRAIN = "webhooks.tasks.drain"
"""The django-q2 task that looks at the deliveries."""

TEST = "webhook.test"
"""The type of an event that is for one endpoint only, the one its data names."""

_NOBODY_LOOKS = (
    "NOT EXISTS (SELECT FROM webhook_workers WHERE looks_until > clock_timestamp())"
    f" AND NOT {jobs.waits(jobs.WEBHOOKS)}"
)

_WRITE = Statement(
    "write_webhook_deliveries",
    f"""
WITH written AS (
    INSERT INTO webhook_deliveries (endpoint_id, event_number, type, message_id, status, attempt, due_at, created_at)
    SELECT w.id, e.number, e.type, e.message_id, 'waiting', 0, statement_timestamp(), statement_timestamp()
    FROM unnest(%(numbers)s::bigint[], %(messages)s::text[], %(accounts)s::bigint[], %(modes)s::boolean[], %(types)s::text[],
        %(targets)s::text[]) AS e(number, message_id, account_id, livemode, type, target)
    JOIN webhook_endpoints w ON w.account_id = e.account_id AND w.livemode = e.livemode AND w.disabled IS NULL
    WHERE CASE WHEN e.target IS NULL THEN w.event_types = '{{}}' OR e.type = ANY(w.event_types) ELSE w.id = e.target END
    ORDER BY e.number
    RETURNING true
)
SELECT EXISTS (SELECT FROM written) AND {_NOBODY_LOOKS}
""",
)
"""Within a message deliveries come in the order of its events, by (due_at, id): its next event waits for the row lock that the
transaction of this one holds, so that the next statement begins later."""


def write(sender: object, events: Sequence[Recorded], **_: object) -> None:
    """The receiver of core.events.recorded."""
    values = {
        "numbers": _array(event.number for event in events),
        "messages": _array(event.message_id for event in events),
        "accounts": _array(event.account_id for event in events),
        "modes": _array(event.livemode for event in events),
        "types": _array(event.type for event in events),
        "targets": _array(map(_target, events)),
    }
    with connection.cursor() as cursor:
        _WRITE.run(cursor, values)
        wakes = cursor.fetchone()[0]
    if wakes:
        jobs.enqueue(DRAIN, jobs.WEBHOOKS)


def _array(values: Iterable[object]) -> str:
    """The values as the text of an array: a hundred events cost 0.6 ms, against 1.6 with psycopg2's ARRAY[…]. They are ids and
    names of ours: none holds a quote or a backslash."""
    return "{" + ",".join("NULL" if value is None else f'"{value}"' for value in values) + "}"


def _target(event: Recorded) -> str | None:
    return json.loads(event.data)["endpoint_id"] if event.type == TEST else None


def wake() -> None:
    """Have a drain look soon, in the caller's transaction, unless one is about to."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_NOBODY_LOOKS}")
        if cursor.fetchone()[0]:
            jobs.enqueue(DRAIN, jobs.WEBHOOKS)
