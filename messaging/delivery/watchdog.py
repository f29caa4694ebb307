"""The parent of a django-q2 cluster: starts it, sees whether it works, and restarts it as a whole when it hangs or ends.
Needed because a killed idle worker leaves a cluster hanging for good, SIGTERM included (django-q2 issue 23)."""

import contextlib
import logging
import os
import socket
import threading
from time import monotonic

from django.db import Error, connection

from messaging.delivery import queue
from sendarix.core.jobs import Cluster

logger = logging.getLogger(__name__)

CHECK = 1.0
"""Seconds between looks."""

STUCK = 3
"""Looks in a row at which something was due and no drain had beaten, before the cluster counts as hanging. In a row, so that
drains get time to beat again after the database was away: killing them would lose what they know."""

GRACE = 5.0
"""Seconds a cluster has after its start."""

PATIENCE = 12.0
"""Seconds a stopping cluster has to finish what is under way."""


def run(stop: threading.Event) -> None:
    """Keep one cluster at work until `stop` is set, then end it."""
    name = f"{socket.gethostname()[:30]}:{os.getpid()}"
    cluster = Cluster()
    cluster.start()
    started, stuck = monotonic(), 0
    while not stop.wait(CHECK):
        idle = idle_with_work(name)
        stuck = stuck + 1 if idle and monotonic() - started > GRACE else 0
        if not cluster.running:
            logger.warning("the cluster has ended, starting another")
        elif stuck >= STUCK:
            logger.warning("messages are due and no drain moves: restarting the cluster")
        else:
            continue
        cluster.kill()
        cluster.start()
        started, stuck = monotonic(), 0
    cluster.stop(PATIENCE)
    with contextlib.suppress(Error):
        queue.leave(name)


def idle_with_work(name: str) -> bool:
    """Something has been due for a look's time, and no drain of any cluster has beaten in it. Beats as `name` itself."""
    try:
        queue.beat(name, queue.WATCHDOG, looks=False)
        seen = queue.look(1)
    except Error:
        connection.close()
        return False
    return seen.oldest_age > CHECK and (seen.drain_age is None or seen.drain_age > CHECK)
