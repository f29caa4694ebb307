"""Holding mail back and letting it go: the pauses of an account, and the platform's. What a pause holds is routing's to decide;
whoever ends one lets go at once what waits for its end, in the order in which it was accepted."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from messaging import lifecycle
from messaging.delivery import queue, routebook
from messaging.lifecycle import Change
from messaging.models import Message, QueuePause, Status, Tier
from messaging.routes import registry
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import ApiKey
from sendarix.core import ids, jobs
from sendarix.core.errors import ApiError, Conflict, FieldError, NotFound, ValidationFailed
from sendarix.core.times import zulu

MOST = 100
"""Pauses of one account at a time."""

BATCH = 500
"""Messages let go in one transaction."""

AT_ONCE = 5.0
"""Seconds for which who resumes waits until everything is let go; the rest is the dispatcher's (`sweep`)."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which mail: what is None matches everything. `destination` is a provider group or a domain, `key` the id of the API key
    with which it was accepted."""

    tier: Tier | None = None
    destination: str | None = None
    route: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """How many pauses were ended, and how many messages have been let go so far."""

    pauses: int
    messages: int


def concerning(account_id: int | None) -> QuerySet[QueuePause]:
    """The pauses in force that may hold mail of this account, newest first: its own and the platform's."""
    owners = Q(account_id=None) | Q(account_id=account_id)
    return _in_force().filter(owners).order_by("-id")


def _in_force() -> QuerySet[QueuePause]:
    return QueuePause.objects.filter(Q(expires_at=None) | Q(expires_at__gt=datetime.now(UTC)), ended_at=None)


def pause(
    account_id: int | None, where: Conditions, reason: str, expires_at: datetime | None, actor: Actor
) -> QueuePause:
    """Hold this mail back from now on (`account_id` None: everybody's). Takes effect within a second, everywhere. Raises
    ValidationFailed for an unknown route or key, Conflict for too many pauses."""
    with transaction.atomic():
        registry.lock(account_id)
        _check(account_id, where)
        if QueuePause.objects.filter(account_id=account_id, ended_at=None).count() >= MOST:
            raise Conflict(f"There may be at most {MOST} pauses at a time.")
        made = QueuePause.objects.create(
            id=ids.new("pse"), account_id=account_id, tier=where.tier, destination=where.destination,
            route_id=where.route, key_id=where.key, reason=reason, actor=actor.id, expires_at=expires_at,
        )  # fmt: skip
        made.refresh_from_db()
        audit.record(actor, "queue.paused", made.id, after=_told(made))
    routebook.forget()
    return made


def _check(account_id: int | None, where: Conditions) -> None:
    if where.route is not None and not registry.visible(account_id).filter(id=where.route).exists():
        raise ValidationFailed([FieldError("route", "invalid_value", "There is no such route.")])
    if where.key is not None and not ApiKey.objects.filter(account_id=account_id, id=where.key, livemode=True).exists():
        raise ValidationFailed([FieldError("key", "invalid_value", "There is no such live key.")])


def resume(account_id: int | None, wanted: str | Conditions, actor: Actor) -> Resumed:
    """End one pause by its id, or all that have these very conditions. Raises NotFound for an unknown id, and ApiError
    (forbidden) for the platform's."""
    with transaction.atomic():
        found = concerning(account_id).select_for_update().order_by("id")
        if isinstance(wanted, str):
            ended = list(found.filter(id=wanted))
            if not ended:
                raise NotFound
            if ended[0].account_id != account_id:
                raise ApiError("This pause is the platform's; only its operator may end it.", code="forbidden")
        else:
            same = {
                "tier": wanted.tier,
                "destination": wanted.destination,
                "route_id": wanted.route,
                "key_id": wanted.key,
            }
            ended = list(found.filter(account_id=account_id, **same))
        _end(ended, actor)
    routebook.forget()
    deadline = monotonic() + AT_ONCE
    return Resumed(len(ended), sum(_let_go(one, deadline) for one in ended))


def sweep() -> None:
    """End what has expired, and finish letting go of what waited for pauses that have ended."""
    now = datetime.now(UTC)
    with transaction.atomic():
        expired = QueuePause.objects.filter(ended_at=None, expires_at__lte=now)
        for one in expired.select_for_update(skip_locked=True).order_by("id"):
            _end([one], Actor(one.account_id, "expiry"))
    deadline = monotonic() + AT_ONCE
    for one in QueuePause.objects.filter(ended_at__isnull=False).order_by("id"):
        _let_go(one, deadline)


def _end(ended: Iterable[QueuePause], actor: Actor) -> None:
    """From the end of this transaction on no message begins to wait for these (routebook.standing)."""
    for one in ended:
        QueuePause.objects.filter(id=one.id).update(ended_at=datetime.now(UTC))
        audit.record(actor, "queue.resumed", one.id, before=_told(one))


def _let_go(ended: QueuePause, deadline: float) -> int:
    """Make due what waits for this pause; when that is all, the pause is forgotten. Returns how many messages were let go."""
    now, count, more = datetime.now(UTC), 0, True
    tiers = Tier if ended.tier is None else (Tier(ended.tier),)
    for tier in tiers:
        more, after = True, (now, "")
        while more and monotonic() < deadline:
            with transaction.atomic():
                found = list(_waiting_for(ended, tier, after)[:BATCH])
                count += len(lifecycle.record([_released(message, now) for message in found]))
                if found:
                    after = (found[-1].due_at or now, found[-1].id)
                    jobs.enqueue(queue.DRAIN)
            more = len(found) == BATCH
        if more:
            return count
    QueuePause.objects.filter(id=ended.id).delete()
    return count


def _waiting_for(ended: QueuePause, tier: Tier, after: tuple[datetime, str]) -> QuerySet[Message]:
    """Locked, by the time they would be looked at; a message says in words what it waits for (routing.paused)."""
    found = Message.objects.filter(
        Q(due_at__gt=after[0]) | Q(due_at=after[0], id__gt=after[1]),
        tier=tier, due_at__gte=after[0], waits_for="paused", waits_note__contains=f"paused: {ended.reason}",
    )  # fmt: skip
    if ended.account_id is None:
        return found.order_by("due_at", "id").select_for_update(skip_locked=True)
    # A range and not =, because then only the index of turns gives the order.
    own = found.filter(account_id__gte=ended.account_id, account_id__lte=ended.account_id)
    return own.order_by(F("account_id"), "due_at", "id").select_for_update(skip_locked=True)


def _released(message: Message, now: datetime) -> Change:
    """Due since it was first due, so that it stands again where it stood; after a try, since now."""
    due_at = now if message.attempt else min(message.scheduled_time or message.created_at, now)
    status, kind = Status(message.status), "retry" if message.attempt else "queued"
    return Change(
        message.id, status, status, message.fence, message.attempt, due_at=due_at, waits_for=kind, silent=True
    )


def _told(one: QueuePause) -> dict[str, Any]:
    """A pause as the audit log has it."""
    return {
        "tier": Tier(one.tier).label if one.tier is not None else None,
        "destination": one.destination,
        "route": one.route_id,
        "key": one.key_id,
        "reason": one.reason,
        "expires_at": zulu(one.expires_at),
    }
