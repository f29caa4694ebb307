"""Charts of a month read from rollups, beside the same ones counted from the events: equal numbers, and the ratio of their
times."""

import json
import subprocess
import sys
import time

from bench.processes import ROOT
from bench.report import Part
from bench.stage import Stage

MESSAGES = 200_000
CHUNK = 50_000
DAYS = 30

# Nine of ten are delivered at once, one of twenty after a deferral, one of thirty bounces. Times are whole milliseconds, so that
# both sides put them into the same hours.
_SEED = """
WITH made AS MATERIALIZED (
    SELECT 'msg_' || lpad(n::text, 26, '0') AS id, n, a.id AS account_id,
        date_trunc('hour', now()) - (n::bigint * 7919 % ({days} * 86400)) * interval '1 second' AS at,
        CASE WHEN n % 30 = 0 THEN 'bounced' WHEN n % 20 = 0 THEN 'deferred' ELSE 'delivered' END AS story
    FROM accounts a, generate_series({first}, {last}) n WHERE a.slug = 'bench'
), messages AS (
    INSERT INTO messages (id, account_id, livemode, status, tier, created_at, sequence, fence, marked, attempt)
    SELECT id, account_id, true, CASE story WHEN 'bounced' THEN 'bounced' ELSE 'delivered' END, n % 4, at, 3, 1, false, 1
    FROM made
), contents AS (
    INSERT INTO message_contents (message_id, account_id, livemode, recipient, recipient_key, sender, subject, shown_subject,
        text, headers, template, tags, metadata, sensitive, size, attachment_count, key_id, request_id, unsubscribe, override)
    SELECT id, account_id, true, r.address, r.address, 'Bench <no-reply@bench.test>', 'Order', 'Order', 'It is on its way.',
        '{{}}', (ARRAY['otp-code', 'receipt', 'welcome', NULL])[1 + n % 4], ARRAY['t' || n % 10], '{{}}', '{{}}', 2000, 0,
        'key_' || n % 5, '', false, false
    FROM made, LATERAL (SELECT 'user' || n % 40000 || '@' || (ARRAY['gmail.com', 'naver.com', 'hanmail.net', 'outlook.com',
        'd' || n % 97 || '.example'])[1 + n % 5] AS address) r
), steps AS (
    SELECT m.*, s.sequence, s.type, s.previous, at + s.sequence * (n * 31 % 997) * interval '3 milliseconds' AS happened
    FROM made m, LATERAL (VALUES (1, 'queued', NULL), (2, 'accepted', 'queued'),
        (3, CASE story WHEN 'deferred' THEN 'deferred' WHEN 'bounced' THEN 'bounced' ELSE 'delivered' END, 'accepted'),
        (4, CASE story WHEN 'deferred' THEN 'delivered' END, 'deferred')) s(sequence, type, previous)
    WHERE s.type IS NOT NULL
)
INSERT INTO events (message_id, account_id, livemode, type, previous, sequence, at, data, transaction)
SELECT id, account_id, true, type, previous, sequence, happened,
    CASE WHEN type = 'bounced' THEN '{{"route": "first", "reason": "mailbox_unknown"}}'::jsonb
        WHEN type = 'deferred' THEN '{{"route": "first", "reason": "greylisted"}}'
        WHEN type IN ('accepted', 'delivered') THEN '{{"route": "first"}}' ELSE '{{}}' END,
    pg_current_xact_id()::text::bigint
FROM steps
"""


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    count = max(1_000, round(MESSAGES * scale))
    part = Part("rollups", f"charts of {DAYS} days, {count:,} messages", aim="equal numbers")
    seed(stage, count)
    began = time.perf_counter()
    stage.manage("rebuild_rollups")
    seconds = time.perf_counter() - began
    events = stage.query("SELECT count(*) FROM events")[0][0]
    part.notes.append(f"counting {events:,} events took {seconds:.1f} s: {events / seconds:,.0f} events/s")
    for _ in range(rounds):
        for side, sample in charts(stage).items():
            part.add(side, sample)
    part.ratio("raw", "rollups", "by_time_ms")
    return part


def seed(stage: Stage, count: int) -> None:
    for first in range(1, count + 1, CHUNK):
        last = min(count, first + CHUNK - 1)
        stage.query(_SEED.format(first=first, last=last, days=DAYS))
    stage.query("VACUUM ANALYZE")


def charts(stage: Stage) -> dict[str, dict[str, float]]:
    """Milliseconds of each chart on both sides, read by a process with the product's own settings; it fails where they differ."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.charts", str(DAYS)],
        cwd=ROOT,
        env=stage.environment(),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"bench.charts failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)
