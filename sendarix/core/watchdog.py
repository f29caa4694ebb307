"""The parent of a django-q2 cluster: starts it, sees whether it works, and restarts it as a whole when it hangs or ends.
Needed because a killed idle worker leaves a cluster hanging for good, SIGTERM included (django-q2 issue 23)."""

import logging
import threading
from collections.abc import Callable
from time import monotonic

from sendarix.core.jobs import Cluster

logger = logging.getLogger(__name__)

CHECK = 1.0
"""Seconds between looks."""

STUCK = 3
"""Looks in a row at which something was due and no drain had beaten, before the cluster counts as hanging. In a row, so that
drains get time to beat again after the database was away: killing them would lose what they know."""

GRACE = 12.0
"""Seconds a cluster has after its start."""

PATIENCE = 12.0
"""Seconds a stopping cluster has to finish what is under way."""


def run(stop: threading.Event, name: str, idle_with_work: Callable[[], bool]) -> None:
    """Keep the cluster of this name at work until `stop` is set, then end it.

    `idle_with_work`: something has been due for CHECK seconds, and no drain of any such cluster has beaten in them."""
    cluster = Cluster(name)
    cluster.start()
    started, stuck = monotonic(), 0
    while not stop.wait(CHECK):
        stuck = stuck + 1 if idle_with_work() and monotonic() - started > GRACE else 0
        if not cluster.running:
            logger.warning("the %s cluster has ended, starting another", name)
        elif stuck >= STUCK:
            logger.warning("work is due and no drain moves: restarting the %s cluster", name)
        else:
            continue
        cluster.kill()
        cluster.start()
        started, stuck = monotonic(), 0
    cluster.stop(PATIENCE)
