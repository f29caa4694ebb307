"""What is done beside delivery, on a thread of the dispatcher: sensitive bodies are redacted, old rows thrown away. Nothing
here but the end of pauses is needed for a message to go out, and several dispatchers may do it at once."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

from django.db import Error, connection

from messaging import redaction
from messaging.delivery import health, pacing, queue
from messaging.inbound import bounce_door
from messaging.queues import pauses
from sendarix.accounts import rate
from suppressions import imports
from suppressions import services as suppressions

logger = logging.getLogger(__name__)

TICK = 1.0


@dataclass(slots=True)
class Chore:
    """A piece of work and the seconds between two rounds of it."""

    name: str
    work: Callable[[], object]
    every: float
    done_at: float = float("-inf")


def chores() -> list[Chore]:
    return [
        Chore("pauses", pauses.sweep, 1.0),
        Chore("redaction", lambda: redaction.redact(datetime.now(UTC)), 60.0),
        Chore("inbound mail", bounce_door.handle_waiting, 5.0),
        Chore("handled inbound mail", bounce_door.forget_old, 3600.0),
        Chore("idempotency keys", forget_idempotency_keys, 3600.0),
        Chore("suppressions", suppressions.forget_expired, 3600.0),
        Chore("suppression imports", imports.work, 1.0),
        Chore("old suppression imports", imports.forget_old, 3600.0),
        Chore("workers", queue.forget_old_workers, 3600.0),
        Chore("health of paths", health.forget, 3600.0),
        Chore("pace windows", pacing.forget, 3600.0),
        Chore("rate windows", rate.forget, 3600.0),
    ]


def run(stop: threading.Event) -> None:
    """Do what is due until `stop` is set. A chore that fails is tried again at its next time."""
    waiting = chores()
    while not stop.wait(TICK):
        for chore in waiting:
            if monotonic() - chore.done_at >= chore.every and not stop.is_set():
                chore.done_at = monotonic()
                do(chore)


def do(chore: Chore) -> None:
    try:
        chore.work()
    except Error as error:
        logger.warning("%s: the database can't be used, trying again later: %s", chore.name, error)
        connection.close()
    except Exception:
        logger.exception("%s failed, trying again later", chore.name)


def forget_idempotency_keys() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM idempotency_keys WHERE expires_at < now()")
