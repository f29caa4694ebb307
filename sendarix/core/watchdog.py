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

GRACE, LONGEST_GRACE = 12.0, 96.0
"""Seconds a cluster has after its start; twice as many after each restart that has not helped: where coming up takes long, it
must come up some time."""

PATIENCE = 12.0
"""Seconds a stopping cluster has to finish what is under way."""


def run(stop: threading.Event, name: str, idle_with_work: Callable[[], bool]) -> None:
    """Keep the cluster of this name at work until `stop` is set, then end it.

    `idle_with_work`: something has been due for CHECK seconds, and no drain of any such cluster has beaten in them."""
    cluster = Cluster(name)
    cluster.start()
    started, stuck, grace = monotonic(), 0, GRACE
    while not stop.wait(CHECK):
        idle, settled = idle_with_work(), monotonic() - started > grace
        stuck = stuck + 1 if idle and settled else 0
        if settled and not idle:
            grace = GRACE
        if not cluster.running:
            logger.warning("the %s cluster has ended, starting another", name)
        elif stuck >= STUCK:
            logger.warning("work is due and no drain moves: restarting the %s cluster", name)
            grace = min(2 * grace, LONGEST_GRACE)
        else:
            continue
        cluster.kill()
        cluster.start()
        started, stuck = monotonic(), 0
    cluster.stop(PATIENCE)
