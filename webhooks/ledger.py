"""What a drain writes down: tries and what came of them, in groups (core.grouping), and how each endpoint fares. Results are
written only for deliveries that still stand as they were read, on endpoints that the drain still holds."""

import json
import logging
import random
from asyncio import Future
from collections.abc import Collection, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from sendarix.accounts import audit
from sendarix.core import events, ladders
from sendarix.core.grouping import Group
from sendarix.core.statements import Statement
from webhooks.holds import Due
from webhooks.models import WebhookEndpoint, without_query
from webhooks.posting import Exchange
from webhooks.verdicts import OUR_PAUSE, Verdict

logger = logging.getLogger(__name__)

GAP = 0.02
"""Seconds between two commits of results while a drain is busy. A killed drain posts again what it had not written yet."""

FRESH = 5.0
"""Seconds for which another success of an endpoint changes nothing worth writing in its row."""


@dataclass(frozen=True, slots=True)
class Result:
    """One try. `failures` and `pause` (seconds) are how the endpoint stands after it."""

    due: Due
    exchange: Exchange
    started_at: datetime
    duration_ms: int
    failures: int
    pause: float | None

    @property
    def verdict(self) -> Verdict:
        return self.exchange.verdict


class Ledger:
    """The books of one drain, on a thread with its own database connection."""

    def __init__(self, thread: Executor, worker: str) -> None:
        self._worker = worker
        self._rng = random.Random()
        self._fresh: dict[str, float] = {}
        self._group = Group(thread, self._write, gap=GAP)

    def record(self, result: Result) -> "Future[bool]":
        """Have the result committed soon, however long the database is away. False in the end: somebody else has the delivery."""
        return self._group.add(result)

    async def settled(self) -> None:
        await self._group.settled()

    def _write(self, results: list[Result]) -> list[bool]:
        with transaction.atomic():
            written = _conclude(self._worker, results, self._rng)
            kept = [result for result in results if result.due.id in written]
            standings = _standings(kept)
            stale = {id: s for id, s in standings.items() if not (s.sound and monotonic() < self._fresh.get(id, 0.0))}
            if stale:
                _mark_endpoints(stale)
        for endpoint_id, standing in stale.items():
            self._fresh[endpoint_id] = monotonic() + FRESH if standing.sound else 0.0
        return [result.due.id in written for result in results]


_CONCLUDE = Statement(
    "conclude_webhook_deliveries",
    """
WITH asked AS (
    SELECT * FROM jsonb_to_recordset(%(results)s::jsonb) AS asked(id bigint, endpoint_id text, was_due timestamptz,
        status text, wait float8, started_at timestamptz, duration_ms int, succeeded boolean, cause text, detail text,
        ours boolean, address text, request_headers jsonb, code smallint, reply_headers jsonb, reply text)
), moved AS (
    UPDATE webhook_deliveries d SET status = a.status, attempt = d.attempt + (NOT a.ours)::int,
        due_at = clock_timestamp() + a.wait * interval '1 second',
        ended_at = CASE WHEN a.wait IS NULL THEN clock_timestamp() END
    FROM asked a JOIN webhook_endpoints e ON e.id = a.endpoint_id AND e.worker = %(worker)s::text
    WHERE d.id = a.id AND d.due_at = a.was_due
    RETURNING d.id, d.attempt
), logged AS (
    INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms, succeeded, cause, detail, address,
        request_headers, code, reply_headers, reply)
    SELECT m.id, m.attempt, a.started_at, a.duration_ms, a.succeeded, a.cause, a.detail, a.address, a.request_headers, a.code,
        a.reply_headers, a.reply
    FROM moved m JOIN asked a ON a.id = m.id WHERE NOT a.ours
)
SELECT id FROM moved
""",
)


def _conclude(worker: str, results: list[Result], rng: random.Random) -> set[int]:
    rows = [_row(result, rng) for result in results]
    with connection.cursor() as cursor:
        _CONCLUDE.run(cursor, {"worker": worker, "results": json.dumps(rows)})
        return {row[0] for row in cursor.fetchall()}


