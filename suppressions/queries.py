"""Reading the suppression list of one account and environment. Records whose end has passed are not shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from sendarix.accounts.keys import Caller
from sendarix.core import addresses
from sendarix.core.errors import NotFound
from sendarix.core.times import zulu
from suppressions.models import Suppression

BATCH = 5_000
"""Records that an export reads at a time."""


SHORT = 3
"""A part of fewer characters has no trigram, and no index finds it."""

WALKED = 3_000
"""Records among which a page looks for such a part."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is narrowed to; empty means everything. `created_before` is exclusive; `part` is of an address, in any case."""

    recipient: str | None = None
    reasons: tuple[str, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    part: str | None = None

    @property
    def short(self) -> bool:
        return bool(self.part) and len(self.part or "") < SHORT


def records(caller: Caller) -> QuerySet[Suppression]:
    """The records this caller may see and that still hold."""
    holds = Q(expires_at=None) | Q(expires_at__gt=Now())
    return Suppression.objects.filter(holds, account_id=caller.account_id, livemode=caller.livemode)


def one(caller: Caller, recipient: str, reasons: tuple[str, ...] = ()) -> Suppression:
    """The record of an address in any spelling; NotFound for an unknown one, and for what is no address."""
    found = filtered(caller, Filter(recipient=recipient, reasons=reasons)).first()
    if found is None:
        raise NotFound
    return found


def filtered(caller: Caller, wanted: Filter) -> QuerySet[Suppression]:
    """Matching records, newest first."""
    found = records(caller).order_by("-id")
    if wanted.recipient is not None:
        found = found.filter(recipient_key=addresses.matching(wanted.recipient))
    if wanted.part:
        found = found.filter(recipient_key__contains=wanted.part.casefold())
    if wanted.reasons:
        found = found.filter(reason__in=wanted.reasons)
    if wanted.created_after:
        found = found.filter(created_at__gte=wanted.created_after)
    if wanted.created_before:
        found = found.filter(created_at__lt=wanted.created_before)
    return found


def newest(caller: Caller, wanted: Filter) -> QuerySet[Suppression]:
    """Those of `filtered` that a page shows: a short part is looked for among the newest WALKED only."""
    found = filtered(caller, wanted)
    if wanted.short:
        found = found.filter(pk__in=list(records(caller).order_by("-id").values_list("pk", flat=True)[:WALKED]))
    return found


def of_keys(caller: Caller, keys: list[str]) -> dict[str, Suppression]:
    """Records by key."""
    return {record.recipient_key: record for record in records(caller).filter(recipient_key__in=keys)}


def walked(found: QuerySet[Suppression]) -> Iterator[Suppression]:
    """Every record of a list, newest first, read in pages: no transaction stays open and memory stays flat however long it is."""
    page = list(found[:BATCH])
    while page:
        yield from page
        page = list(found.filter(id__lt=page[-1].id)[:BATCH])


def shown(record: Suppression) -> dict[str, Any]:
    """A record as the API shows it."""
    return {
        "id": record.id,
        "recipient": record.recipient,
        "reason": record.reason,
        "message_id": record.message_id,
        "actor": record.actor or None,
        "note": record.note or None,
        "expires_at": zulu(record.expires_at),
        "created_at": zulu(record.created_at),
        "livemode": record.livemode,
    }
