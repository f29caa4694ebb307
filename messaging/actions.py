"""What a caller may do to a message after acceptance: cancel, reschedule, try now, drive again. Each locks the row first, so that
of a cancel and a delivery exactly one wins."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from messaging import lifecycle, queries
from messaging.acceptance import REMEMBERED
from messaging.delivery import queue
from messaging.lifecycle import Change
from messaging.models import DeadLetter, IdempotencyKey, Message, MessageContent, Status
from sendarix.accounts.keys import Caller
from sendarix.core import jobs
from sendarix.core.errors import Conflict, FieldError, NotFound, ValidationFailed

MOST_REDRIVEN = 1_000
"""Dead letters one call drives again."""


def cancel(caller: Caller, message_id: str) -> Message:
    """The message, canceled. NotFound `not_cancelable` once it is being sent or has ended; canceling twice is fine."""
    with transaction.atomic():
        message = queries.locked(caller, message_id)
        if message.status != Status.CANCELED:
            if message.due_at is None:
                raise NotFound(f"The message can't be canceled: it is {_standing(message)}.", code="not_cancelable")
            lifecycle.record([_change(message, Status.CANCELED)])
    return queries.one(caller, message_id)


def reschedule(caller: Caller, message_id: str, at: datetime) -> Message:
    """The message, due at `at`. Conflict unless it is still scheduled; ValidationFailed when it expires before."""
    with transaction.atomic():
        message = queries.locked(caller, message_id)
        if message.status != Status.SCHEDULED or message.due_at is None:
            raise Conflict(f"Only a scheduled message can be rescheduled; this one is {_standing(message)}.")
        if message.expires_at is not None and message.expires_at <= at:
            late = FieldError("scheduled_time", "out_of_range", "The message would expire before it may be sent.")
            raise ValidationFailed([late])
        lifecycle.record([_change(message, Status.SCHEDULED, due_at=at, waits_for="scheduled", silent=True)])
        Message.objects.filter(id=message.id).update(scheduled_time=at)
        _remember_request(message, at)
    return queries.one(caller, message_id)


def _remember_request(message: Message, at: datetime) -> None:
    """The idempotency key of a scheduled message is kept until its time and a day, also when that time moves."""
    known = IdempotencyKey.objects.filter(
        account_id=message.account_id, livemode=message.livemode, message_id=message.id
    )
    known.filter(expires_at__lt=at + REMEMBERED).update(expires_at=at + REMEMBERED)


def retry(caller: Caller, message_id: str, now: datetime) -> Message:
    """A deferred message is tried now; a dead one is queued again with a fresh ladder. Conflict for any other, and for one whose
    sensitive content is redacted."""
    with transaction.atomic():
        message = queries.locked(caller, message_id)
        if message.status == Status.DEFERRED and message.due_at is not None:
            change = _change(
                message, Status.DEFERRED, due_at=now, waits_for="retry", reason=message.reason, silent=True
            )
            lifecycle.record([change])
        elif MessageContent.objects.filter(message_id=message_id).exclude(redacted_at=None).exists():
            raise Conflict("Its sensitive content has been redacted: it can't be sent again.")
        elif not _revive([message], now):
            raise Conflict(f"Only a deferred or a dead message can be tried again; this one is {_standing(message)}.")
        jobs.enqueue(queue.DRAIN)
    return queries.one(caller, message_id)


def redrive(letters: QuerySet[DeadLetter], now: datetime) -> list[str]:
    """Queue the messages of these dead letters again, with fresh ladders; returns their ids, at most MOST_REDRIVEN. Those
    whose sensitive content is redacted stay."""
    with transaction.atomic():
        ids = list(letters.order_by("message_id").values_list("message_id", flat=True)[:MOST_REDRIVEN])
        found = Message.objects.filter(id__in=ids).select_for_update().order_by("id")
        revived = _revive(list(found), now)
        if revived:
            jobs.enqueue(queue.DRAIN)
    return revived


def _revive(messages: Sequence[Message], now: datetime) -> list[str]:
    dead = DeadLetter.objects.filter(message_id__in=[message.id for message in messages])
    buried = set(dead.filter(message__content__redacted_at=None).values_list("message_id", flat=True))
    changes = [
        _change(message, Status.QUEUED, due_at=now, waits_for="queued", attempt=0, data={"redriven": True})
        for message in messages
        if message.id in buried and message.status == Status.BOUNCED
    ]
    revived = lifecycle.record(changes)
    dead.filter(message_id__in=revived).delete()
    _forget_expiry(revived)
    return sorted(revived)


def _forget_expiry(message_ids: set[str]) -> None:
    """Whoever drives a message again wants it sent, also after the time it was first meant for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messages SET expires_at = NULL WHERE id = ANY(%s) AND expires_at <= now()", [list(message_ids)]
        )


def _change(message: Message, status: Status, **options) -> Change:
    options.setdefault("attempt", message.attempt)
    return Change(message.id, Status(message.status), status, message.fence, **options)


def _standing(message: Message) -> str:
    return "being sent" if message.worker is not None else message.status