def _row(result: Result, rng: random.Random) -> dict[str, Any]:
    due, verdict, exchange = result.due, result.verdict, result.exchange
    wait = _wait(due.attempt + 1, verdict, rng)
    return {
        "id": due.id,
        "endpoint_id": due.endpoint_id,
        "was_due": due.due_at.isoformat(),
        "status": "succeeded" if verdict.succeeded else "failed" if wait is None else "waiting",
        "wait": wait,
        "started_at": result.started_at.isoformat(),
        "duration_ms": result.duration_ms,
        "succeeded": verdict.succeeded,
        "cause": verdict.cause,
        "detail": _storable(verdict.detail),
        "ours": verdict.ours,
        "address": exchange.address,
        "request_headers": exchange.request_headers,
        "code": exchange.code,
        "reply_headers": {name: _storable(text) for name, text in exchange.reply_headers.items()},
        "reply": exchange.reply,
    }


def _wait(attempts_made: int, verdict: Verdict, rng: random.Random) -> float | None:
    """Seconds until the next try; None when there is none."""
    if verdict.succeeded or verdict.final:
        return None
    if verdict.ours:
        return OUR_PAUSE
    wait = ladders.next_wait(settings.WEBHOOK_LADDER, attempts_made, rng)
    return wait if wait is None else max(wait, verdict.retry_after or 0.0)


def _storable(text: str) -> str:
    """PostgreSQL takes every character but NUL."""
    return text.replace("\0", "\ufffd")


@dataclass(frozen=True, slots=True)
class Standing:
    """How an endpoint stands after some tries: whether any and whether the last one succeeded; None when every try ended with a
    fault of ours, which says nothing of the endpoint."""

    any_success: bool
    last_success: bool | None
    failures: int
    pause: float | None
    gone: bool

    @property
    def sound(self) -> bool:
        """Nothing but success."""
        return self.any_success and bool(self.last_success) and not self.failures and not self.pause


def _standings(results: Collection[Result]) -> dict[str, Standing]:
    """By endpoint, of results in their order."""
    found: dict[str, Standing] = {}
    for result in results:
        ok, before = result.verdict.succeeded, found.get(result.due.endpoint_id)
        if result.verdict.ours and before:
            found[result.due.endpoint_id] = replace(before, pause=result.pause)
            continue
        found[result.due.endpoint_id] = Standing(
            any_success=ok or bool(before and before.any_success),
            last_success=None if result.verdict.ours else ok,
            failures=result.failures,
            pause=result.pause,
            gone=result.verdict.gone or bool(before and before.gone),
        )
    return found


def _mark_endpoints(standings: Mapping[str, Standing]) -> None:
    rows = [
        {"id": id, "any": s.any_success, "last": s.last_success, "failures": s.failures, "pause": s.pause}
        for id, s in standings.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE webhook_endpoints e SET failures = a.failures,"
            " paused_until = clock_timestamp() + a.pause * interval '1 second',"
            " last_success_at = CASE WHEN a.any THEN clock_timestamp() ELSE e.last_success_at END,"
            " failing_since = CASE WHEN a.last IS NULL THEN e.failing_since WHEN a.last THEN NULL"
            " WHEN a.any THEN clock_timestamp() ELSE coalesce(e.failing_since, clock_timestamp()) END"
            ' FROM jsonb_to_recordset(%s::jsonb) AS a(id text, "any" boolean, last boolean, failures int, pause float8)'
            " WHERE e.id = a.id RETURNING e.id, NOT a.last AND e.failing_since < clock_timestamp() - %s",
            [json.dumps(rows), settings.WEBHOOK_PATIENCE],
        )
        failing = {id for id, too_long in cursor.fetchall() if too_long}
    gone = {id for id, standing in standings.items() if standing.gone}
    for endpoint_id in gone:
        _disable(endpoint_id, WebhookEndpoint.Disabled.GONE)
    for endpoint_id in failing - gone:
        _disable(endpoint_id, WebhookEndpoint.Disabled.FAILING)


def _disable(endpoint_id: str, reason: str) -> None:
    """Take the endpoint out, tell its account, and keep that for its audit log, all in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE webhook_endpoints SET disabled = %s, disabled_at = clock_timestamp()"
            " WHERE id = %s AND disabled IS NULL RETURNING account_id, livemode, url",
            [reason, endpoint_id],
        )
        row = cursor.fetchone()
    if row is None:
        return
    account_id, livemode, url = row
    logger.warning("webhook endpoint %s is disabled: %s", endpoint_id, reason)
    events.note(
        account_id, livemode, "webhook.disabled", endpoint_id=endpoint_id, url=without_query(url), reason=reason
    )
    actor = audit.Actor(account_id, "webhooks")
    before, after = {"disabled": None}, {"disabled": reason}
    audit.record(actor, "webhook_endpoint.disabled", endpoint_id, before, after)
