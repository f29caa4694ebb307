"""Clusters under load and at rest whose processes are killed or told to end."""

import itertools
import random
import time

import pytest

from tests.delivery.smtp_sink import Later
from tests.faults import record
from tests.faults.record import Sink
from tests.faults.stage import PATIENCE, Actor, Load, Stage, eventually


def delivered(stage: Stage, sink: Sink) -> float:
    """Seconds from acceptance to the final dot of one message."""
    message = stage.accept()[0]
    began = time.monotonic()
    assert eventually(lambda: sink.dots_of(message)), "the queue stands still"
    return sink.dots_of(message)[0].at - began


def kill_at_random(stage: Stage, sink: Sink, seconds: float, seed: int) -> tuple[record.Audit, int, float]:
    """(audit, kills, seconds from the last kill to an empty queue) of a loaded cluster whose processes die one after another."""
    rng = random.Random(seed)
    stage.start("dispatcher")
    worker = stage.start("worker").ready()
    kills = 0
    with Load(stage, rate=200) as load:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(rng.uniform(0.3, 1.5))
            family = [each for each in worker.family() if each.pid != worker.process.pid]
            if family:
                rng.choice(family).kill()
                kills += 1
    last = time.monotonic()
    assert eventually(lambda: stage.open_messages() == 0, every=0.2), worker.text[-3000:]
    return record.of(stage, sink, load.ids), kills, time.monotonic() - last


def test_random_kills_under_load_lose_nothing(stage: Stage, sink: Sink, note) -> None:
    audit, kills, recovery = kill_at_random(stage, sink, 6.0, seed=1)
    note(f"{kills} random kills in 6 s under load: {audit}; queue empty {recovery:.1f} s after the last")
    assert not audit.faults


@pytest.mark.long
@pytest.mark.timeout(400)
def test_two_minutes_of_random_kills_lose_nothing(stage: Stage, sink: Sink, note) -> None:
    audit, kills, recovery = kill_at_random(stage, sink, 120.0, seed=2)
    note(f"{kills} random kills in 120 s under load: {audit}; queue empty {recovery:.1f} s after the last")
    assert not audit.faults
    assert recovery <= 40


def kill_idle(stage: Stage, sink: Sink, times: int) -> list[float]:
    """Seconds that the first message after each kill of every idle delivery process took."""
    stage.start("dispatcher")
    worker = stage.start("worker").ready()
    delivered(stage, sink)
    waits = []
    for number in range(times):
        assert eventually(lambda: len(worker.pids("ready for work at")) == 2, every=0.1)
        assert eventually(lambda: not beating(stage))
        idle = worker.pids("ready for work at")
        kill(worker, idle[:1] if number % 2 else idle)
        waits.append(delivered(stage, sink))
    return waits


def beating(stage: Stage) -> int:
    """Drains at work now."""
    return stage.value(
        "SELECT count(*) FROM delivery_workers WHERE cluster = 'delivery' AND beat_at > clock_timestamp() - interval '200 ms'"
    )


def kill(actor: Actor, pids: list[int]) -> None:
    for each in actor.family():
        if each.pid in pids:
            each.kill()


def test_an_idle_process_killed_does_not_stall_the_queue(stage: Stage, sink: Sink, note) -> None:
    waits = kill_idle(stage, sink, 2)
    note(f"idle delivery processes killed {len(waits)} times: next message after {max(waits):.1f} s at most")


@pytest.mark.long
@pytest.mark.timeout(500)
def test_idle_processes_killed_twenty_times_do_not_stall_the_queue(stage: Stage, sink: Sink, note) -> None:
    waits = kill_idle(stage, sink, 20)
    note(f"idle delivery processes killed {len(waits)} times: next message after {max(waits):.1f} s at most")
    assert max(waits) <= 15


def test_a_worker_told_to_end_hands_over_what_it_holds(stage: Stage, sink: Sink, note) -> None:
    sink.script = {"dot": lambda _: Later(0.2)}
    ids = stage.accept(300)
    stage.start("dispatcher")
    workers = [stage.start("worker", name) for name in ("first", "second")]
    first, second = (worker.ready() for worker in workers)
    assert eventually(lambda: len(sink.record()) > 20)
    told = time.monotonic()
    first.terminate()
    first.process.wait(PATIENCE)
    ended = time.monotonic() - told
    assert not first.family()
    assert eventually(lambda: stage.open_messages() == 0, every=0.1)
    gap = longest_gap(sink, told)
    told = time.monotonic()
    second.terminate()
    ids += stage.accept(5)
    second.process.wait(PATIENCE)
    restarted = time.monotonic()
    stage.start("worker", "third")
    assert eventually(lambda: stage.open_messages() == 0, every=0.1)
    again = next(dot.at for dot in sink.record() if dot.at > restarted)
    audit = record.of(stage, sink, ids)
    note(
        f"SIGTERM under load: {audit}; ended in {ended:.1f} s; longest time without a dot {gap:.2f} s with a second worker;"
        f" replaced by hand: {again - told:.1f} s from SIGTERM, {again - restarted:.1f} s from the start of the other"
    )
    assert not audit.faults
    assert audit.uncertain == 0


def longest_gap(sink: Sink, since: float) -> float:
    times = [since, *(dot.at for dot in sink.record() if dot.at > since)]
    return max(after - before for before, after in itertools.pairwise(times))
