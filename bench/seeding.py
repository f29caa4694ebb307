"""Many ready messages at once: one is accepted over HTTP, and its rows are copied with ids, recipients and times of their own, so
the shape is acceptance's whatever that becomes."""

import itertools
import json
import urllib.error
import urllib.request
from typing import Any

from bench.stage import Stage

TABLES = ("messages", "message_contents", "events")
KEPT_ELSEWHERE = ("attempts", "dead_letters", "attachments", "idempotency_keys", "django_q_ormq", "django_q_task")

_numbers = itertools.count()

HTML = "<p>" + ("Your order is on its way, thank you. " * 2 + "\n") * 28 + "</p>\n"
TEXT = ("Your order is on its way, thank you. " * 2 + "\n") * 38


def letter(priority: str = "normal", **extra: Any) -> dict[str, Any]:
    """A request for one mail of about 5 KB on the wire."""
    return {
        "recipient": "reader@example.test",
        "subject": "Your order 4711",
        "html": HTML,
        "text": TEXT,
        "priority": priority,
        **extra,
    }


def post(port: int, key: str, body: dict[str, Any]) -> dict[str, Any]:
    return call(port, key, "POST", "messages", body)


def call(port: int, key: str, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer of the API."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        raise RuntimeError(f"{method} {path} was refused: {refused.read()[:500]!r}") from refused


def clear(stage: Stage) -> None:
    """An empty queue and log, and a checkpoint, so that rounds begin alike."""
    stage.query(f"TRUNCATE {', '.join(TABLES + KEPT_ELSEWHERE)}")
    stage.query("CHECKPOINT")


def pattern(stage: Stage, priority: str = "normal") -> None:
    """Accept one message and keep its rows aside, to be copied from; the queue is empty afterwards."""
    clear(stage)
    web, port = stage.web()
    post(port, stage.live_key, letter(priority))
    stage.stop(web)
    for table in TABLES:
        stage.query(f"DROP TABLE IF EXISTS bench_{table}; CREATE TABLE bench_{table} AS SELECT * FROM {table}")
    clear(stage)


def copy(stage: Stage, count: int, domain: str = "example.test") -> None:
    """`count` ready messages to readers at this domain, due now, in one transaction."""
    first = next(_numbers)
    for _ in range(count - 1):
        next(_numbers)
    number = f"lpad(to_hex(n + {first}), 8, '0')"
    reader = f"'reader' || (n + {first}) || '@{domain}'"
    fresh = {
        "messages.id": f"left(t.id, -8) || {number}",
        "message_id": f"left(t.message_id, -8) || {number}",
        "recipient": reader,
        "recipient_key": reader,
        "transaction": "pg_current_xact_id()::text::bigint",
        "due_at": "clock_timestamp()",
        "created_at": "clock_timestamp()",
        "at": "clock_timestamp()",
    }
    statements = []
    for table in TABLES:
        columns = _columns(stage, table)
        values = ", ".join(fresh.get(f"{table}.{name}") or fresh.get(name) or f't."{name}"' for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        statements.append(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM bench_{table} t, generate_series(0, {count - 1}) n ORDER BY n"
        )
    stage.query(f"BEGIN; {'; '.join(statements)}; COMMIT")


def _columns(stage: Stage, table: str) -> list[str]:
    """All but those that number themselves."""
    rows = stage.query(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = %s"
        " AND is_identity = 'NO' AND is_generated = 'NEVER' AND column_default IS NULL ORDER BY ordinal_position",
        [table],
    )
    return [name for (name,) in rows]
