"""Files that no row names any more. A path is put down here in the transaction that takes its row away and the file deleted after
the commit, so that a killed process leaves a file to be swept, never a row without its file. No transaction is open while the
storage deletes: one that hangs would hold up the event feed."""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Least

from messaging import content
from messaging.models import DiscardedFile

logger = logging.getLogger(__name__)

AGAIN = timedelta(minutes=10)
"""After a file was taken to be deleted, if it could not be."""

BATCH = 100
"""Files taken at a time."""

_MOST_FAILURES = 1_000
"""Counting stops there: a file may be refused for ever."""

UNCLAIMED = timedelta(hours=1)
"""For a file that is being stored to be named by a row."""


def put(account_id: int, paths: Iterable[str]) -> None:
    """In the caller's transaction: these files are to be deleted."""
    _put(account_id, paths, datetime.now(UTC))


def expect(account_id: int, path: str) -> None:
    """Before a file is stored there: it is to be deleted unless `claim` is called within UNCLAIMED."""
    _put(account_id, [path], datetime.now(UTC) + UNCLAIMED)


def claim(paths: Sequence[str]) -> bool:
    """In the transaction that names the expected files: keep them. False when one of them is deleted already, or was
    taken to be."""
    return DiscardedFile.objects.filter(path__in=paths, failures=0).delete()[0] == len(paths)


def delete(paths: Sequence[str]) -> int:
    """After the commit: delete these files now; how many could be. The others are left to `sweep`."""
    return _all_of(DiscardedFile.objects.filter(path__in=paths))


def sweep() -> None:
    """Delete the files whose time has come."""
    _all_of(DiscardedFile.objects.all())


def left(account_id: int) -> bool:
    """Whether files of the account could not be deleted yet, or are being deleted."""
    return DiscardedFile.objects.filter(account_id=account_id, failures__gt=0).exists()


def _put(account_id: int, paths: Iterable[str], due_at: datetime) -> None:
    DiscardedFile.objects.bulk_create(DiscardedFile(path=path, account_id=account_id, due_at=due_at) for path in paths)


def _all_of(files: QuerySet[DiscardedFile]) -> int:
    deleted = 0
    while paths := _taken(files):
        gone = [path for path in paths if _deleted(path)]
        DiscardedFile.objects.filter(path__in=gone).delete()
        deleted += len(gone)
    return deleted


def _taken(files: QuerySet[DiscardedFile]) -> list[str]:
    """Paths whose time has come, now kept from `claim` and, for AGAIN, from other sweepers. Each counts as failed until its row
    goes; deleting a file twice is no fault."""
    now = datetime.now(UTC)
    with transaction.atomic(durable=True):
        due = files.filter(due_at__lte=now).order_by("due_at").select_for_update(skip_locked=True)
        paths = list(due.values_list("path", flat=True)[:BATCH])
        failures = Least(F("failures") + 1, Value(_MOST_FAILURES))
        DiscardedFile.objects.filter(path__in=paths).update(due_at=now + AGAIN, failures=failures)
    return paths


def _deleted(path: str) -> bool:
    try:
        content.delete(path)
    except Exception:  # each storage has its own
        logger.exception("%s can't be deleted; it is left for another time", path)
        return False
    return True
