"""What hangs on a message beside its own rows: files in the storage and rows elsewhere. Files are deleted first and rows after,
so that no file is left that no row names."""

import logging
from collections.abc import Sequence

from django.db import DatabaseError, connection

from messaging import content
from messaging.models import Attachment, CapturedMail
from sendarix.core import events

logger = logging.getLogger(__name__)

_ROWS = ("events", "attempts", "attachments", "captured_mail", "dead_letters", "inbound_mail", "message_contents")


def without_files(message_ids: Sequence[str]) -> tuple[list[str], int]:
    """The messages whose attachments and captured copies are deleted now, and how many files those were. One whose files can't be
    deleted is left out, whatever the storage raises."""
    paths: dict[str, list[str]] = {message_id: [] for message_id in message_ids}
    for model in (Attachment, CapturedMail):
        for message_id, path in model.objects.filter(message_id__in=message_ids).values_list("message_id", "path"):
            paths[message_id].append(path)
    clean = [message_id for message_id in message_ids if _deleted(message_id, paths[message_id])]
    return clean, sum(len(paths[message_id]) for message_id in clean)


def _deleted(message_id: str, paths: list[str]) -> bool:
    try:
        for path in paths:
            content.delete(path)
    except DatabaseError:
        raise
    except Exception:
        logger.exception("files of %s can't be deleted; it is left for another time", message_id)
        return False
    return True


def forget_files(message_ids: Sequence[str]) -> None:
    """The rows of files that are gone."""
    for model in (Attachment, CapturedMail):
        model.objects.filter(message_id__in=message_ids).delete()


def forget(message_ids: Sequence[str]) -> dict[str, int]:
    """Delete the messages with everything about them, in the caller's transaction; rows by table. Other apps are told."""
    deleted = {}
    with connection.cursor() as cursor:
        for table in _ROWS:
            cursor.execute(f"DELETE FROM {table} WHERE message_id = ANY(%s)", [list(message_ids)])
            deleted[table] = cursor.rowcount
        cursor.execute("DELETE FROM messages WHERE id = ANY(%s)", [list(message_ids)])
        deleted["messages"] = cursor.rowcount
    events.forget(message_ids)
    return deleted
