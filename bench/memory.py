"""Memory of every process, idle and under load: resident (shared pages counted in full) and proportional (shared pages
divided among those who share them, so that a sum means something). Linux."""

import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import psutil

from bench import seeding
from bench.processes import ROOT, Left
from bench.report import Part
from bench.stage import Stage

SECONDS = 8.0
MEGA = 1_000_000


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    """Once idle; then the largest seen while messages are accepted, drained and delivered at full speed."""
    if not sys.platform.startswith("linux"):
        raise Left("needs Linux, whose /proc tells the proportional size")
    part = Part("memory", "MB of each process, idle and under load")
    for _ in range(rounds):
        idle, load = _round(stage, max(3.0, SECONDS * scale))
        for name in sorted(idle | load):
            rss, pss = idle.get(name, (0.0, 0.0))
            most_rss, most_pss = load.get(name, (0.0, 0.0))
            part.add(name, {"idle_rss": rss, "load_rss": most_rss, "idle_pss": pss, "load_pss": most_pss})
    part.sides = {name: samples for name, samples in part.sides.items() if len(samples) == rounds}
    return part


def _round(stage: Stage, seconds: float) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[float, float]]]:
    seeding.pattern(stage)
    sink, port = stage.smtp_sink()
    web, http_port = stage.web()
    processes = [sink, web, *stage.delivery(port)]
    roots = {
        "web": web.pid,
        "worker": processes[2].pid,
        "dispatcher": processes[3].pid,
        "database": stage.server.process.pid,
    }
    try:
        time.sleep(5.0)
        idle = _sizes(roots)
        seeding.copy(stage, round(1_000 * seconds))
        argv = [
            sys.executable,
            "-m",
            "bench.load",
            str(http_port),
            "/v1/messages",
            stage.live_key,
            "--seconds",
            str(seconds),
        ]
        client = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL)
        most: dict[str, tuple[float, float]] = {}
        while client.poll() is None:
            for name, sizes in _sizes(roots).items():
                most[name] = tuple(map(max, sizes, most.get(name, sizes)))  # type: ignore[assignment]  # pairs
            time.sleep(0.5)
        return idle, most
    finally:
        stage.stop(*reversed(processes))


def _sizes(roots: dict[str, int]) -> dict[str, tuple[float, float]]:
    """(resident, proportional) megabytes by name; the database's processes are one entry, with their sums."""
    sizes: dict[str, tuple[float, float]] = {}
    for root, pid in roots.items():
        numbers: Counter[str] = Counter()
        main = psutil.Process(pid)
        for each in [main, *main.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                name = root if root == "database" else _name(root, each, main, numbers)
                info = each.memory_full_info()
                rss, pss = sizes.get(name, (0.0, 0.0))
                sizes[name] = (rss + info.rss / MEGA, pss + info.pss / MEGA)
    return sizes


def _name(root: str, process: psutil.Process, main: psutil.Process, numbers: Counter[str]) -> str:
    if process.pid == main.pid:
        return f"{root}: main"
    numbers[root] += 1
    return f"{root}: child {numbers[root]}"
