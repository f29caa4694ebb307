"""The life of one made-up message: its rows of every table, as acceptance and delivery would have written them. Pure."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sendarix.core.times import zulu
from sendarix.demo.shapes import BOUNCES, DEFERRAL, DEFERRALS, HOSTS, Host, Incident, Kind
from sendarix.demo.ways import Way, Ways

LADDER = (30, 300, 1800, 7200, 18000)
NULL = "\\N"

ADDRESSES = {host.mx: f"203.0.113.{number}" for number, host in enumerate(HOSTS, 10)}


@dataclass(slots=True)
class Life:
    """What became of a message: `events` are (type, previous, at, data), `attempts` rows of
    that table (history.ATTEMPTS) without their message."""

    status: str = "queued"
    reason: str | None = None
    due_at: datetime | None = None
    waits_for: str | None = None
    attempt: int = 0
    accepted_at: datetime | None = None
    ended_at: datetime | None = None
    events: list[tuple[str, str | None, datetime, dict[str, Any]]] = field(default_factory=list)
    attempts: list[tuple[Any, ...]] = field(default_factory=list)
    suppresses: str | None = None
    dead: bool = False

    def move(self, status: str, at: datetime, **data: Any) -> None:
        self.events.append((status, self.status if self.events else None, at, data))
        self.status = status


@dataclass(frozen=True, slots=True)
class Case:
    """What a life depends on: the mail, its reader's host, when it was accepted, when the story is told."""

    kind: Kind
    host: Host
    created_at: datetime
    now: datetime
    suppressed: str | None
    incidents: tuple[Incident, ...]
    ways: Ways
    due: datetime | None = None


def live(case: Case, rng: random.Random) -> Life:
    """From acceptance to now."""
    life = Life()
    if case.due:
        life.move("scheduled", case.created_at, scheduled_time=zulu(case.due))
        life.due_at, life.waits_for = case.due, "scheduled"
        return life
    life.move("queued", case.created_at)
    claimed = case.created_at + timedelta(seconds=_pickup(case.kind.tier, rng))
    if claimed > case.now:
        life.due_at, life.waits_for = case.created_at, "queued"
        return life
    if case.suppressed:
        life.move("suppressed", claimed, reason=case.suppressed)
        life.reason, life.ended_at = case.suppressed, claimed
        return life
    way = case.ways.take(case.kind.template, case.host.domain, rng)
    life.move("accepted", claimed, route=way.route)
    life.accepted_at = claimed
    _tries(life, case, claimed, way, rng)
    if life.status == "delivered":
        _aftermath(life, case, rng)
    return life


def _pickup(tier: int, rng: random.Random) -> float:
    """Seconds in the queue."""
    return rng.lognormvariate(-3.6, 0.7) * (1, 2, 5, 30)[tier]


def _tries(life: Life, case: Case, at: datetime, way: Way, rng: random.Random) -> None:
    bounces = rng.random() < case.host.bounces
    stubborn = rng.random() < 0.003
    for number in range(1, 7):
        if case.kind.ttl and at > case.created_at + timedelta(seconds=case.kind.ttl):
            life.move("expired", at)
            life.reason, life.ended_at = "expired", at
            return
        trouble = any(incident.holds(case.host.domain, at) for incident in case.incidents)
        defers = stubborn or rng.random() < (0.85 if trouble else case.host.defers if number == 1 else 0.25)
        took = rng.lognormvariate(0, 0.45) * case.host.seconds
        done = at + timedelta(seconds=took)
        life.attempt = number
        if not defers:
            _end(life, case, way, at, done, took, bounces, rng)
            return
        cause, code, enhanced, text = DEFERRALS.get(case.host.domain, DEFERRAL)
        smtp = {"code": code, "enhanced": enhanced, "text": text, "mx": case.host.mx}
        life.attempts.append(_attempt(case, number, way, "deferred", cause, code, enhanced, text, at, took))
        report = {"attempt": number, "route": way.route, "smtp": smtp}
        if number == 6:
            life.move("bounced", done, **report, reason="retries_exhausted", last_reason=cause)
            life.reason, life.ended_at, life.dead = "retries_exhausted", done, True
            return
        due = done + timedelta(seconds=LADDER[number - 1] * rng.uniform(1, 1.1))
        life.move("deferred", done, **report, reason=cause, next_attempt_at=zulu(due))
        life.reason = cause
        if due > case.now:
            life.due_at, life.waits_for = due, "retry"
            return
        at = due


def _end(
    life: Life, case: Case, way: Way, at: datetime, done: datetime, took: float, bounces: bool, rng: random.Random
) -> None:
    """A reply that settles it."""
    life.ended_at, life.reason = done, None
    if not bounces:
        code, enhanced, text = 250, "2.0.0", f"OK {rng.random():.12f}"
        life.attempts.append(_attempt(case, life.attempt, way, "delivered", None, code, enhanced, text, at, took))
        smtp = {"code": code, "enhanced": enhanced, "text": text, "mx": case.host.mx}
        life.move("delivered", done, attempt=life.attempt, route=way.route, smtp=smtp)
        return
    _, cause, code, enhanced, text = rng.choices(BOUNCES, [row[0] for row in BOUNCES])[0]
    life.attempts.append(_attempt(case, life.attempt, way, "bounced", cause, code, enhanced, text, at, took))
    smtp = {"code": code, "enhanced": enhanced, "text": text, "mx": case.host.mx}
    life.move("bounced", done, attempt=life.attempt, route=way.route, smtp=smtp, reason=cause)
    life.reason, life.dead = cause, True
    if cause in ("mailbox_unknown", "mailbox_disabled"):
        life.suppresses = "hard_bounce"


def _aftermath(life: Life, case: Case, rng: random.Random) -> None:
    """Few readers complain or unsubscribe, hours later, and only of what they did not ask for."""
    chance = rng.random() * (1 if case.kind.tier >= 2 else 20)
    if life.ended_at is None or chance > 0.006:
        return
    at = life.ended_at + timedelta(minutes=rng.uniform(5, 900))
    if at < case.now:
        complained = chance < 0.0012
        life.move("complained" if complained else "unsubscribed", at)
        life.suppresses = "spam_complaint" if complained else "user_unsubscribed"


def _attempt(
    case: Case, number: int, way: Way, verdict: str, cause: str | None, code: int, enhanced: str, text: str,
    at: datetime, took: float,
) -> tuple[Any, ...]:  # fmt: skip
    phase = "done" if verdict == "delivered" else "rcpt"
    return (
        number, way.route, way.explanation, verdict, cause or NULL, phase, "", case.host.mx, ADDRESSES[case.host.mx],
        "TLSv1.3", code, enhanced, text, at, round(took * 1000),
    )  # fmt: skip
