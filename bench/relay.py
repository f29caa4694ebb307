"""Relay: mails per second handed in over 20 sessions, beside Postfix, which takes them as durably. One client for both, because
smtp-source speaks no AUTH, without which our relay takes nothing; Postfix trusts the address and is spared it."""

import json
import shutil
import subprocess
import sys

from bench import seeding
from bench.postfix import Postfix
from bench.processes import ROOT, Left, cpu_seconds, free_port, wait_for_port
from bench.report import Part, Sample
from bench.stage import Stage

COUNT = 6_000
SESSIONS = 20
SIDES = ("sendarix", "Postfix", "sendarix kept", "Postfix kept", "Postfix, smtp-source")


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    """In turns: a connection for each mail (as smtp-source opens them), connections kept, and smtp-source itself."""
    count = max(200, round(COUNT * scale))
    part = Part("relay", f"{count:,} mails of 5 KB in over {SESSIONS} sessions, durable", aim="ratio >= 0.5")
    for number in range(rounds):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            try:
                part.add(side, _play(stage, side, count))
            except Left as why:
                part.notes.append(f"Postfix left out: {why}")
    for kept in ("", " kept"):
        if f"Postfix{kept}" in part.sides:
            part.ratio(f"sendarix{kept}", f"Postfix{kept}", "per_second")
    part.notes += [
        "kept: all mails of a session over one connection, so one AUTH for many mails; otherwise one for each.",
        "smtp-source speaks no AUTH: the ratios are of a client of our own, the same for both; its own rate stands beside.",
    ]
    return part


def _play(stage: Stage, side: str, count: int) -> Sample:
    if side.startswith("sendarix"):
        return _sendarix(stage, count, side.endswith("kept"))
    folder = stage.folder / "postfix"
    instance = Postfix(folder, free_port(), tuned=False)
    try:
        with instance.accepting(count):
            if side.endswith("smtp-source"):
                return {"per_second": instance.source(count, 5_000, SESSIONS)}
            return _load(instance.port, count, side.endswith("kept"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sendarix(stage: Stage, count: int, kept: bool) -> Sample:
    """Nothing delivers meanwhile, as no queue manager of Postfix runs."""
    seeding.clear(stage)
    port = free_port()
    relay = stage.product("relay", RELAY_PORT=str(port), RELAY_TLS_PORT="0")
    try:
        wait_for_port(port, relay)
        _load(port, 100, kept, stage.live_key)  # the first mails wait for connections to the database
        before = cpu_seconds(relay.tree()), cpu_seconds(stage.database())
        figures = _load(port, count, kept, stage.live_key)
        figures["relay_cpu_us"] = (cpu_seconds(relay.tree()) - before[0]) / count * 1e6
        figures["database_cpu_us"] = (cpu_seconds(stage.database()) - before[1]) / count * 1e6
    finally:
        stage.stop(relay)
    if (held := stage.query("SELECT count(*) FROM messages")[0][0]) != count + 100:
        raise RuntimeError(f"{held} messages are kept of {count + 100}")
    return figures


def _load(port: int, count: int, kept: bool, password: str = "") -> Sample:
    argv = [sys.executable, "-m", "bench.smtp_load", str(port), str(count), "--sessions", str(SESSIONS)]
    done = subprocess.run(
        argv + ["--kept"] * kept,
        cwd=ROOT,
        env={"LOAD_PASSWORD": password},
        capture_output=True,
        text=True,
        timeout=900,
    )
    if done.returncode:
        raise RuntimeError(f"the client failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)
