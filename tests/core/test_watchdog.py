"""When the watchdog loses patience with a cluster that never comes to work."""

import threading

import pytest

from sendarix.core import watchdog
from tests.world import in_background, until


class NeverAtWork:
    """A cluster whose processes are alive and do nothing."""

    starts = 0
    running = True

    def __init__(self, name: str) -> None:
        pass

    def start(self) -> None:
        type(self).starts += 1

    def kill(self) -> None:
        pass

    def stop(self, patience: float) -> None:
        pass


def test_a_cluster_that_does_not_come_to_work_gets_twice_the_time_after_each_restart(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watchdog, "Cluster", NeverAtWork)
    monkeypatch.setattr(watchdog, "CHECK", 0.001)
    monkeypatch.setattr(watchdog, "GRACE", 0.05)
    stop, looks = threading.Event(), []
    running = in_background(lambda: watchdog.run(stop, "delivery", lambda: not looks.append(NeverAtWork.starts)))
    until(lambda: NeverAtWork.starts == 5)
    stop.set()
    running.result()
    assert looks.count(4) > 3 * looks.count(1)
