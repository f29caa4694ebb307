"""Files that no row names any more. A path is put down here in the transaction that takes its row away and the file deleted after
the commit, so that a killed process leaves a file to be swept, never a row without its file."""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from messaging import content
from messaging.models import DiscardedFile

logger = logging.getLogger(__name__)

AGAIN = timedelta(minutes=10)
"""After a storage refused to delete a file."""

UNCLAIMED = timedelta(hours=1)
"""For a file that is being stored to be named by a row."""


def put(account_id: int, paths: Iterable[str]) -> None:
    """In the caller's transaction: these files are to be deleted."""
    _put(account_id, paths, datetime.now(UTC))


def expect(account_id: int, path: str) -> None:
    """Before a file is stored there: it is to be deleted unless `claim` is called within UNCLAIMED."""
    _put(account_id, [path], datetime.now(UTC) + UNCLAIMED)


def claim(paths: Sequence[str]) -> bool:
    """In the transaction that names the expected files: keep them. False when one of them is deleted already."""
    return DiscardedFile.objects.filter(path__in=paths).delete()[0] == len(paths)


def delete(paths: Sequence[str]) -> int:
    """After the commit: delete these files now; how many could be. The others are left to `sweep`."""
    return _all_of(DiscardedFile.objects.filter(path__in=paths))


def sweep() -> None:
    """Delete the files whose time has come."""
    _all_of(DiscardedFile.objects.all())


def left(account_id: int) -> bool:
    """Whether files of the account could not be deleted yet."""
    return DiscardedFile.objects.filter(account_id=account_id, failures__gt=0).exists()


def _put(account_id: int, paths: Iterable[str], due_at: datetime) -> None:
    DiscardedFile.objects.bulk_create(DiscardedFile(path=path, account_id=account_id, due_at=due_at) for path in paths)


def _all_of(files: QuerySet[DiscardedFile]) -> int:
    """One after the other, each locked against `claim` and other sweepers."""
    deleted = 0
    while True:
        with transaction.atomic():
            due = files.filter(due_at__lte=datetime.now(UTC)).order_by("due_at")
            file = due.select_for_update(skip_locked=True).first()
            if file is None:
                return deleted
            deleted += _deleted(file)


def _deleted(file: DiscardedFile) -> bool:
    try:
        content.delete(file.path)
    except DatabaseError:
        raise
    except Exception:  # each storage has its own
        logger.exception("%s can't be deleted; it is left for another time", file.path)
        file.due_at, file.failures = datetime.now(UTC) + AGAIN, file.failures + 1
        file.save(update_fields=["due_at", "failures"])
        return False
    file.delete()
    return True
