"""Who delivers to which endpoint. A drain *holds* an endpoint (`worker` in its row) for as long as the drain beats; so no
delivery has to be claimed, and their order is kept. Time is always the database's."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from sendarix.core import vault
from sendarix.core.statements import Statement
from webhooks import signing

LEASE = timedelta(seconds=15)
"""A drain that has not beaten for this long has lost its holds."""

LOOK = timedelta(milliseconds=150)
"""How long a look is a promise of another one, during which an event wakes nobody."""

_WAITING = """
WITH RECURSIVE waiting AS (
    (SELECT endpoint_id, due_at FROM webhook_deliveries WHERE due_at IS NOT NULL ORDER BY endpoint_id, due_at LIMIT 1)
    UNION ALL
    SELECT next.endpoint_id, next.due_at FROM waiting w, LATERAL (
        SELECT d.endpoint_id, d.due_at FROM webhook_deliveries d
        WHERE d.due_at IS NOT NULL AND d.endpoint_id > w.endpoint_id ORDER BY d.endpoint_id, d.due_at LIMIT 1
    ) next
)"""
"""SQL: each endpoint that something waits for, with the earliest due time. It touches one entry of the index per endpoint,
however many deliveries wait."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as its holder needs it. Secrets are sealed."""

    id: str
    url: str
    secret: str
    previous_secret: str | None
    previous_secret_until: datetime | None
    failures: int

    def keys(self, now: datetime) -> list[bytes]:
        """Octets that sign now, the newest first."""
        sealed = [self.secret]
        if self.previous_secret and self.previous_secret_until and now < self.previous_secret_until:
            sealed.append(self.previous_secret)
        return [vault.reveal(each, signing.PURPOSE) for each in sealed]


_COLUMNS = "e.id, e.url, e.secret, e.previous_secret, e.previous_secret_until, e.failures"

_TAKE = Statement(
    "take_webhook_endpoints",
    f"""
{_WAITING}, beaten AS (
    INSERT INTO webhook_workers AS k (id, beat_at, looks_until)
    VALUES (%(worker)s::text, clock_timestamp(),
        CASE WHEN %(looks)s::boolean THEN clock_timestamp() + %(look)s::interval ELSE '-infinity' END)
    ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at, looks_until = excluded.looks_until
), free AS (
    SELECT e.id FROM waiting w JOIN webhook_endpoints e ON e.id = w.endpoint_id
    WHERE e.worker IS NULL AND e.disabled IS NULL AND greatest(w.due_at, e.paused_until) <= clock_timestamp()
        AND (e.failures = 0 OR %(shaky)s::boolean)
    ORDER BY e.failures > 0, w.due_at LIMIT %(room)s::int FOR UPDATE OF e SKIP LOCKED
)
UPDATE webhook_endpoints e SET worker = %(worker)s::text FROM free WHERE e.id = free.id RETURNING {_COLUMNS}
""",
)


def take(worker: str, room: int, shaky: bool, looks: bool) -> list[Endpoint]:
    """Beat, and take hold of up to `room` endpoints that have something due and nobody who delivers it, sound ones first;
    `shaky`: also of such that did not answer lately. `looks`: promise to look again within LOOK."""
    with connection.cursor() as cursor:
        _TAKE.run(cursor, {"worker": worker, "room": room, "shaky": shaky, "looks": looks, "look": LOOK})
        return [Endpoint(*row) for row in cursor.fetchall()]


def held(worker: str) -> list[Endpoint]:
    """What this drain holds and may deliver to, as it is now; also what it took by a commit it never heard of."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM webhook_endpoints e WHERE e.worker = %s AND e.disabled IS NULL", [worker]
        )
        return [Endpoint(*row) for row in cursor.fetchall()]


def release(worker: str, endpoint_ids: Collection[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE webhook_endpoints SET worker = NULL WHERE id = ANY(%s) AND worker = %s",
            [list(endpoint_ids), worker],
        )


def leave(worker: str) -> None:
    """The drain is done; whatever it holds is free."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE webhook_endpoints SET worker = NULL WHERE worker = %(id)s; DELETE FROM webhook_workers WHERE id = %(id)s",
            {"id": worker},
        )


def recover() -> int:
    """Free what drains held that no longer beat; returns how many endpoints.

    The lease counts from the start of the database at the earliest: after an outage each drain gets a whole one. So does one
    that the database does not know: a crash of a backend empties unlogged tables without a new start."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO webhook_workers (id, beat_at, looks_until)"
            " SELECT DISTINCT e.worker, clock_timestamp(), '-infinity'::timestamptz FROM webhook_endpoints e"
            " WHERE e.worker IS NOT NULL AND NOT EXISTS (SELECT FROM webhook_workers k WHERE k.id = e.worker)"
            " ON CONFLICT DO NOTHING"
        )
        cursor.execute(
            "UPDATE webhook_endpoints e SET worker = NULL FROM webhook_workers k WHERE k.id = e.worker"
            " AND greatest(k.beat_at, pg_postmaster_start_time()) < clock_timestamp() - %s",
            [LEASE],
        )
        freed = cursor.rowcount
        cursor.execute("DELETE FROM webhook_workers WHERE beat_at < clock_timestamp() - interval '1 day'")
        return freed


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery whose time has come. `attempt`: tries made."""

    id: int
    endpoint_id: str
    event_number: int
    message_id: str | None
    attempt: int
    due_at: datetime


_DUE = Statement(
    "due_webhook_deliveries",
    """
SELECT d.id, d.endpoint_id, d.event_number, d.message_id, d.attempt, d.due_at
FROM unnest(%(endpoints)s::text[], %(rooms)s::int[]) AS lane(endpoint_id, room), LATERAL (
    SELECT q.* FROM webhook_deliveries q
    WHERE q.endpoint_id = lane.endpoint_id AND q.due_at <= statement_timestamp() AND q.id <> ALL(%(known)s::bigint[])
    ORDER BY q.due_at, q.id LIMIT lane.room
) d
""",
)


def due(rooms: Mapping[str, int], known: Collection[int]) -> list[Due]:
    """For each endpoint its next deliveries, at most so many, in order; without those the caller knows of."""
    with connection.cursor() as cursor:
        _DUE.run(cursor, {"endpoints": list(rooms), "rooms": list(rooms.values()), "known": list(known)})
        return [Due(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Look:
    """The deliveries at a glance. Ages and waits in seconds; endpoints that are disabled or left alone for a while don't count.

    `neglected_age`: of what is due to an endpoint that nobody holds. `next_in`: until more becomes due. None: nothing."""

    oldest_age: float | None
    neglected_age: float | None
    next_in: float | None
    looking: bool
    drain_age: float | None


def look() -> Look:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            {_WAITING}, ready AS (
                SELECT e.worker, extract(epoch FROM clock_timestamp() - greatest(w.due_at, e.paused_until))::float AS age
                FROM waiting w JOIN webhook_endpoints e ON e.id = w.endpoint_id WHERE e.disabled IS NULL
            )
            SELECT max(age) FILTER (WHERE age >= 0), max(age) FILTER (WHERE age >= 0 AND worker IS NULL),
                -max(age) FILTER (WHERE age < 0),
                EXISTS (SELECT FROM webhook_workers WHERE looks_until > clock_timestamp()),
                (SELECT extract(epoch FROM clock_timestamp() - max(beat_at))::float FROM webhook_workers)
            FROM ready
            """
        )
        return Look(*cursor.fetchone())


def waiting() -> int:
    """Deliveries that wait, due or not, for the metrics page."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM webhook_deliveries WHERE due_at IS NOT NULL")
        return cursor.fetchone()[0]
