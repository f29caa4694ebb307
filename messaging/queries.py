"""Reading messages as the API shows them. Everything goes through the caller's account and environment; a page is one statement,
a message three, however many there are."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Min, QuerySet

from messaging.delivery import routebook, routing
from messaging.models import Attempt, DeadLetter, Message, Tier
from messaging.routes import policies
from sendarix.accounts.keys import Caller
from sendarix.core import addresses, events, ids
from sendarix.core.errors import NotFound
from sendarix.core.times import zulu


def messages(caller: Caller) -> QuerySet[Message]:
    """The messages this caller may see."""
    return Message.objects.filter(account_id=caller.account_id, livemode=caller.livemode)


def one(caller: Caller, message_id: str) -> Message:
    """NotFound for an unknown id and for anybody else's alike."""
    try:
        return messages(caller).select_related("content").get(id=message_id)
    except Message.DoesNotExist:
        raise NotFound from None


def locked(caller: Caller, message_id: str) -> Message:
    """The message, locked until the end of the caller's transaction. NotFound."""
    try:
        return messages(caller).select_for_update().get(id=message_id)
    except Message.DoesNotExist:
        raise NotFound from None


def shown(message: Message) -> dict[str, Any]:
    """A message as lists show it."""
    content = message.content
    return {
        "message_id": message.id,
        "status": message.status,
        "reason": message.reason,
        "recipient": content.recipient,
        "from": content.sender,
        "subject": content.shown_subject,
        "template": content.template,
        "template_version": content.template_version,
        "locale": content.locale,
        "tags": content.tags,
        "metadata": content.metadata,
        "priority": Tier(message.tier).label,
        "attempts": message.attempt,
        "created_at": zulu(message.created_at),
        "accepted_at": zulu(message.accepted_at),
        "ended_at": zulu(message.ended_at),
        "scheduled_time": zulu(message.scheduled_time),
        "expires_at": zulu(message.expires_at),
        "redacted_at": zulu(content.redacted_at),
        "livemode": message.livemode,
    }


def shown_whole(message: Message) -> dict[str, Any]:
    """A message with what it waits for and its timeline."""
    return {
        **shown(message),
        "waiting": _waiting(message, datetime.now(UTC)) if message.due_at is not None else None,
        "sending": message.worker is not None,
        "policy": policies.of_message(message),
        "events": timeline(message),
    }


def _waiting(message: Message, now: datetime) -> dict[str, Any]:
    """What it waits for; a pause that holds it back is told before a worker has come upon it."""
    due_at = message.due_at
    if message.waits_for == "paused" or (due_at and due_at <= now):
        pause = routing.pause_of(routebook.snapshot(), policies.facts_of(message), now)
        if pause is not None:
            return {"for": "paused", "until": zulu(pause.until), "why": routing.paused(pause)}
    until = None if message.waits_for == "held" else zulu(due_at)
    return {"for": message.waits_for, "until": until, "why": message.waits_note}


_EVENT = (
    "SELECT e.id, e.message_id, e.livemode, e.type, e.previous, e.sequence, e.at, e.data, e.transaction,"
    " c.recipient, c.template, c.tags, c.metadata FROM events e LEFT JOIN message_contents c USING (message_id)"
)


def timeline(message: Message) -> list[dict[str, Any]]:
    return [event for event, _ in _events(f"{_EVENT} WHERE e.message_id = %s ORDER BY e.sequence", [message.id])]


def feed(caller: Caller, after: tuple[int, int], limit: int) -> list[tuple[dict[str, Any], tuple[int, int]]]:
    """Events of the account behind `after` (transaction, number), with their positions, oldest first.

    Numbers are given before they are committed, so a later commit may carry a smaller one. The feed is therefore ordered by
    transaction and ends before the oldest transaction still running: whatever commits later comes after the page."""
    return _events(
        f"{_EVENT} WHERE e.account_id = %s AND e.livemode = %s AND (e.transaction, e.id) > (%s, %s)"
        " AND e.transaction < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        " ORDER BY e.transaction, e.id LIMIT %s",
        [caller.account_id, caller.livemode, *after, limit],
    )


