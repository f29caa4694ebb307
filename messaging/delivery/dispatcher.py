"""The process that makes sure due messages are looked at: it wakes drains for what becomes due, and gives back what a dead worker
held. It sends nothing itself; several may run, and none of them is needed for a message to be safe."""

import contextlib
import logging
import os
import random
import socket
import threading
from time import monotonic

from django.db import Error, connection

from messaging.delivery import beats, ledger, queue
from sendarix.core import jobs
from sendarix.core.statements import tune_connections

logger = logging.getLogger(__name__)

TICK = 0.5
"""Longest time between looks, seconds; sooner when something becomes due sooner."""

RECOVERY = 1.0
"""Seconds between searches for claims of dead workers, each of which ends with a beat."""

BACKLOG = 200
"""Due messages from which on more than one drain is worth waking."""


def run(stop: threading.Event) -> None:
    """Look, wake and recover until `stop` is set, whatever the database does."""
    tune_connections()
    name, rng = f"{beats.DISPATCHER}:{socket.gethostname()[:30]}:{os.getpid()}", random.Random()
    recovered = float("-inf")
    while not stop.is_set():
        pause = TICK
        try:
            if monotonic() - recovered > RECOVERY:
                recovered = monotonic()
                recover(rng)
                beats.beat(name, beats.DISPATCHER, looks=False)
            pause = tick()
        except Error as error:
            logger.warning("the queue can't be read, trying again: %s", error)
            connection.close()
        stop.wait(pause)
    with contextlib.suppress(Error):
        beats.leave(name)


def recover(rng: random.Random) -> None:
    if given_back := ledger.recover(rng):
        logger.warning("%d messages of lost workers were given back", given_back)


def tick() -> float:
    """One look: wake a drain if one is needed; returns the seconds until the next look, to the millisecond when something
    becomes due before and no running drain would see it."""
    seen = queue.look(BACKLOG)
    if (seen.due >= BACKLOG or (seen.due and not seen.looking)) and not jobs.waiting():
        jobs.enqueue(queue.DRAIN)
    if seen.looking or seen.next_in is None:
        return TICK
    return max(0.001, min(TICK, seen.next_in))
