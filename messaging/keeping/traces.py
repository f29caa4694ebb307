"""What hangs on a message beside its own rows: files in the storage and rows elsewhere. Who removes any of it locks the messages
first (`locked`), so that nobody sends them again meanwhile."""

from collections.abc import Sequence

from django.db import connection

from messaging.keeping import discards
from messaging.models import Attachment, CapturedMail, Message
from sendarix.core import events

_ROWS = ("events", "attempts", "attachments", "captured_mail", "dead_letters", "inbound_mail", "message_contents")


def locked(message_ids: Sequence[str]) -> list[str]:
    """Those of the messages that have ended, locked until the end of the caller's transaction; none that somebody else holds."""
    ended = Message.objects.filter(id__in=message_ids, due_at=None, worker=None).order_by("id")
    return list(ended.select_for_update(skip_locked=True).values_list("id", flat=True))


def forget_files(account_id: int, message_ids: Sequence[str]) -> list[str]:
    """Delete the rows of attachments and captured copies, in the caller's transaction; the paths of their files, which
    `discards.delete` deletes after it."""
    paths: list[str] = []
    for model in (Attachment, CapturedMail):
        found = model.objects.filter(message_id__in=message_ids)
        paths += found.values_list("path", flat=True)
        found.delete()
    discards.put(account_id, paths)
    return paths


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
