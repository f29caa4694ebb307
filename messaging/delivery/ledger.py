"""What a worker writes down: marks before final dots, and what came of each attempt, both in groups (grouping.py); and once a
second what that says of the paths taken (health.py)."""

import asyncio
import json
import logging
import random
from asyncio import Future
from collections.abc import Awaitable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db import Error, connection, transaction

from messaging import lifecycle
from messaging.delivery import health, policy, queue, routebook, routing
from messaging.delivery.outcomes import Cause, Outcome, Verdict
from messaging.delivery.queue import Claim
from messaging.delivery.tallies import Seen, Unused
from messaging.models import Status
from sendarix.core.grouping import Group
from sendarix.core.statements import Statement
from suppressions import services as suppressions
from suppressions.models import Reason

logger = logging.getLogger(__name__)

MARK_PATIENCE = 10.0
"""Seconds a session waits for its mark while the database is away, before it gives the message up without a dot."""

RESULT_GAP = 0.02
"""Seconds between two commits of results while a worker is busy: at 1,000 messages a second each then costs a twentieth of a
commit. A lone result is written at once. What a killed worker had not written yet is found by its marks."""

MOST_WAITING = 500
"""Results that may wait for the database before carriers are held up."""

DEAD_MAILBOX = {Cause.MAILBOX_UNKNOWN, Cause.MAILBOX_DISABLED}


@dataclass(slots=True)
class Result:
    """One attempt and what came of it."""

    claim: Claim
    route: str
    explanation: dict[str, Any]
    outcome: Outcome
    started_at: datetime
    duration_ms: int
    suppresses: bool = True


class Ledger:
    """The books of one worker process: marks and results, each on a thread with its own database connection."""

    def __init__(self, marks: Executor, results: Executor) -> None:
        self._rng = random.Random()
        self._marks = Group(marks, _mark, patience=MARK_PATIENCE)
        self._results = Group(results, self._conclude, gap=RESULT_GAP)
        self._health = health.Gathering()
        self._health_thread = results
        self._writing_health: asyncio.Task | None = None

    def mark(self, claim: Claim) -> Awaitable[bool]:
        """Commit that the final dot of this claim is next. False: the claim is no longer ours, or the database is away."""
        return self._marks.add(claim)

    async def record(self, result: Result) -> None:
        """Have the result committed soon, however long the database is away; returns at once unless many are waiting."""
        future = self._results.add(result)
        future.add_done_callback(partial(_note_refusal, result))
        if self._results.depth > MOST_WAITING:
            await future

    def see(self, seen: Seen | Unused) -> None:
        """Remember what an attempt says of its path."""
        self._health.add(seen)

    def tick(self) -> None:
        """Begin to write down what was seen of paths if it is time; to be called again and again."""
        if self._health.due and (self._writing_health is None or self._writing_health.done()):
            self._writing_health = asyncio.create_task(self._write_health())

    async def settled(self) -> None:
        """Until all is written; what can't be told of paths because the database is away is left out."""
        await self._results.settled()
        if self._writing_health is not None:
            await self._writing_health
        await self._write_health(everything=True)

    async def _write_health(self, everything: bool = False) -> None:
        seen = self._health.take(everything)
        if seen and not await asyncio.get_running_loop().run_in_executor(self._health_thread, _write_health, seen):
            self._health.put_back(seen)

    @property
    def open(self) -> bool:
        """Whether results still wait to be written."""
        return self._results.depth > 0

    def _conclude(self, results: list[Result]) -> list[bool]:
        recorded = conclude(results, self._rng)
        return [result.claim.id in recorded for result in results]


def _write_health(seen: list[Seen | Unused]) -> bool:
    """False when the database is away. A change of a breaker is seen by this process at once."""
    try:
        if health.write(seen):
            routebook.forget()
    except Error as error:
        logger.warning("what was seen of %d attempts' paths can't be written now: %s", len(seen), error)
        connection.close()
        return False
    return True


def _mark(claims: list[Claim]) -> list[bool]:
    marked = queue.mark([(claim.id, claim.fence) for claim in claims])
    return [claim.id in marked for claim in claims]


def _note_refusal(result: Result, written: "Future[bool]") -> None:
    if not written.cancelled() and not written.result():
        logger.warning("the outcome of %s was not recorded: another worker has the message by now", result.claim.id)


