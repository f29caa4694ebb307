"""The process that makes sure due messages are looked at: it wakes drains for what becomes due, and gives back what a dead worker
held. It sends nothing itself; several may run, and none of them is needed for a message to be safe."""

import logging
import random
import threading
from time import monotonic

from django.db import Error, connection

from messaging.delivery import housekeeping, ledger, queue
from sendarix.core import jobs

logger = logging.getLogger(__name__)

DRAIN = "messaging.tasks.drain"

TICK = 0.5
"""Longest time between looks, seconds; sooner when something becomes due sooner."""

BACKLOG = 200
"""Due messages from which on more than one drain is worth waking."""

HOUSEKEEPING = 3600.0


def run(stop: threading.Event) -> None:
    """Look, wake and recover until `stop` is set, whatever the database does."""
    rng = random.Random()
    tidied = monotonic() - HOUSEKEEPING
    while not stop.is_set():
        pause = TICK
        try:
            connection.close_if_unusable_or_obsolete()
            pause = tick(rng)
            if monotonic() - tidied > HOUSEKEEPING:
                tidied = monotonic()
                housekeeping.tidy()
        except Error as error:
            logger.warning("the queue can't be read, trying again: %s", error)
            connection.close()
        stop.wait(pause)


def tick(rng: random.Random) -> float:
    """One look: recover lost claims, wake a drain if one is needed; returns the seconds until the next look."""
    if recovered := ledger.recover(rng):
        logger.warning("%d messages of lost workers were given back", recovered)
    seen = queue.look(BACKLOG)
    if (seen.due >= BACKLOG or (seen.due and not seen.looking)) and not jobs.waiting():
        jobs.enqueue(DRAIN)
    return TICK if seen.next_in is None else max(0.001, min(TICK, seen.next_in))
