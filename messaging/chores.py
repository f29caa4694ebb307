"""What messaging has done beside delivery, on a thread of the dispatcher: sensitive bodies are redacted, old rows thrown away.
Nothing here but the end of pauses is needed for a message to go out, and several dispatchers may do it at once."""

from datetime import UTC, datetime

from django.db import connection

from messaging import exports, redaction
from messaging.delivery import beats, health, pacing
from messaging.inbound import bounce_door
from messaging.keeping import discards, retention
from messaging.queues import pauses
from sendarix.accounts import rate
from sendarix.core.chores import Chore
from suppressions import services as suppressions


def chores() -> list[Chore]:
    return [
        Chore("pauses", pauses.sweep, 1.0),
        Chore("search index", merge_search_index, 2.0),
        Chore("redaction", lambda: redaction.redact(datetime.now(UTC)), 60.0),
        Chore("inbound mail", bounce_door.handle_waiting, 5.0),
        Chore("handled inbound mail", bounce_door.forget_old, 3600.0),
        Chore("discarded files", discards.sweep, 60.0),
        Chore("retention", retention.run, 3600.0),
        Chore("exports", exports.wake, 10.0),
        Chore("old exports", exports.forget_expired, 3600.0),
        Chore("idempotency keys", forget_idempotency_keys, 3600.0),
        Chore("suppressions", suppressions.forget_expired, 3600.0),
        Chore("workers", beats.forget_old_workers, 3600.0),
        Chore("health of paths", health.forget, 3600.0),
        Chore("pace windows", pacing.forget, 3600.0),
        Chore("rate windows", rate.forget, 3600.0),
    ]


def merge_search_index() -> None:
    """Sort in what is on the pending lists of the search's indexes; when one runs full, whoever inserts has to do it."""
    with connection.cursor() as cursor:
        for name in ("contents_search", "captures_search", "suppressions_search"):
            cursor.execute("SELECT gin_clean_pending_list(%s)", [name])


def forget_idempotency_keys() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM idempotency_keys WHERE expires_at < now()")
