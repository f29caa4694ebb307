"""Pages as their owner gets them, at 200,000 and at 2,000,000 messages: the server's time for each, how it grows, and no plan
that reads a table of messages or events from end to end."""

import json
import subprocess
import sys

from bench import crowd
from bench.processes import ROOT
from bench.report import Part
from bench.stage import Stage

MESSAGES = 2_000_000
AIM = 150.0
SAMPLES = 10
COUNTED = 150_000
"""Events that are counted for the charts; their counts are repeated over the days before, so that a month of them is there."""

_REPEAT = """
INSERT INTO {table} (account_id, livemode, dimension, at, value, {rest})
SELECT t.account_id, t.livemode, t.dimension, t.at - back * span.width, t.value, {rest}
FROM {table} t, generate_series(1, 90) back,
    (SELECT date_trunc('hour', max(at) - min(at)) + interval '1 hour' AS width, max(at) AS newest FROM {table}) span
WHERE t.at - back * span.width > span.newest - interval '31 days' ON CONFLICT DO NOTHING
"""


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    """`rounds` times 10 requests for each page at a tenth and at all of the messages."""
    part = Part("pages", "pages for their owner, ms at the server", aim=f"p95 <= {AIM:.0f} ms, no Seq Scan")
    whole = int(MESSAGES * scale)
    accounts = crowd.found(stage)
    figures = []
    for first, count in ((0, whole // 10), (whole // 10, whole - whole // 10)):
        crowd.fill(stage, accounts, first, count, events=True)
        _count(stage, accounts[0])
        print(f"  pages: {first + count:,} messages, MB {crowd.sizes(stage)}", flush=True)
        figures.append(_visited(stage, first + count, rounds * SAMPLES))
    small, large = figures
    part.notes.append(
        f"{'page':<34}{'p50':>8}{'p95':>8} at {whole // 10:,}{'p50':>10}{'p95':>8} at {whole:,}   growth of p95"
    )
    for page, (p50, p95) in large.items():
        was = small[page]
        mark = "  OVER" if p95 > AIM else ""
        part.notes.append(
            f"{page:<34}{was[0]:>8.1f}{was[1]:>8.1f}{'':<12}{p50:>10.1f}{p95:>8.1f}{'':<14}{p95 / was[1]:>6.1f}{mark}"
        )
        part.add(page, {"p50_ms": p50, "p95_ms": p95})
    return part


def _count(stage: Stage, account: int) -> None:
    """The newest events of the largest account, then as if every day had been alike."""
    stage.query("TRUNCATE hour_counts, hour_latencies, minute_counts, minute_latencies, rollup_positions")
    stage.query(
        'INSERT INTO rollup_positions (account_id, livemode, "transaction", number, behind, skips_transaction, skips_number)'
        ' SELECT account_id, livemode, "transaction", id, true, 0, 0 FROM events WHERE account_id = %s AND livemode'
        ' ORDER BY account_id DESC, livemode DESC, "transaction" DESC, id DESC OFFSET %s LIMIT 1',
        [account, COUNTED],
    )
    argv = [sys.executable, "-c", _ROLL, str(account)]
    subprocess.run(argv, cwd=ROOT, env=stage.environment(), check=True, timeout=900)
    for table in ("hour_counts", "hour_latencies"):
        columns = stage.query(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND column_name <> ALL(%s)",
            [table, ["account_id", "livemode", "dimension", "at", "value"]],
        )
        stage.query(_REPEAT.format(table=table, rest=", ".join(name for (name,) in columns)))
        stage.query(f"VACUUM ANALYZE {table}")


_ROLL = """
import os, sys, django
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendarix.settings")
django.setup()
from analytics import rollup
while rollup.step(int(sys.argv[1]), True, rollup.horizon(), 50_000).more:
    pass
"""


def _visited(stage: Stage, messages: int, samples: int) -> dict[str, list[float]]:
    argv = [sys.executable, "-m", "bench.visitor", str(messages), str(samples)]
    done = subprocess.run(argv, cwd=ROOT, env=stage.environment(), capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"the visits failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])
