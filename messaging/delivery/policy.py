"""What is done with a due message before any network: expired? suppressed? room at its destination? then to its route.
And what its next status is once an outcome is known."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from messaging.delivery import routing
from messaging.delivery.outcomes import Cause, Outcome, Verdict
from messaging.delivery.queue import Claim, Decision, Lost
from messaging.lifecycle import Change
from messaging.models import Status
from sendarix.core import ladders
from sendarix.core.times import zulu

MOST_LOSSES = 5
"""Claims that ended with their worker: from then on each counts as an attempt, so that no message kills workers for ever."""


@dataclass(slots=True)
class Policy:
    """Decides due messages for one worker. `waits(destination, tier)`: seconds until there is room (0: now)."""

    worker: str
    waits: Callable[[str, int], float]

    def decide(self, claim: Claim) -> Decision:
        steps: Decision = []
        status = claim.status
        if status == Status.SCHEDULED:
            steps.append(_move(claim, Status.SCHEDULED, Status.QUEUED))
            status = Status.QUEUED
        steps.append(self._next(claim, Status(status)))
        return steps

    def _next(self, claim: Claim, status: Status) -> Change:
        if claim.expires_at is not None and claim.expires_at <= claim.now:
            return _move(claim, status, Status.EXPIRED, reason="expired")
        if claim.suppressed is not None and not claim.overridden:
            return _move(claim, status, Status.SUPPRESSED, reason=claim.suppressed, data={"reason": claim.suppressed})
        choice = routing.choose(claim.livemode)
        if pause := self.waits(choice.route.destination(claim.domain), claim.tier):
            due_at = claim.now + timedelta(seconds=pause)
            return _move(claim, status, status, silent=True, due_at=due_at, waits_for="paced", reason="paced")
        if status == Status.QUEUED:
            data = {"route": choice.route.name} | ({"overrides": claim.suppressed} if claim.overridden else {})
            return _move(claim, status, Status.ACCEPTED, worker=self.worker, claims=True, data=data)
        return _move(claim, status, status, silent=True, worker=self.worker, claims=True)


def _move(claim: Claim, previous: Status | str, status: Status, **options: Any) -> Change:
    return Change(claim.id, Status(previous), status, claim.fence, claim.attempt, **options)


def conclude(claim: Claim, outcome: Outcome, route: str, now: datetime, rng: random.Random) -> list[Change]:
    """The changes that follow an attempt: its outcome and, where the sandbox plays the recipient, what came after."""
    attempt = claim.attempt + 1
    data = _report(outcome, route, attempt)
    previous = Status(claim.status)
    if outcome.verdict == Verdict.DELIVERED:
        steps = [Change(claim.id, previous, Status.DELIVERED, claim.fence, attempt, data=data)]
        if outcome.aftermath:
            steps.append(Change(claim.id, Status.DELIVERED, Status(outcome.aftermath), claim.fence, attempt))
        return steps
    if outcome.verdict == Verdict.BOUNCED:
        reason = str(outcome.cause)
        return [
            Change(claim.id, previous, Status.BOUNCED, claim.fence, attempt, reason, data={**data, "reason": reason})
        ]
    reason = str(Cause.UNCERTAIN if outcome.verdict == Verdict.UNCERTAIN else outcome.cause)
    return [_defer(claim, previous, attempt, reason, data, now, rng)]


def _defer(
    claim: Claim | Lost,
    previous: Status,
    attempt: int,
    reason: str,
    data: dict,
    now: datetime,
    rng: random.Random,
    *,
    at_once: bool = False,
) -> Change:
    """`at_once`: no wait, though the attempt counts against the ladder."""
    wait = ladders.next_wait(settings.RETRY_LADDER, attempt, rng)
    if wait is None:
        data = {**data, "reason": str(Cause.RETRIES_EXHAUSTED), "last_reason": reason}
        return Change(claim.id, previous, Status.BOUNCED, claim.fence, attempt, str(Cause.RETRIES_EXHAUSTED), data=data)
    wait = 0.0 if at_once else wait if claim.livemode else wait / settings.TEST_CLOCK
    due_at = now + timedelta(seconds=wait)
    if claim.expires_at is not None:
        due_at = min(due_at, claim.expires_at)
    data = {**data, "reason": reason, "next_attempt_at": zulu(due_at)}
    return Change(
        claim.id, previous, Status.DEFERRED, claim.fence, attempt, reason, due_at=due_at, waits_for="retry", data=data
    )


def _report(outcome: Outcome, route: str, attempt: int) -> dict[str, Any]:
    """The data of an outcome's event, as events, webhooks and the API show it."""
    report: dict[str, Any] = {"attempt": attempt, "route": route}
    if outcome.reply is not None:
        reply = outcome.reply
        report["smtp"] = {"code": reply.code, "enhanced": reply.enhanced, "text": reply.text, "mx": outcome.mx}
    if outcome.verdict == Verdict.UNCERTAIN:
        report["uncertain"] = True
    if outcome.detail:
        report["detail"] = outcome.detail
    return report


def recover(lost: Lost, rng: random.Random) -> Change:
    """What becomes of a message whose worker is gone: sent again at once; and where its final dot may have been written, visibly
    so (same Message-ID, an event that says so). No wait would tell more, and the destination did nothing wrong."""
    if lost.marked:
        attempt = lost.attempt + 1
        data = {
            "attempt": attempt,
            "uncertain": True,
            "detail": "the worker ended after it may have handed the message over",
        }
        change = _defer(lost, Status(lost.status), attempt, str(Cause.UNCERTAIN), data, lost.now, rng, at_once=True)
        return replace(change, claims=True)
    losses = (lost.fence - lost.attempt + 1) // 2  # each raises the fence twice: when claimed, and when given back
    if losses > MOST_LOSSES:
        data = {"attempt": lost.attempt + 1, "detail": "its workers ended again and again while they held it"}
        change = _defer(lost, Status(lost.status), lost.attempt + 1, str(Cause.SYSTEM), data, lost.now, rng)
        return replace(change, claims=True)
    return Change(
        lost.id, Status(lost.status), Status(lost.status), lost.fence, lost.attempt,
        reason="worker_lost", due_at=lost.now if lost.attempt else lost.first_due, waits_for="queued", silent=True, claims=True,
    )  # fmt: skip