def _events(statement: str, arguments: list) -> list[tuple[dict[str, Any], tuple[int, int]]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return [(_event(*row), (row[8], row[0])) for row in cursor.fetchall()]


def _event(
    number, message_id, livemode, kind, previous, sequence, at, data, _transaction, recipient, template, tags, metadata
) -> dict[str, Any]:
    """One event: the same object in the timeline, the feed and the webhooks (contract section 5)."""
    shown = {
        "id": ids.from_number("evt", at, number),
        "type": kind if message_id is None else f"message.{kind}",
        "timestamp": zulu(at),
        "message_id": message_id,
        "at": zulu(at),
        "sequence": sequence,
    }
    if message_id is None:
        return {**shown, "data": {"livemode": livemode, **json.loads(data)}}
    about = {
        "message_id": message_id,
        "recipient": recipient,
        "status": kind,
        "previous_status": previous,
        "sequence": sequence,
        "template": template,
        "tags": tags,
        "metadata": json.loads(metadata),
        "livemode": livemode,
    }
    return {**shown, "data": about | json.loads(data)}


class Feed:
    """The events table as core.events shows it to apps that may not import this one."""

    def objects(self, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
        found = _events(f"{_EVENT} WHERE e.id = ANY(%s)", [list(numbers)])
        return {position[1]: event for event, position in found}

    def between(
        self, account_id: int, livemode: bool, after: tuple[datetime, int], until: datetime, limit: int
    ) -> list[events.Recorded]:
        """A page of this account's part of events_by_time: what lies before it is not walked."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, message_id, account_id, livemode, CASE WHEN message_id IS NULL THEN type ELSE 'message.' || type END,"
                " previous, sequence, at, data::text FROM events WHERE account_id = %s AND livemode = %s AND (at, id) > (%s, %s)"
                " AND at < %s ORDER BY at, id LIMIT %s",
                [account_id, livemode, *after, until, limit],
            )
            return [events.Recorded(*row) for row in cursor.fetchall()]


def attempts(message: Message) -> list[dict[str, Any]]:
    return [_attempt(row) for row in Attempt.objects.filter(message=message).order_by("id")]


def _attempt(row: Attempt) -> dict[str, Any]:
    explanation = dict(row.explanation)
    reply = {"code": row.code, "enhanced": row.enhanced, "text": row.reply} if row.code is not None else None
    api = None
    if provider := explanation.pop("provider", None):
        reference = explanation.pop("reference", None)
        api, reply = {"provider": provider, "code": row.code, "text": row.reply or "", "reference": reference}, None
    return {
        "number": row.number,
        "at": zulu(row.started_at),
        "duration_ms": row.duration_ms,
        "route": row.route or None,
        "explanation": explanation or None,
        "verdict": row.verdict,
        "cause": row.cause,
        "phase": row.phase,
        "detail": row.detail,
        "mx": row.mx,
        "address": row.address,
        "tls": row.tls,
        "smtp": reply,
        "api": api,
    }


def dead_letters(caller: Caller, cause: str | None) -> QuerySet[DeadLetter]:
    """Dead letters, newest message first."""
    found = DeadLetter.objects.filter(account_id=caller.account_id, livemode=caller.livemode)
    if cause:
        found = found.filter(cause=cause)
    return found.select_related("message__content").order_by("-message_id")


def dead_letters_of(
    caller: Caller,
    cause: str | None = None,
    recipient: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
) -> QuerySet[DeadLetter]:
    """The same narrowed by whatever is given; `recipient` in any spelling, `created_before` exclusive."""
    found = dead_letters(caller, cause)
    if recipient:
        found = found.filter(message__content__recipient_key=addresses.matching(recipient))
    if created_after:
        found = found.filter(message__created_at__gte=created_after)
    if created_before:
        found = found.filter(message__created_at__lt=created_before)
    return found


def causes_of_death(caller: Caller) -> list[dict[str, Any]]:
    rows = (
        dead_letters(caller, None)
        .order_by()
        .values("cause")
        .annotate(count=Count("pk"), oldest=Min("at"), newest=Max("at"))
    )
    return [
        {"cause": row["cause"], "count": row["count"], "oldest": zulu(row["oldest"]), "newest": zulu(row["newest"])}
        for row in rows.order_by("-count", "cause")
    ]