def conclude(results: list[Result], rng: random.Random) -> set[str]:
    """Record the results in one transaction; returns the ids of those whose claim still held (a second try records nothing)."""
    now = datetime.now(UTC)
    steps = [policy.conclude(r.claim, r.outcome, r.route, now, rng) for r in results]
    with transaction.atomic():
        recorded = lifecycle.record([step[0] for step in steps])
        lifecycle.record([step[1] for step in steps if len(step) > 1 and step[0].message_id in recorded])
        kept = [result for result in results if result.claim.id in recorded]
        if kept:
            _insert_attempts(kept)
            bounced = {step[0].message_id for step in steps if step[0].status == Status.BOUNCED}
            queue.bury(sorted(bounced & recorded))
            _suppress_dead_mailboxes(kept)
    return recorded


_ATTEMPTS = Statement(
    "insert_attempts",
    """
INSERT INTO attempts (message_id, account_id, livemode, number, route, explanation, verdict, cause, phase, detail, mx,
    address, tls, code, enhanced, reply, started_at, duration_ms)
SELECT * FROM jsonb_to_recordset(%(attempts)s::jsonb) AS made(message_id text, account_id bigint, livemode boolean,
    number int, route text, explanation jsonb, verdict text, cause text, phase text, detail text, mx text, address text,
    tls text, code smallint, enhanced text, reply text, started_at timestamptz, duration_ms int)
""",
)


def _insert_attempts(results: list[Result]) -> None:
    with connection.cursor() as cursor:
        _ATTEMPTS.run(cursor, {"attempts": json.dumps([_attempt(result) for result in results])})


def _attempt(result: Result) -> dict[str, Any]:
    outcome, reply = result.outcome, result.outcome.reply
    return {
        "message_id": result.claim.id,
        "account_id": result.claim.account_id,
        "livemode": result.claim.livemode,
        "number": result.claim.attempt + 1,
        "route": result.route,
        "explanation": result.explanation | _of_provider(outcome),
        "verdict": outcome.verdict,
        "cause": outcome.cause,
        "phase": outcome.phase,
        "detail": outcome.detail,
        "mx": outcome.mx,
        "address": outcome.address,
        "tls": outcome.tls,
        "code": reply.code if reply else None,
        "enhanced": reply.enhanced if reply else None,
        "reply": reply.text if reply else None,
        "started_at": result.started_at.isoformat(),
        "duration_ms": result.duration_ms,
    }


def _of_provider(outcome: Outcome) -> dict[str, Any]:
    """Whose API was called, and its id of the mail, by which its events may name it (inbound.provider_events)."""
    if outcome.provider is None:
        return {}
    return {"provider": outcome.provider} | ({"reference": outcome.reference} if outcome.reference else {})


def _suppress_dead_mailboxes(results: list[Result]) -> None:
    for result in sorted(results, key=lambda result: result.claim.recipient_key):  # the order in which imports lock
        bounced = result.outcome.verdict == Verdict.BOUNCED and result.outcome.cause in DEAD_MAILBOX
        if bounced and result.suppresses:
            claim = result.claim
            suppressions.suppress(
                claim.account_id, claim.livemode, claim.recipient, claim.recipient_key, Reason.HARD_BOUNCE, claim.id
            )


def recover(rng: random.Random) -> int:
    """Give lost claims back, in one transaction; returns how many."""
    book = routebook.snapshot()
    with transaction.atomic():
        lost = queue.lost()
        changes = [policy.recover(one, routing.policy_of(book, one.facts), rng) for one in lost]
        lifecycle.record(changes)
        queue.bury([change.message_id for change in changes if change.status == Status.BOUNCED])
        _insert_lost_attempts(lost)
    return len(lost)


def _insert_lost_attempts(lost: list[queue.Lost]) -> None:
    if not lost:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO attempts"
            " (message_id, account_id, livemode, number, route, explanation, verdict, cause, phase, detail, started_at,"
            " duration_ms)"
            " SELECT id, account_id, livemode, number, '', '{}', verdict, 'system', phase,"
            " 'the worker ended during this attempt', clock_timestamp(), 0"
            " FROM unnest(%s::text[], %s::bigint[], %s::boolean[], %s::int[], %s::text[], %s::text[])"
            " AS lost(id, account_id, livemode, number, verdict, phase)",
            [
                [one.id for one in lost],
                [one.account_id for one in lost],
                [one.livemode for one in lost],
                [one.attempt + 1 for one in lost],
                ["uncertain" if one.marked else "deferred" for one in lost],
                ["dot" if one.marked else "claimed" for one in lost],
            ],
        )
