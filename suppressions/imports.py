"""Large tables taken in beside everything else: cut into parts when they arrive, one short transaction each, so that progress
shows and a process that dies repeats nothing. The work is a chore on a thread of its own: no drain of mail waits behind it."""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from time import monotonic
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.keys import Caller
from sendarix.core import addresses, ids
from sendarix.core.errors import FieldError, NotFound
from suppressions import transfer
from suppressions.models import Reason, SuppressionImport, SuppressionImportPart
from suppressions.spreadsheets import Table
from suppressions.transfer import Given

logger = logging.getLogger(__name__)

PART = 1_000
"""Rows of one transaction."""

TRIES = 4
AGAIN = timedelta(seconds=20)
"""Tries of a part that fails, and what lies between them."""

BUDGET = 5.0
"""Seconds of one round of the chore."""

KEPT = timedelta(days=7)
"""How long a report stays."""


def begin(caller: Caller, actor: Actor, table: Table, reason: Reason, name: str) -> SuppressionImport:
    """Keep the table's rows to be taken in soon; `name` is the file's. Raises ValidationFailed when there are too many."""
    parts = [[_row(one) for one in part] for part in _parted(transfer.of_table(table))]
    made = SuppressionImport(
        id=ids.new("imp"),
        account_id=caller.account_id,
        livemode=caller.livemode,
        actor=actor.id,
        source=actor.source,
        request_id=actor.request_id,
        reason=reason,
        name=_kept(name[:200]),
        ignored_columns=[_kept(column[:100]) for column in table.ignored[:50]],
        rows=sum(map(len, parts)),
        ended_at=None if parts else timezone.now(),
    )
    with transaction.atomic():
        made.save(force_insert=True)
        SuppressionImportPart.objects.bulk_create(
            SuppressionImportPart(of=made, number=number, given=part) for number, part in enumerate(parts)
        )
    return made


def _row(one: Given) -> list[Any]:
    return [one.line, {name: _kept(cell) for name, cell in one.value.items()}, one.fault]


def _kept(text: str) -> str:
    """PostgreSQL keeps no NUL, and no address has one."""
    return text.replace("\x00", "\ufffd")


def _parted(rows: Iterator[Given]) -> Iterator[list[Given]]:
    while part := list(islice(rows, PART)):
        yield part


def work(budget: float = BUDGET) -> int:
    """Take in what waits, oldest first, for so many seconds; returns how many parts that were. Several may work at once."""
    ends, done = monotonic() + budget, 0
    while monotonic() < ends and _take_next():
        done += 1
    return done


def _take_next() -> bool:
    part = None
    try:
        with transaction.atomic():
            part = _next()
            if part is None:
                return False
            given = [Given(line, value, fault) for line, value, fault in part.given]
            found = transfer.read(given, Reason(part.of.reason))
            _done(part, transfer.take(part.of.account_id, part.of.livemode, part.of.actor, found))
    except Exception as error:
        if part is None or not connection.is_usable():
            raise
        _failed(part.pk, error)
    return True


def _next() -> SuppressionImportPart | None:
    waiting = SuppressionImportPart.objects.filter(Q(due_at=None) | Q(due_at__lte=timezone.now()), results__isnull=True)
    locked = waiting.select_for_update(skip_locked=True, of=("self",)).select_related("of")
    return locked.order_by("of_id", "number").first()


def _done(part: SuppressionImportPart, results: list[dict[str, Any]]) -> None:
    part.results, part.given = results, None
    part.save(update_fields=["results", "given"])
    _count(part.of, results)


def _failed(part_id: int, error: Exception) -> None:
    """Others go first for a while; after TRIES each of its rows is refused, with the error as the reason."""
    with transaction.atomic():
        waiting = SuppressionImportPart.objects.filter(pk=part_id, results__isnull=True)
        part = waiting.select_for_update(of=("self",)).select_related("of").first()
        if part is None:
            return
        said = str(error).partition("\n")[0][:200] or type(error).__name__
        logger.warning("part %d of %s can't be taken in: %s", part.number, part.of_id, said)
        part.failures += 1
        if part.failures < TRIES:
            part.due_at = timezone.now() + AGAIN
            part.save(update_fields=["failures", "due_at"])
            return
        fault = FieldError("", "invalid_value", f"Its part of the table could not be taken in: {said}")
        _done(part, transfer.refused([Given(*row) for row in part.given], fault))


def _count(one: SuppressionImport, results: list[dict[str, Any]]) -> None:
    counts = transfer.counts(results)
    changes = {"done": F("done") + len(results)} | {name: F(name) + number for name, number in counts.items()}
    SuppressionImport.objects.filter(pk=one.pk).update(**changes)
    one.refresh_from_db()
    if one.done == one.rows:
        one.ended_at = timezone.now()
        one.save(update_fields=["ended_at"])
        by = Actor(one.account_id, one.actor, one.source, one.request_id)
        after = {"created": one.created, "existing": one.existing, "failed": one.failed, "livemode": one.livemode}
        audit.record(by, "suppression.imported", "suppressions", after=after)


def of_caller(caller: Caller) -> QuerySet[SuppressionImport]:
    """Newest first."""
    return SuppressionImport.objects.filter(account_id=caller.account_id, livemode=caller.livemode).order_by("-id")


def one(caller: Caller, import_id: str) -> SuppressionImport:
    """Raises NotFound."""
    found = of_caller(caller).filter(pk=import_id).first()
    if found is None:
        raise NotFound
    return found


def results(of: SuppressionImport) -> Iterator[dict[str, Any]]:
    """What became of each row so far, in their order."""
    for part in of.parts.filter(results__isnull=False).order_by("number").iterator(chunk_size=5):
        yield from part.results


def erase(account_id: int, recipient_key: str, patterns: str, mask: str, forget: bool) -> int:
    """Mask an address in the rows that wait, in the caller's transaction; how many they were. Its own row is taken in before,
    without what it notes, or with `forget` not at all. `patterns` is the address as a regular expression, in any case."""
    waiting = SuppressionImportPart.objects.filter(of__account_id=account_id, results__isnull=True)
    naming = waiting.annotate(text=Cast("given", TextField())).filter(text__iregex=patterns)
    erased = 0
    for part in naming.select_for_update(of=("self",)).select_related("of").order_by("of_id", "number"):
        kept = [_erased(part.of, Given(*row), recipient_key, patterns, mask, forget) for row in part.given]
        erased += sum(new != old for new, old in zip(kept, part.given, strict=True))
        part.given = kept
        part.save(update_fields=["given"])
    return erased


def _erased(of: SuppressionImport, row: Given, recipient_key: str, patterns: str, mask: str, forget: bool) -> list[Any]:
    if addresses.matching(row.value.get("recipient", "")) != recipient_key:
        cells = {name: re.sub(patterns, mask, cell, flags=re.IGNORECASE) for name, cell in row.value.items()}
        return [row.line, cells, row.fault]
    if not forget:
        bare = replace(row, value=row.value | {"note": ""})
        transfer.take(of.account_id, of.livemode, of.actor, transfer.read([bare], Reason(of.reason)))
    return [row.line, {"recipient": mask}, "The address was erased."]


def forget_old() -> int:
    """Throw reports away that are older than KEPT; returns how many."""
    return SuppressionImport.objects.filter(ended_at__lt=timezone.now() - KEPT).delete()[0]
