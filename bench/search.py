"""Search: a page and its counts at 200,000 and at 2,000,000 messages, each kind of query with values of its own, and no plan that
reads a table from end to end."""

import json
import subprocess
import sys

from bench import crowd
from bench.processes import ROOT
from bench.report import Part
from bench.stage import Stage

MESSAGES = 2_000_000
AIM = 150.0
SAMPLES = 20


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    """`rounds` times 20 searches of each kind at a tenth and at all of the messages."""
    part = Part("search", "pages and counts of a search, ms at the server", aim=f"p95 <= {AIM:.0f} ms, no Seq Scan")
    whole = int(MESSAGES * scale)
    accounts = crowd.found(stage)
    figures = []
    for first, count in ((0, whole // 10), (whole // 10, whole - whole // 10)):
        crowd.fill(stage, accounts, first, count)
        print(f"  search: {first + count:,} messages, MB {crowd.sizes(stage)}", flush=True)
        figures.append(_searched(stage, accounts, first + count, rounds * SAMPLES))
    small, large = figures
    part.notes.append(
        f"{'kind':<34}{'p50':>8}{'p95':>8} at {whole // 10:,}{'p50':>10}{'p95':>8} at {whole:,}   growth of p95"
    )
    for kind, (p50, p95) in large.items():
        was = small[kind]
        mark = "  OVER" if p95 > AIM and not kind.startswith("counts") else ""
        part.notes.append(
            f"{kind:<34}{was[0]:>8.1f}{was[1]:>8.1f}{'':<12}{p50:>10.1f}{p95:>8.1f}{'':<14}{p95 / was[1]:>6.1f}{mark}"
        )
        part.add(kind, {"p50_ms": p50, "p95_ms": p95})
    return part


def _searched(stage: Stage, accounts: list[int], messages: int, samples: int) -> dict[str, list[float]]:
    argv = [sys.executable, "-m", "bench.searcher", json.dumps(accounts), str(messages), str(samples)]
    done = subprocess.run(argv, cwd=ROOT, env=stage.environment(), capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"the searches failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout)
