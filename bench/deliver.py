"""Deliver: how fast a ready queue drains to smtp-sink over 20 sessions, unsigned and signed, beside Postfix (which signs
nothing)."""

import shutil
import time

from bench import seeding
from bench.postfix import Postfix
from bench.processes import Left, Process, cpu_seconds
from bench.report import Part, Sample
from bench.stage import Stage

COUNT = 20_000
SIZE = 5_000
PATIENCE = 600.0


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    """Ours, ours with both DKIM signatures, Postfix stock, Postfix tuned, in turns."""
    count = max(200, round(COUNT * scale))
    aim = "ratio >= 3.0 unsigned, >= 1.5 signed"
    part = Part("deliver", f"drain of {count:,} ready 5 KB messages, 20 sessions", aim=aim)
    sink, port = stage.smtp_sink()
    try:
        seeding.pattern(stage)
        for number in range(rounds):
            sides = ["sendarix", "sendarix signed", "Postfix stock", "Postfix tuned"]
            for side in sides if number % 2 == 0 else reversed(sides):
                _play(part, side, stage, port, count)
    finally:
        stage.stop(sink)
    for side in ("Postfix stock", "Postfix tuned"):
        if side in part.sides:
            part.ratio("sendarix", side, "per_second")
            part.ratio("sendarix signed", side, "per_second")
    part.ratio("sendarix signed", "sendarix", "per_second")
    return part


def _play(part: Part, side: str, stage: Stage, port: int, count: int) -> None:
    if side.startswith("sendarix"):
        part.add(side, drain(stage, port, count, signed=side.endswith("signed")))
        return
    try:
        part.add(side, _postfix(stage, port, count, side.endswith("tuned")))
    except Left as why:
        note = f"Postfix left out: {why}"
        if note not in part.notes:
            part.notes.append(note)


def drain(stage: Stage, port: int, count: int, signed: bool = False) -> Sample:
    """Seed, start worker and dispatcher, wait until nothing waits, end them."""
    stage.query(f"UPDATE dkim_keys SET status = '{'active' if signed else 'retired'}'")
    seeding.clear(stage)
    seeding.copy(stage, count)
    database = cpu_seconds(stage.database())
    processes = stage.delivery(port)
    try:
        until_done(stage, processes)
        worker = cpu_seconds(processes[0].tree())
        database = cpu_seconds(stage.database()) - database
        return _figures(stage, count) | {
            "worker_cpu_us": worker / count * 1e6,
            "database_cpu_us": database / count * 1e6,
        }
    finally:
        stage.stop(*processes)


def until_done(stage: Stage, processes: list[Process]) -> None:
    end = time.monotonic() + PATIENCE
    left = "SELECT FROM messages WHERE"
    while stage.query(f"SELECT EXISTS ({left} due_at IS NOT NULL) OR EXISTS ({left} worker IS NOT NULL)")[0][0]:
        for process in processes:
            process.must_run()
        if time.monotonic() > end:
            raise RuntimeError(f"the queue is not empty after {PATIENCE:.0f} s")
        time.sleep(0.25)


def _figures(stage: Stage, count: int) -> Sample:
    """From the outcomes as recorded: first to last, and the steady rate of the middle 80 %."""
    delivered, took, middle = stage.query(
        "SELECT count(*) FILTER (WHERE status = 'delivered'), extract(epoch FROM max(ended_at) - min(ended_at)),"
        " extract(epoch FROM percentile_disc(0.9) WITHIN GROUP (ORDER BY ended_at)"
        " - percentile_disc(0.1) WITHIN GROUP (ORDER BY ended_at)) FROM messages"
    )[0]
    if delivered != count:
        raise RuntimeError(f"{delivered} of {count} messages were delivered")
    return {"per_second": (count - 1) / float(took), "steady_per_second": 0.8 * count / max(0.001, float(middle))}


def _postfix(stage: Stage, port: int, count: int, tuned: bool) -> Sample:
    folder = stage.folder / "postfix"
    instance = Postfix(folder, port, tuned)
    try:
        began = time.perf_counter()
        instance.fill(count, SIZE)
        filled = time.perf_counter() - began
        return {"per_second": instance.drain(count), "fill_per_second": count / filled}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
