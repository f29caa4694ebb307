"""What the month's mail left behind in other tables: the requests that made it, and its webhook deliveries. Each message's by
statements over its rows; nothing here was asked or posted."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from sendarix.accounts import request_log
from sendarix.accounts.request_log import Entry, Made
from sendarix.core import ids
from sendarix.demo.surroundings import Surroundings

LOGGED = timedelta(days=7)
KEYED = timedelta(hours=20)
"""How old messages are whose idempotency key is still kept."""

POSTED = timedelta(days=2)
REFUSED = 700
READ = 1_500
REPLAYED = 120
SOURCES = {"web": "203.0.113.21", "billing": "203.0.113.34", "orders": "203.0.113.35"}


@dataclass(frozen=True, slots=True)
class Whose:
    """The account, and when the story is told."""

    account_id: int
    now: datetime


_MADE_UP = "c.request_id = 'req_' || substr(c.message_id, 5)"
"""SQL: a message of the month, and none that somebody really sent (history names its request so)."""

_REQUESTS = f"""
INSERT INTO api_requests (id, at, account_id, livemode, key_id, method, route, path, status, duration_ms, source, message_id,
    messages, replayed)
SELECT c.request_id, m.created_at, m.account_id, m.livemode, c.key_id, 'POST', '/v1/messages', '/v1/messages', 202,
    round((4 + 9 * random() * random())::numeric, 1), %(sources)s::jsonb ->> c.key_id, m.id, 1, false
FROM messages m JOIN message_contents c ON c.message_id = m.id
WHERE m.account_id = %(account)s AND m.created_at > %(since)s AND {_MADE_UP}
"""

_COUNTS = """
INSERT INTO request_counts AS old (account_id, key_id, hour, requests, errors)
SELECT account_id, key_id, date_trunc('hour', at), count(*), 0 FROM api_requests
WHERE account_id = %(account)s AND id = 'req_' || substr(message_id, 5) GROUP BY 1, 2, 3
ON CONFLICT (account_id, key_id, hour) DO UPDATE SET requests = old.requests + excluded.requests
"""

_KEYED = f"""
INSERT INTO idempotency_keys (account_id, livemode, key, fingerprint, message_id, body, expires_at)
SELECT m.account_id, m.livemode, 'order-' || (c.metadata ->> 'order') || '-' || right(m.id, 6), sha256(m.id::bytea), m.id,
    json_build_object('message_id', m.id, 'status', 'queued')::text, m.created_at + interval '24 hours'
FROM messages m JOIN message_contents c ON c.message_id = m.id
WHERE m.account_id = %(account)s AND m.livemode AND m.created_at > %(since)s AND c.metadata ? 'order' AND {_MADE_UP}
"""

_DELIVERIES = f"""
INSERT INTO webhook_deliveries (endpoint_id, event_number, type, message_id, status, attempt, created_at, ended_at)
SELECT w.id, e.id, 'message.' || e.type, e.message_id, 'succeeded', 1, e.at, e.at + interval '0.3 seconds'
FROM events e JOIN webhook_endpoints w ON w.id = ANY(%(endpoints)s) JOIN message_contents c ON c.message_id = e.message_id
WHERE e.account_id = %(account)s AND e.livemode AND e.at > %(since)s AND {_MADE_UP}
    AND (w.event_types = '{{}}' OR 'message.' || e.type = ANY(w.event_types))
