"""Accept: POST /v1/messages per second beside a bare Django view with one INSERT, under the same gunicorn and client."""

import json
import subprocess
import sys

from bench import seeding
from bench.bare.urls import TABLE
from bench.processes import ROOT, Process, cpu_seconds
from bench.report import Part, Sample
from bench.stage import Stage

SECONDS = 6.0


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    """Both sides in each round, one after the other, with nothing delivering."""
    part = Part("accept", "POST /v1/messages, 16 connections, 2 KB, durable", aim="ratio >= 0.5")
    stage.query(TABLE)
    for number in range(rounds):
        sides = [("sendarix", _sendarix), ("bare INSERT", _bare)]
        for name, side in sides if number % 2 == 0 else reversed(sides):
            part.add(name, side(stage, max(1.0, SECONDS * scale)))
    part.ratio("sendarix", "bare INSERT", "per_second")
    return part


def _sendarix(stage: Stage, seconds: float) -> Sample:
    seeding.clear(stage)
    web, port = stage.web()
    try:
        figures = _load(stage, web, port, "/v1/messages", seconds)
        kept = stage.query("SELECT count(*) FROM messages")[0][0]
        if kept < sum(figures.pop("statuses").values()):
            raise RuntimeError("fewer messages kept than accepted")
        return figures
    finally:
        stage.stop(web)


def _bare(stage: Stage, seconds: float) -> Sample:
    stage.query("TRUNCATE bare; CHECKPOINT")
    web, port = stage.web("bench.bare.wsgi")
    try:
        figures = _load(stage, web, port, "/take", seconds)
        figures.pop("statuses")
        return figures
    finally:
        stage.stop(web)


def _load(stage: Stage, web: Process, port: int, path: str, seconds: float) -> dict:
    argv = [sys.executable, "-m", "bench.load", str(port), path, stage.live_key, "--seconds", str(seconds)]
    before = cpu_seconds(web.tree()), cpu_seconds(stage.database())
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 120)
    if done.returncode:
        raise RuntimeError(f"the client failed:\n{done.stderr[-2000:]}")
    figures = json.loads(done.stdout)
    if set(figures["statuses"]) != {"202"}:
        raise RuntimeError(f"not every request was accepted: {figures['statuses']}")
    requests = figures["per_second"] * (seconds + 1.0)  # with the warm second
    figures["web_cpu_us"] = (cpu_seconds(web.tree()) - before[0]) / requests * 1e6
    figures["database_cpu_us"] = (cpu_seconds(stage.database()) - before[1]) / requests * 1e6
    return figures
