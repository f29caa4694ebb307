"""A search as CSV, written in the background. A job writes one slice of a few seconds and hands the rest to the next, so that
delivery's processes stay free; a slice is a file of its own and is committed with its place, so that nothing is written twice."""

import csv
import io
import json
import logging
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet

from messaging import content, queries, searching
from messaging.keeping import discards
from messaging.models import Export, ExportStatus, Message
from messaging.searching import Scope, Tenant
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.core import ids, jobs
from sendarix.core.errors import Conflict, NotFound
from suppressions.spreadsheets import neutral

logger = logging.getLogger(__name__)

JOB = "messaging.tasks.export"
KEPT = timedelta(days=7)
SLICE = 4.0
"""Seconds of one job."""

LEASE = timedelta(minutes=2)
PATIENCE = 5
"""Slices that may fail, one after the other, before the export does."""

OPEN = 5
"""Exports of one account that may wait or run at a time."""

COLUMNS = (
    "message_id", "created_at", "status", "reason", "recipient", "from", "subject", "template", "tags", "metadata", "priority",
    "attempts", "accepted_at", "ended_at", "scheduled_time",
)  # fmt: skip

_BOM = "\ufeff"  # spreadsheets of some countries take UTF-8 for another charset without it
_GOING = (ExportStatus.WAITING, ExportStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class File:
    """A finished export to be sent; `blocks` read it from the storage as they are asked for."""

    name: str
    size: int
    blocks: Iterator[bytes]


def start(tenant: Tenant, text: str, actor: Actor) -> Export:
    """Begin the export of what this search finds now. ValidationFailed for a search that can't be read; Conflict when OPEN of the
    account's are going on already."""
    now = datetime.now(UTC)
    query = searching.parse(text, now)
    livemode = tenant.livemode if query.livemode is None else query.livemode
    counts = searching.count(Scope(tenant.account_id, livemode), query)
    one_status = any(term.word == "status" for term in query.terms)
    with transaction.atomic():
        mine = Export.objects.filter(account_id=tenant.account_id, status__in=_GOING)
        if mine.count() >= OPEN:
            raise Conflict(f"{OPEN} exports of this account are being written; wait for one of them.")
        made = Export.objects.create(
            id=ids.new("exp"),
            account_id=tenant.account_id,
            livemode=livemode,
            actor=actor.id,
            query=str(query),
            asked_at=now,
            status=ExportStatus.WAITING,
            total=counts.total if counts.exact and not one_status else None,
            expires_at=now + KEPT,
        )
        audit.record(actor, "export.started", made.id, after={"query": made.query, "livemode": livemode})
        jobs.enqueue(JOB)
    return made


def of_account(tenant: Tenant) -> QuerySet[Export]:
    """Newest first."""
    mine = Export.objects.filter(account_id=tenant.account_id, livemode=tenant.livemode)
    return mine.exclude(status=ExportStatus.EXPIRED).order_by("-id")


def progress(tenant: Tenant, export_id: str) -> Export:
    """How far it is: `status`, `written` of `total`. NotFound for an unknown id and for anybody else's alike."""
    try:
        return of_account(tenant).get(id=export_id)
    except Export.DoesNotExist:
        raise NotFound from None


def opened(tenant: Tenant, export_id: str) -> File:
    """The file of a finished one. NotFound; Conflict while it is written or when that failed."""
    found = progress(tenant, export_id)
    if found.status != ExportStatus.DONE:
        raise Conflict(f"The export is {found.status}, not done.")
    return File(f"messages-{found.asked_at:%Y%m%d-%H%M}.csv", found.size, _blocks(found.parts))


def _blocks(parts: Iterable[str]) -> Iterator[bytes]:
    for path in parts:
        with content.opened(path) as file:
            while block := file.read(content.BLOCK):
                yield block


def work() -> bool:
    """Write a slice of the oldest export that nobody is writing; whether there was one."""
    export = _claimed()
    if export is None:
        return False
    try:
        _slice(export)
    except DatabaseError:
        connection.close()
        raise
    except Exception:
        logger.exception("a slice of %s failed", export.id)
        _fail(export)
    return True


def wake() -> None:
    """Hand out a job when there is work and none waits: for what a lost job left behind."""
    if _free().exists() and not jobs.waiting():
        jobs.enqueue(JOB)


def forget_expired() -> None:
    """Delete files whose time is over."""
    over = Export.objects.filter(expires_at__lt=datetime.now(UTC)).exclude(status=ExportStatus.EXPIRED)
    for export_id in over.values_list("id", flat=True):
        discard(export_id)


def discard(export_id: str) -> None:
    """It has no files any more, which are deleted after that; a slice that is being written is not kept."""
    with transaction.atomic():
        export = Export.objects.select_for_update(no_key=True).get(id=export_id)
        paths, export.parts, export.size, export.lease = export.parts, [], 0, None
        export.status = ExportStatus.EXPIRED
        export.save(update_fields=["parts", "size", "lease", "status"])
        discards.put(export.account_id, paths)
    discards.delete(paths)


def _free() -> QuerySet[Export]:
    going = Export.objects.filter(status__in=_GOING)
    return going.exclude(leased_until__gt=datetime.now(UTC)).order_by("id")


def _claimed() -> Export | None:
    with transaction.atomic():
        export = _free().select_for_update(skip_locked=True, no_key=True).first()
        if export is None:
            return None
        export.lease, export.leased_until = secrets.token_hex(16), datetime.now(UTC) + LEASE
        export.status = ExportStatus.RUNNING
        export.save(update_fields=["lease", "leased_until", "status"])
    return export


def _slice(export: Export) -> None:
    """What is found in SLICE seconds becomes a part, unless the lease was lost meanwhile."""
    query = searching.parse(export.query, export.asked_at)
    stretches = searching.stretches(Scope(export.account_id, export.livemode), query, export.position)
    text, rows, ends = io.StringIO(), 0, monotonic() + SLICE
    if not export.parts:
        text.write(_BOM)
        csv.writer(text).writerow(COLUMNS)
    done = True
    for stretch in stretches:
        csv.writer(text).writerows(map(_row, stretch.messages))
        rows += len(stretch.messages)
        export.position = stretch.last
        if monotonic() > ends and stretch.last is not None:
            done = False
            break
    _keep(export, text.getvalue().encode(), rows, done)


def _keep(export: Export, part: bytes, rows: int, done: bool) -> None:
    """A file that no row comes to name is swept (messaging.keeping.discards)."""
    paths = [content.fresh_path()] if part else []
    for path in paths:
        discards.expect(export.account_id, path)
        content.store(part, path)
    changes = {
        "parts": export.parts + paths,
        "written": export.written + rows,
        "size": export.size + len(part),
        "position": export.position,
        "failures": 0,
        "lease": None,
        "leased_until": None,
    }
    if done:
        changes |= {"status": ExportStatus.DONE, "ended_at": datetime.now(UTC), "total": export.written + rows}
    with transaction.atomic():
        kept = Export.objects.filter(id=export.id, lease=export.lease).update(**changes)
        if kept and not discards.claim(paths):
            transaction.set_rollback(True)
        elif kept and not done:
            jobs.enqueue(JOB)


def _fail(export: Export) -> None:
    """Only of whoever has the lease: another may be writing it by now."""
    changes = {"failures": export.failures + 1, "lease": None, "leased_until": None}
    if changes["failures"] >= PATIENCE:
        changes |= {"status": ExportStatus.FAILED, "ended_at": datetime.now(UTC)}
    Export.objects.filter(id=export.id, lease=export.lease).update(**changes)


def _row(message: Message) -> list[str]:
    shown = queries.shown(message)
    return [neutral(_cell(shown[name])) for name in COLUMNS]


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case list():
            return " ".join(value)
        case dict():
            return json.dumps(value, ensure_ascii=False) if value else ""
    return str(value)
