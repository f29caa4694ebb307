"""The one writer of a message's status. Every change is one statement that moves the row, numbers and writes the event, and
tells the event bus, in the caller's transaction; a change whose fence or previous status no longer holds does nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from messaging.models import Status
from sendarix.core import events
from sendarix.core.statements import Statement

MOVES: dict[Status, frozenset[Status]] = {
    Status.SCHEDULED: frozenset({Status.QUEUED, Status.CANCELED}),
    Status.QUEUED: frozenset({Status.ACCEPTED, Status.SUPPRESSED, Status.CANCELED, Status.EXPIRED}),
    Status.ACCEPTED: frozenset(
        {
            Status.DELIVERED,
            Status.DEFERRED,
            Status.BOUNCED,
            Status.SUPPRESSED,
            Status.CANCELED,
            Status.EXPIRED,
        }
    ),
    Status.DEFERRED: frozenset(
        {
            Status.DELIVERED,
            Status.DEFERRED,
            Status.BOUNCED,
            Status.SUPPRESSED,
            Status.CANCELED,
            Status.EXPIRED,
        }
    ),
    Status.DELIVERED: frozenset({Status.COMPLAINED, Status.UNSUBSCRIBED, Status.BOUNCED}),
    Status.BOUNCED: frozenset({Status.QUEUED}),
    Status.COMPLAINED: frozenset({Status.UNSUBSCRIBED}),
    Status.UNSUBSCRIBED: frozenset({Status.COMPLAINED}),
    Status.SUPPRESSED: frozenset(),
    Status.CANCELED: frozenset(),
    Status.EXPIRED: frozenset(),
}
"""Which status may follow which; a message begins as scheduled or queued. A bounced one is queued again only by a re-drive."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step of one message: the status it must have, the one it gets, and where the row stands after it. `note` says in words
    why it waits.

    due_at set: it waits; worker set: it is claimed; neither: it has ended. A `silent` change moves the row (claim, give back,
    reschedule) without an event. `claims` raises the fence, so that whoever held the row before writes no more."""

    message_id: str
    previous: Status
    status: Status
    fence: int
    attempt: int
    reason: str | None = None
    due_at: datetime | None = None
    waits_for: str | None = None
    note: str | None = None
    worker: str | None = None
    claims: bool = False
    silent: bool = False
    data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        allowed = self.status == self.previous if self.silent else self.status in MOVES[self.previous]
        if not allowed:
            raise ValueError(f"a message does not go from {self.previous} to {self.status}")


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first event of a message just inserted."""

    message_id: str
    account_id: int
    livemode: bool
    status: Status
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)


_RECORD = Statement(
    "record_changes",
    """
WITH asked AS (
    SELECT * FROM jsonb_to_recordset(%(changes)s::jsonb) AS asked(id text, previous text, status text, fence int,
        attempt int, reason text, due_at timestamptz, waits_for text, note text, worker text, claims boolean, announced boolean,
        data jsonb)
), moved AS (
    UPDATE messages m SET
        status = a.status, attempt = a.attempt, reason = CASE WHEN a.announced THEN a.reason ELSE m.reason END,
        due_at = a.due_at, waits_for = a.waits_for, waits_note = a.note,
        worker = a.worker, fence = m.fence + a.claims::int, marked = false, sequence = m.sequence + a.announced::int,
        accepted_at = CASE WHEN a.status = 'accepted' AND a.announced THEN clock_timestamp() ELSE m.accepted_at END,
        ended_at = CASE WHEN a.due_at IS NULL AND a.worker IS NULL THEN coalesce(m.ended_at, clock_timestamp()) END
    FROM asked a
    WHERE m.id = a.id AND m.status = a.previous AND m.fence = a.fence
    RETURNING nextval('events_id_seq') AS number, m.id, m.account_id, m.livemode, a.status, a.previous, m.sequence,
        clock_timestamp() AS at, a.data, a.announced
), announced AS (
    INSERT INTO events (id, message_id, account_id, livemode, type, previous, sequence, at, data, transaction)
    SELECT number, id, account_id, livemode, status, previous, sequence, at, data, pg_current_xact_id()::text::bigint
    FROM moved WHERE announced
)
SELECT number, id, account_id, livemode, 'message.' || status, previous, sequence, at, data::text, announced FROM moved
""",
)


def record(changes: Sequence[Change]) -> set[str]:
    """Make the changes (at most one per message) and return the ids of those that still held."""
    if not changes:
        return set()
    with connection.cursor() as cursor:
        _RECORD.run(cursor, {"changes": json.dumps([_row(change) for change in changes])})
        rows = cursor.fetchall()
    events.announce([events.Recorded(*row[:-1]) for row in rows if row[-1]])
    return {row[1] for row in rows}


def _row(change: Change) -> dict[str, Any]:
    return {
        "id": change.message_id,
        "previous": change.previous,
        "status": change.status,
        "fence": change.fence,
        "attempt": change.attempt,
        "reason": change.reason,
        "due_at": change.due_at and change.due_at.isoformat(),
        "waits_for": change.waits_for,
        "note": change.note,
        "worker": change.worker,
        "claims": change.claims,
        "announced": not change.silent,
        "data": change.data,
    }


BEGIN = """
    INSERT INTO events (message_id, account_id, livemode, type, sequence, at, data, transaction)
    SELECT id, account_id, livemode, status, 1, at, data, pg_current_xact_id()::text::bigint FROM accepted
    RETURNING id AS number, message_id
"""
"""SQL: the first event of each message of a CTE `accepted`; a part of the statement that inserts them."""


def announce(beginnings: Sequence[Beginning], numbers: Mapping[str, int]) -> None:
    """Tell the bus of first events, by their numbers in the events table."""
    events.announce(
        [
            events.Recorded(
                numbers[b.message_id],
                b.message_id,
                b.account_id,
                b.livemode,
                f"message.{b.status}",
                None,
                1,
                b.at,
                json.dumps(b.data),
            )
            for b in beginnings
        ]
    )


def write_note(sender: object, note: events.Note, **_: object) -> int:
    """Write an event that is about no message, and tell the bus; its number."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events (account_id, livemode, type, sequence, at, data, transaction)"
            " VALUES (%s, %s, %s, 1, clock_timestamp(), %s, pg_current_xact_id()::text::bigint)"
            " RETURNING id, NULL, account_id, livemode, type, previous, sequence, at, data::text",
            [note.account_id, note.livemode, note.type, json.dumps(note.data)],
        )
        event = events.Recorded(*cursor.fetchone())
    events.announce([event])
    return event.number
