"""The parent of a delivery cluster: what core.watchdog has to know of the queue."""

import contextlib
import os
import socket
import threading
from functools import partial

from django.db import Error, connection

from messaging.delivery import beats, queue
from sendarix.core import jobs, watchdog


def run(stop: threading.Event) -> None:
    """Keep one cluster at work until `stop` is set, then end it."""
    name = f"{socket.gethostname()[:30]}:{os.getpid()}"
    watchdog.run(stop, jobs.DELIVERY, partial(idle_with_work, name))
    with contextlib.suppress(Error):
        beats.leave(name)


def idle_with_work(name: str) -> bool:
    """Something has been due for a look's time, and no drain of any cluster has beaten in it. Beats as `name` itself."""
    try:
        beats.beat(name, beats.WATCHDOG, looks=False)
        seen = queue.look(1)
    except Error:
        connection.close()
        return False
    return seen.oldest_age > watchdog.CHECK and (seen.drain_age is None or seen.drain_age > watchdog.CHECK)
