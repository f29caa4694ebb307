"""Work that the dispatcher does beside its own, again and again: apps above the one that has the dispatcher add theirs here, so
that it need not import them. Several dispatchers may do the same chore at once, and none has a time for certain."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from django.db import Error, connection

logger = logging.getLogger(__name__)

TICK = 1.0


@dataclass(slots=True)
class Chore:
    """A piece of work and the seconds between two rounds of it."""

    name: str
    work: Callable[[], object]
    every: float
    done_at: float = float("-inf")


_added: dict[str, list[Chore]] = {}


def add(thread: str, *chores: Chore) -> None:
    """Have these done on a thread of this name, one after another; for `ready()` of an app. Naming a thread again replaces it."""
    _added[thread] = list(chores)


def added() -> dict[str, list[Chore]]:
    return dict(_added)


def run(stop: threading.Event, chores: Sequence[Chore]) -> None:
    """Do what is due until `stop` is set. A chore that fails is tried again at its next time."""
    while not stop.wait(TICK):
        for chore in chores:
            if monotonic() - chore.done_at >= chore.every and not stop.is_set():
                chore.done_at = monotonic()
                do(chore)
    connection.close()


def do(chore: Chore) -> None:
    try:
        chore.work()
    except Error as error:
        logger.warning("%s: the database can't be used, trying again later: %s", chore.name, error)
        connection.close()
    except Exception:
        logger.exception("%s failed, trying again later", chore.name)
