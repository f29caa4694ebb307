"""What runs beside a cluster of drains: wakes one for what becomes due, frees what dead drains held, and forgets what is old.
It delivers nothing itself; several may run, and none of them is needed for a delivery to be safe."""

import logging
import threading
from time import monotonic

from django.db import Error, connection

from sendarix.core import jobs, watchdog
from webhooks import holds, outbox, recovery

logger = logging.getLogger(__name__)

TICK = 0.5
"""Longest time between looks, seconds; sooner when something becomes due sooner."""

RECOVERY = 1.0
"""Seconds between searches for holds of dead drains."""

NEGLECTED = 0.25
"""Seconds something may be due to an endpoint that nobody holds, before one more drain is worth waking."""

HOUSEKEEPING = 3600.0


def run(stop: threading.Event) -> None:
    """Keep one cluster at work, and tick, until `stop` is set."""
    ticks = threading.Thread(target=tick_until, args=[stop], name="ticks")
    ticks.start()
    watchdog.run(stop, jobs.WEBHOOKS, idle_with_work)
    ticks.join(watchdog.PATIENCE)


def tick_until(stop: threading.Event) -> None:
    """Look, wake and free until `stop` is set, whatever the database does."""
    freed = tidied = float("-inf")
    while not stop.is_set():
        pause = TICK
        try:
            if monotonic() - freed > RECOVERY:
                freed = monotonic()
                recover()
            pause = tick()
            if monotonic() - tidied > HOUSEKEEPING:
                tidied = monotonic()
                recovery.housekeeping()
        except Error as error:
            logger.warning("the deliveries can't be read, trying again: %s", error)
            connection.close()
        stop.wait(pause)
    connection.close()


def recover() -> None:
    if freed := holds.recover():
        logger.warning("%d webhook endpoints of lost drains are free again", freed)


def tick() -> float:
    """One look: wake a drain if one is needed; returns the seconds until the next look."""
    seen = holds.look()
    neglected = seen.neglected_age is not None and seen.neglected_age > NEGLECTED
    if (neglected or (seen.oldest_age is not None and not seen.looking)) and not jobs.waiting(jobs.WEBHOOKS):
        jobs.enqueue(outbox.DRAIN, jobs.WEBHOOKS)
    if seen.looking or seen.next_in is None:
        return TICK
    return max(0.001, min(TICK, seen.next_in))


def idle_with_work() -> bool:
    """Something has been due for a look's time, and no drain of any cluster has beaten in it."""
    try:
        seen = holds.look()
    except Error:
        connection.close()
        return False
    waited = seen.oldest_age is not None and seen.oldest_age > watchdog.CHECK
    return waited and (seen.drain_age is None or seen.drain_age > watchdog.CHECK)
