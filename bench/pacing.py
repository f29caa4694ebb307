"""Pacing: ten destinations at 600 messages a minute each, sent by two worker clusters at once and counted at the mail server: all
ten well, and the tenth taking connections without a word. And nine at full speed alone, beside nine with the silent tenth."""

import sys
import time
from bisect import bisect_right
from collections import defaultdict

from bench import latency, seeding, ways
from bench.processes import Process, free_port, wait_for, wait_for_port
from bench.report import Part, Sample
from bench.stage import Stage

PER_MINUTE = 600
WINDOW = 6.0
"""Seconds of the windows in which a minute is granted; they are of the clock."""
MINUTE = 60.0
WELL = 9
COUNT = 1_500
"""Messages for each destination at full speed."""
PATIENCE = 120.0

Dots = dict[str, list[float]]
"""Times of final dots by destination, in seconds since the epoch, sorted."""


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    seconds = WINDOW * max(2, round(MINUTE / WINDOW * scale))
    count = max(100, round(COUNT * scale))
    aim = "98 to 102 % of the pace; nine >= 0.95 while the tenth is silent"
    part = Part("pacing", f"{PER_MINUTE} a minute to each of {WELL + 1} destinations over {seconds:.0f} s", aim=aim)
    seeding.pattern(stage)
    mute = _sink(stage, "silent", "--silent")
    for number in range(rounds):
        sides = {
            "paced, tenth well": lambda: _paced(stage, seconds, None),
            "paced, tenth silent": lambda: _paced(stage, seconds, mute[1]),
            "full speed, nine alone": lambda: _full(stage, count, None),
            "full speed, tenth silent": lambda: _full(stage, count, mute[1]),
        }
        for side in sides if number % 2 == 0 else reversed(sides):
            part.add(side, sides[side]())
    stage.stop(mute[0])
    part.ratio("paced, tenth silent", "paced, tenth well", "slowest_of_nine_percent")
    part.ratio("full speed, tenth silent", "full speed, nine alone", "nine_per_second")
    part.notes.append("percent: dots in whole windows of the clock, of what the pace allows in them")
    part.notes.append("most_in_60_s: of any 60 s, which may hold parts of eleven windows of 60 messages")
    return part


def _sink(stage: Stage, name: str, *options: str) -> tuple[Process, int]:
    port = free_port()
    sink = stage.start(f"{name}-{port}", [sys.executable, "-m", "bench.sink", str(port), *options])
    wait_for_port(port, sink)
    return sink, port


def _begin(stage: Stage, each: int, silent: int | None, per_minute: int | None) -> list[Process]:
    """Routes, a rule for each destination, so many messages for each, and two clusters; the sink is the first."""
    ways.clear(stage)
    seeding.clear(stage)
    sink, port = _sink(stage, "sink")
    names = [f"town{number}.test" for number in range(WELL + 1)]
    doors = [port] * WELL + [silent or port]
    routes = [
        ways.smarthost(name, door, per_minute=per_minute, connections=4)
        for name, door in zip(names, doors, strict=True)
    ]
    ways.publish(stage, routes, [ways.rule(name, [name], domains=[name]) for name in names], [])
    for name in names if silent or per_minute else names[:WELL]:
        seeding.copy(stage, each, name)
    return [sink, *(stage.product(name) for name in ("worker", "worker", "dispatcher"))]


def _paced(stage: Stage, seconds: float, silent: int | None) -> Sample:
    processes = _begin(stage, round((seconds + 30) / MINUTE * PER_MINUTE), silent, PER_MINUTE)
    try:
        wait_for(lambda: "msg_" in processes[0].log.read_text(), PATIENCE, "mail at the sink")
        begins = (time.time() // WINDOW + 2) * WINDOW
        while time.time() < begins + seconds + 1:
            _must_run(processes)
            time.sleep(0.5)
        dots = _dots(stage, processes[0])
    finally:
        stage.stop(*reversed(processes))
    return _figures(dots, begins, seconds)


def _full(stage: Stage, count: int, silent: int | None) -> Sample:
    """Nine destinations without a pace: from their first dot to the last."""
    processes = _begin(stage, count, silent, None)
    try:
        wait_for(lambda: _come(processes) >= WELL * count, PATIENCE, "end of nine", every=0.5)
        nine = sorted(latency.lines(processes[0]).values())
    finally:
        stage.stop(*reversed(processes))
    return {"nine_per_second": (len(nine) - 1) / (nine[-1] - nine[0])}


def _come(processes: list[Process]) -> int:
    _must_run(processes)
    return processes[0].log.read_text().count("msg_")


def _must_run(processes: list[Process]) -> None:
    for process in processes:
        process.must_run()


def _dots(stage: Stage, sink: Process) -> Dots:
    places = dict(stage.query("SELECT message_id, split_part(recipient_key, '@', 2) FROM message_contents"))
    shift = time.time() - time.monotonic()
    found: Dots = defaultdict(list)
    for name, at in latency.lines(sink).items():
        found[places[name]].append(at + shift)
    return {name: sorted(times) for name, times in found.items()}


def _figures(dots: Dots, begins: float, seconds: float) -> Sample:
    allowed = PER_MINUTE * seconds / MINUTE
    nine = [times for name, times in dots.items() if name != f"town{WELL}.test"]
    if len(nine) != WELL:
        raise RuntimeError(f"mail came to {len(nine)} of {WELL} destinations")
    reached = [_between(times, begins, begins + seconds) / allowed * 100 for times in nine]
    most = max(_between(times, at, at + MINUTE) for times in dots.values() for at in times)
    return {
        "slowest_of_nine_percent": min(reached),
        "fastest_of_nine_percent": max(reached),
        "most_in_60_s": most,
        "tenth_dots": len(dots.get(f"town{WELL}.test", ())),
    }


def _between(times: list[float], begin: float, end: float) -> int:
    return bisect_right(times, end) - bisect_right(times, begin)
