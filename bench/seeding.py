"""Many ready messages at once: one is accepted over HTTP, the rest are copies of its rows with ids and recipients of their own, so
the shape is acceptance's whatever that becomes. Run with nothing delivering."""

import json
import urllib.request
from typing import Any

from bench.stage import Stage

TABLES = ("messages", "message_contents", "events")
KEPT_ELSEWHERE = ("attempts", "dead_letters", "attachments", "idempotency_keys", "django_q_ormq", "django_q_task")

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
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/messages",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def clear(stage: Stage) -> None:
    """An empty queue and log, and a checkpoint, so that rounds begin alike."""
    stage.query(f"TRUNCATE {', '.join(TABLES + KEPT_ELSEWHERE)}")
    stage.query("CHECKPOINT")


def accepted(stage: Stage, priority: str = "normal") -> str:
    """The id of one message accepted by the product."""
    web, port = stage.web()
    message_id = post(port, stage.live_key, letter(priority))["message_id"]
    stage.stop(web)
    return message_id


def copy(stage: Stage, pattern: str, count: int) -> None:
    """`count` - 1 copies of an accepted message: with it, `count` are ready. Copying a copy's pattern again adds `count` - 1 more."""
    taken = stage.query("SELECT count(*) FROM messages")[0][0]
    number = f"lpad(to_hex(n + {taken}), 8, '0')"
    fresh = {
        "id": f"left(t.id, -8) || {number}",
        "message_id": f"left(t.message_id, -8) || {number}",
        "recipient": f"'reader' || (n + {taken}) || '@example.test'",
        "recipient_key": f"'reader' || (n + {taken}) || '@example.test'",
        "transaction": "pg_current_xact_id()::text::bigint",
        "due_at": "clock_timestamp()",
    }
    statements = []
    for table in TABLES:
        columns = _columns(stage, table)
        values = ", ".join(fresh.get(name, f't."{name}"') for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        key = "id" if table == "messages" else "message_id"
        statements.append(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} t, generate_series(1, {count - 1}) n"
            f" WHERE t.{key} = '{pattern}' ORDER BY n"
        )
    stage.query(f"BEGIN; {'; '.join(statements)}; COMMIT")


def _columns(stage: Stage, table: str) -> list[str]:
    """All but those that number themselves."""
    rows = stage.query(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = %s"
        " AND is_identity = 'NO' AND is_generated = 'NEVER' ORDER BY ordinal_position",
        [table],
    )
    return [name for (name,) in rows]
