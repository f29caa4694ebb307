"""A delivering process that is killed, or stands still for longer than its lease, at each point on a message's way."""

import os
import signal
import threading
import time

import psutil
import pytest

from tests.delivery.smtp_sink import Hang, Step
from tests.faults import record
from tests.faults.record import Sink
from tests.faults.stage import PATIENCE, Stage, eventually, gone

SEEN_BY_SERVER = ("connect", "mail", "rcpt", "data", "dot")
SEEN_BY_NOBODY = ("after claim", "mid body", "before mark", "after mark", "before commit", "after commit")
STANDING = ("stand in claim", "stand before mark", "stand before record")
UNCERTAIN = {"after mark", "dot", "before commit", "stand before record"}
ONCE_MORE = {"dot", "before commit", "stand before record"}

RECOVERY = 30.0


class Stop:
    """The server hangs once at a stage, and tells that it got there."""

    def __init__(self, sink: Sink, stage: str) -> None:
        self.sink, self.stage = sink, stage
        self.reached = threading.Event()
        sink.script = {stage: self.step}

    def step(self, argument: str) -> Step:
        if self.reached.is_set():
            return None
        self.reached.set()
        return Hang()

    def wait(self) -> None:
        assert self.reached.wait(PATIENCE)


def standing(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def kill_at(stage: Stage, sink: Sink, point: str) -> tuple[str, float]:
    """(message, time of death) of a drain that died, or stood still, at the point."""
    message = stage.accept_file(1_000_000) if point == "mid body" else stage.accept()[0]
    if point in SEEN_BY_SERVER:
        stop = Stop(sink, point)
        pid = stage.door.call("drain", point="")
        stop.wait()
        os.kill(pid, signal.SIGKILL)
    else:
        sink.script = {}
        pid = stage.door.call("drain", point=point)
    over = standing if point in STANDING else gone
    assert eventually(lambda: over(pid)), point
    return message, time.monotonic()


def test_a_process_killed_anywhere_loses_nothing_and_doubles_nothing_in_silence(stage: Stage, sink: Sink, note) -> None:
    killed = {point: kill_at(stage, sink, point) for point in (*SEEN_BY_SERVER, *SEEN_BY_NOBODY, *STANDING)}
    sink.script = {}
    stage.start("dispatcher")
    worker = stage.start("worker").ready()
    ready = time.monotonic()
    assert eventually(lambda: stage.open_messages() == 0, every=0.1), (stuck(stage, killed), worker.text[-3000:])
    stood = [each for each in psutil.process_iter() if each.ppid() == stage.door.pid and standing(each.pid)]
    for process in stood:
        process.resume()
    assert eventually(lambda: all(gone(each.pid) for each in stood))
    recovered = {}
    for point, (message, died) in killed.items():
        recovered[point] = max(dot.at for dot in sink.dots_of(message)) - max(died, ready)
    audit = record.of(stage, sink, [message for message, _ in killed.values()])
    doubled = {point for point, (message, _) in killed.items() if message in audit.doubled}
    slowest = max(recovered, key=lambda point: recovered[point])
    note(f"killed or stopped at {len(killed)} points: {audit}; slowest recovery {recovered[slowest]:.1f} s ({slowest})")
    assert not audit.faults
    assert doubled == ONCE_MORE
    assert {point for point, (message, _) in killed.items() if doubtful(stage, message)} == UNCERTAIN
    assert recovered[slowest] <= RECOVERY


def stuck(stage: Stage, killed: dict[str, tuple[str, float]]) -> list[tuple]:
    """Where and as what each message that waits or is claimed was left, and which transactions are open."""
    points = {message: point for point, (message, _) in killed.items()}
    rows = stage.query(
        "SELECT id, status, due_at, waits_for, worker FROM messages WHERE due_at IS NOT NULL OR worker <> ''"
    )
    waiting = stage.query(
        "SELECT pid, pg_blocking_pids(pid), state, now() - xact_start, left(query, 300) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
    )
    return [*((points[message], *rest) for message, *rest in rows), *waiting]


def doubtful(stage: Stage, message: str) -> bool:
    return stage.value("SELECT count(*) FROM events WHERE message_id = %s AND data->>'uncertain' = 'true'", message)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_cluster_whose_delivering_process_is_killed_goes_on(stage: Stage, sink: Sink, note) -> None:
    """At each stage a mail server sees, in a running cluster, whatever else that process had in hand."""
    stage.start("dispatcher")
    worker = stage.start("worker").ready()
    ids, slowest = [], 0.0
    for point in SEEN_BY_SERVER:
        stop = Stop(sink, point)
        ids += stage.accept(20)
        stop.wait()
        delivering = [each for each in worker.family() if peer_of(each, stage.port)]
        died = time.monotonic()
        for each in delivering:
            each.kill()
        assert eventually(lambda: stage.open_messages() == 0, 90, 0.1)
        slowest = max(slowest, sink.record()[-1].at - died)
    audit = record.of(stage, sink, ids)
    note(f"cluster killed at {len(SEEN_BY_SERVER)} stages: {audit}; slowest recovery {slowest:.1f} s")
    assert not audit.faults
    assert slowest <= RECOVERY


def peer_of(process: psutil.Process, port: int) -> bool:
    """Whether the process has a connection to this port."""
    return any(each.raddr and each.raddr.port == port for each in process.net_connections("tcp"))
