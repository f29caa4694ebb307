"""Chores: what the dispatcher does beside its own work, whoever adds it."""

import threading

from django.db import OperationalError

from sendarix.core import chores
from sendarix.core.chores import Chore
from tests.world import until


def test_the_apps_above_have_added_theirs():
    assert {"rollups", "alerts"} <= chores.added().keys()


def test_a_chore_that_fails_does_not_keep_the_others_from_being_done(monkeypatch):
    monkeypatch.setattr(chores, "TICK", 0.001)
    done, stop = [], threading.Event()

    def fail() -> None:
        done.append("failed")
        raise OperationalError if len(done) == 1 else ValueError

    waiting = [Chore("bad", fail, 0.0), Chore("good", lambda: done.append("good"), 0.0)]
    thread = threading.Thread(target=chores.run, args=[stop, waiting])
    thread.start()
    until(lambda: done.count("good") > 1)
    stop.set()
    thread.join(10)
    assert done[:4] == ["failed", "good", "failed", "good"]


def test_a_chore_waits_for_its_next_time(monkeypatch):
    monkeypatch.setattr(chores, "TICK", 0.001)
    done, stop = [], threading.Event()
    waiting = [Chore("rare", lambda: done.append("rare"), 3600.0), Chore("often", lambda: done.append("often"), 0.0)]
    thread = threading.Thread(target=chores.run, args=[stop, waiting])
    thread.start()
    until(lambda: done.count("often") > 2)
    stop.set()
    thread.join(10)
    assert done.count("rare") == 1
