"""Peers: django-post_office and django-mailer draining to the same sink on the same PostgreSQL, each at its fastest. They live in
bench/.venv-peers, made on the first run."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

from bench import deliver, seeding
from bench.processes import ROOT, Left
from bench.report import Part, Sample
from bench.stage import Stage
from sendarix.postgres.place import socket_directory

COUNT = 5_000
HOME = ROOT / "bench" / ".venv-peers"
PACKAGES = ("Django>=5.2,<5.3", "django-post_office==3.12.0", "django-mailer==2.3.2", "psycopg2-binary")
SIDES = {"django-post_office": "post_office", "django-mailer": "mailer"}


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    count = max(200, round(COUNT * scale))
    part = Part("peers", f"drain of {count:,} ready 5 KB messages to smtp-sink")
    python = environment()
    sink, port = stage.smtp_sink()
    stage.query("CREATE DATABASE peers")
    variables = {
        **os.environ,
        "PEERS_DATABASE_HOST": str(socket_directory(stage.server.home)),
        "PEERS_SMTP_PORT": str(port),
    }
    try:
        _run(
            ["-m", "django", "migrate", "--verbosity", "0", "--settings", "bench.peers_site.settings"],
            python,
            variables,
        )
        seeding.pattern(stage)
        for number in range(rounds):
            sides = ["sendarix", *SIDES]
            for side in sides if number % 2 == 0 else reversed(sides):
                part.add(side, _play(stage, side, port, count, python, variables))
    finally:
        stage.stop(sink)
    for side in SIDES:
        part.ratio("sendarix", side, "per_second")
    return part


def _play(stage: Stage, side: str, port: int, count: int, python: Path, variables: dict[str, str]) -> Sample:
    if side == "sendarix":
        return deliver.drain(stage, port, count)
    argv = ["-m", "bench.peers_site.drain", SIDES[side], str(count), seeding.HTML, seeding.TEXT]
    return json.loads(_run(argv, python, variables))


def environment() -> Path:
    """The peers' Python. Raises Left when their packages can't be had."""
    python = HOME / "bin" / "python"
    if not (HOME / "ready").exists():
        venv.create(HOME, with_pip=True, clear=True)
        argv = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            raise Left(f"the peers can't be installed: {done.stderr[-500:]}")
        (HOME / "ready").touch()
    return python


def _run(arguments: list[str], python: Path, variables: dict[str, str]) -> str:
    done = subprocess.run(
        [str(python), *arguments], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=900
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise RuntimeError(f"a peer failed: {done.stderr[-500:]}")
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
