"""Throwing waiting mail away: counted first, and only while the count still holds. What a worker has claimed is never touched."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import F, Func, Q, QuerySet, Value

from messaging import lifecycle, queries
from messaging.delivery import destinations
from messaging.lifecycle import Change
from messaging.models import MailDomain, Message, Status, Tier
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.keys import Caller
from sendarix.core import addresses
from sendarix.core.errors import Conflict

MOST = 10_000
"""Messages that one call cancels."""

UNENDED = (Status.SCHEDULED, Status.QUEUED, Status.ACCEPTED, Status.DEFERRED)

_DOMAIN = Func(
    F("content__recipient_key"), Value("@"), Value(-1), function="split_part", output_field=models.TextField()
)

BATCH = 500
"""Messages canceled in one transaction."""


@dataclass(frozen=True, slots=True)
class Filter:
    """All that are given must hold. `destination` is a provider group or a domain; `created_before` is exclusive."""

    tier: Tier | None = None
    destination: str | None = None
    recipient: str | None = None
    template: str | None = None
    tag: str | None = None
    key: str | None = None
    status: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """The ids of the oldest MOST matching messages; `more`: there are others."""

    ids: list[str]
    more: bool


def matched(caller: Caller, wanted: Filter) -> Matched:
    """Which waiting messages of the caller a purge would cancel."""
    found = list(_matching(caller, wanted).order_by("id").values_list("id", flat=True)[: MOST + 1])
    return Matched(found[:MOST], len(found) > MOST)


def purge(caller: Caller, wanted: Filter, expected: int, told: Mapping[str, Any], actor: Actor) -> tuple[Matched, int]:
    """Cancel what matches; returns it with how many were canceled: what a worker has claimed meanwhile goes out. `told` is the
    filter as the audit log keeps it. Raises Conflict when not exactly `expected` messages match."""
    found = matched(caller, wanted)
    if len(found.ids) != expected:
        raise Conflict(
            f"{len(found.ids)} messages match now, not {expected}. Count them again; a paused queue stays as it is."
        )
    with transaction.atomic():
        audit.record(actor, "queue.purged", "queue", after={"filter": dict(told), "count": expected})
    canceled = 0
    for start in range(0, len(found.ids), BATCH):
        canceled += _cancel(caller, found.ids[start : start + BATCH], wanted)
    return found, canceled


def _cancel(caller: Caller, message_ids: list[str], wanted: Filter) -> int:
    with transaction.atomic():
        rows = queries.messages(caller).filter(id__in=message_ids, due_at__isnull=False, worker=None)
        if wanted.status:
            rows = rows.filter(status=wanted.status)
        changes = [
            Change(
                row.id, Status(row.status), Status.CANCELED, row.fence, row.attempt, "purged", data={"reason": "purged"}
            )
            for row in rows.order_by("id").select_for_update(skip_locked=True)
        ]
        return len(lifecycle.record(changes))


def _matching(caller: Caller, wanted: Filter) -> QuerySet[Message]:
    found = queries.messages(caller).filter(due_at__isnull=False, worker=None, status__in=UNENDED)
    if wanted.tier is not None:
        found = found.filter(tier=wanted.tier)
    if wanted.status:
        found = found.filter(status=wanted.status)
    if wanted.created_after:
        found = found.filter(created_at__gte=wanted.created_after)
    if wanted.created_before:
        found = found.filter(created_at__lt=wanted.created_before)
    if wanted.destination:
        found = found.annotate(domain=_DOMAIN)
    return found.filter(_content(caller, wanted))


def _content(caller: Caller, wanted: Filter) -> Q:
    asked = Q(content__account_id=caller.account_id, content__livemode=caller.livemode)
    if wanted.destination:
        asked &= _bound_for(wanted.destination)
    if wanted.recipient:
        asked &= Q(content__recipient_key=addresses.matching(wanted.recipient))
    if wanted.template:
        asked &= Q(content__template=wanted.template)
    if wanted.tag:
        asked &= Q(content__tags__contains=[wanted.tag])
    if wanted.key:
        asked &= Q(content__key_id=wanted.key)
    return asked


def _bound_for(destination: str) -> Q:
    """A domain, or those of a group: the listed ones and those whose MX records led there when they were last looked up."""
    if destination not in destinations.PROVIDERS:
        return Q(domain=destination)
    hosted = MailDomain.objects.filter(provider=destination).values("domain")
    listed = destinations.listed(destination)
    return Q(domain__in=listed) | Q(domain__in=hosted)