ORDER BY e.at, e.id
"""

_TRIES = """
WITH told AS (
    SELECT d.id, d.endpoint_id, d.created_at, d.endpoint_id = %(crm)s AND d.created_at > %(ill)s AS ill, w.tries
    FROM webhook_deliveries d,
    LATERAL (SELECT CASE WHEN d.endpoint_id = %(crm)s AND d.created_at > %(ill)s THEN 3 WHEN d.id %% 97 = 0 THEN 2 ELSE 1 END)
        w(tries)
    WHERE d.endpoint_id = ANY(%(endpoints)s)
), tried AS (
    INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms, succeeded, cause, detail, address,
        request_headers, code, reply_headers, reply)
    SELECT id, number, created_at + (number - 1) * interval '35 seconds' + interval '0.2 seconds',
        CASE WHEN good THEN 40 + 160 * random() * random() ELSE 1800 + 900 * random() END, good,
        CASE WHEN NOT good THEN 'status' END, CASE WHEN good THEN '' ELSE 'answered 503' END, '203.0.113.80',
        '{"content-type": "application/json", "user-agent": "Sendarix-Webhooks/1"}'::jsonb,
        CASE WHEN good THEN 200 ELSE 503 END,
        '{"content-type": "application/json", "server": "nginx"}'::jsonb,
        CASE WHEN good THEN '{"ok":true}' ELSE '{"error":"upstream is starting"}' END
    FROM told, generate_series(1, tries) number, LATERAL (SELECT number = tries AND NOT (ill AND id %% 3 > 0)) g(good)
)
UPDATE webhook_deliveries d SET attempt = t.tries,
    status = CASE WHEN t.ill AND t.id %% 3 > 0 THEN 'failed' ELSE 'succeeded' END,
    ended_at = d.created_at + t.tries * interval '35 seconds'
FROM told t WHERE d.id = t.id AND t.tries > 1
"""
"""Of the shop's endpoint some first tries fail; the CRM's has been failing for some hours, and is given up of by two in three."""


def write(made: Surroundings, whose: Whose) -> None:
    sources = {made.keys[word]: address for word, address in SOURCES.items()}
    values = {
        "account": whose.account_id, "endpoints": list(made.endpoints.values()), "crm": made.endpoints["crm"],
        "ill": whose.now - timedelta(hours=5),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_REQUESTS, values | {"sources": _json(sources), "since": whose.now - LOGGED})
        cursor.execute(_COUNTS, values)
        cursor.execute(_KEYED, values | {"since": whose.now - KEYED})
        cursor.execute(_DELIVERIES, values | {"since": whose.now - POSTED})
        cursor.execute(_TRIES, values)
    entries = list(_others(made, whose, random.Random(7)))
    for first in range(0, len(entries), request_log.GROUP):
        request_log.write(entries[first : first + request_log.GROUP])


def _json(values: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": "{value}"' for name, value in values.items()) + "}"


REFUSALS = (
    (422, "validation_failed", (("recipient", "invalid_email"),)),
    (422, "validation_failed", (("template_data.code", "required"),)),
    (409, "idempotency_conflict", ()),
    (429, "rate_limited", ()),
)


def _others(made: Surroundings, whose: Whose, rng: random.Random) -> Iterator[Entry]:
    """Requests that made no message: refused, replayed, and such as only read."""
    messages = _of_orders(whose)
    for number in range(REFUSED + READ + REPLAYED):
        at = whose.now - LOGGED * rng.random()
        word = rng.choice(list(SOURCES))
        if number < REFUSED:
            status, code, faults = rng.choice(REFUSALS)
            yield _entry(made, whose, at, number, word, "POST", "v1/messages", status, code, faults)
        elif number < REFUSED + READ:
            yield _entry(made, whose, at, number, word, "GET", "v1/messages/<str:message_id>", 200)
        elif messages:
            message_id = rng.choice(messages)
            later = ids.made_at(message_id) + timedelta(seconds=2 + 20 * rng.random())
            replay = Made(message_id, 1, replayed=True)
            yield _entry(made, whose, later, number, "orders", "POST", "v1/messages", 202, made_by=replay)


def _entry(
    made: Surroundings, whose: Whose, at: datetime, number: int, word: str, method: str, route: str, status: int,
    code: str | None = None, faults: tuple[tuple[str, str], ...] = (), made_by: Made | None = None,
) -> Entry:  # fmt: skip
    path = "/" + route.replace("<str:message_id>", ids.from_number("msg", at, number))
    return Entry(
        id=ids.from_number("req", at, number), at=at, account_id=whose.account_id, livemode=True, key_id=made.keys[word],
        method=method, route=route, path=path, status=status, code=code, faults=faults,
        duration_ms=round(2 + number % 11, 1), source=SOURCES[word], made=made_by,
    )  # fmt: skip


def _of_orders(whose: Whose) -> list[str]:
    """The messages that have an idempotency key, of which requests may have come twice."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT message_id FROM idempotency_keys WHERE account_id = %s ORDER BY 1", [whose.account_id])
        return [row[0] for row in cursor.fetchall()]
