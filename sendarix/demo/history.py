"""Writes the demo account's month into the tables, by COPY. Only for an account made for showing: nothing here was ever sent."""

import bisect
import csv
import io
import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from django.db import connection, transaction

from sendarix.accounts.models import Account
from sendarix.core import ids
from sendarix.demo import shapes
from sendarix.demo.lives import NULL, Case, Life, live
from sendarix.demo.shapes import KINDS, Incident, Kind
from sendarix.demo.ways import Ways

DAYS = 30
LONG_AGO = timedelta(days=2)
"""An account with mail older than this has its month."""
BATCH = 20_000
SCHEDULED = 45
Row = tuple[Any, ...]
"""In the order of its table's columns; NULL stands for null."""

EVENT_AT = itemgetter(6)

MESSAGES = (
    "id", "account_id", "livemode", "status", "reason", "sequence", "tier", "due_at", "waits_for", "fence", "marked",
    "attempt", "created_at", "accepted_at", "ended_at", "expires_at", "scheduled_time",
)  # fmt: skip
CONTENTS = (
    "message_id", "account_id", "livemode", "recipient", "recipient_key", "sender", "subject", "shown_subject", "html",
    "text", "headers", "template", "tags", "metadata", "template_version", "locale", "sensitive", "unsubscribe",
    "override", "size", "attachment_count", "key_id", "request_id", "tier",
)  # fmt: skip
EVENTS = ("message_id", "account_id", "livemode", "type", "previous", "sequence", "at", "data", "transaction")
ATTEMPTS = (
    "message_id", "account_id", "livemode", "number", "route", "explanation", "verdict", "cause", "phase", "detail", "mx",
    "address", "tls", "code", "enhanced", "reply", "started_at", "duration_ms",
)  # fmt: skip
DEAD = ("message_id", "account_id", "livemode", "cause", "at")
SUPPRESSIONS = (
    "id",
    "account_id",
    "livemode",
    "recipient",
    "recipient_key",
    "reason",
    "message_id",
    "actor",
    "created_at",
)


@dataclass(frozen=True, slots=True)
class Mail:
    """One request: when it came, and when it asked to be sent (None: at once)."""

    kind: Kind
    at: datetime
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made: how many messages up to `now`, by which keys (name → id)."""

    account: Account
    count: int
    now: datetime
    keys: Mapping[str, str]
    ways: Ways
    livemode: bool = True
    seed: int = 20260401


def incidents(now: datetime) -> tuple[Incident, Incident]:
    """One in the past, one under way."""
    began, lately = now - timedelta(days=9, hours=3), now - timedelta(minutes=70)
    return (
        Incident("naver.com", began, began + timedelta(hours=3)),
        Incident("yahoo.com", lately, now + timedelta(hours=1)),
    )


def write(plan: Plan) -> int:
    """Fill the account's tables in one transaction; returns how many messages it made. The database copies a batch while the
    next one is made up."""
    rng, made = random.Random(plan.seed), 0
    with transaction.atomic(), connection.cursor() as cursor, ThreadPoolExecutor(1) as copier:
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        writer = _Writer(plan, rng, cursor.fetchone()[0])
        under_way: Future[None] | None = None
        for batch in _batches(itertools.chain(scheduled(plan), times(plan, rng))):
            for mail in batch:
                writer.add(mail)
            made += len(batch)
            if under_way is not None:
                under_way.result()
            under_way = copier.submit(_copy_all, cursor, writer.taken())
        if under_way is not None:
            under_way.result()
    return made


def _batches(mails: Iterator[Mail]) -> Iterator[list[Mail]]:
    while batch := list(itertools.islice(mails, BATCH)):
        yield batch


def scheduled(plan: Plan) -> Iterator[Mail]:
    """The digest of the next days, which waits for its morning."""
    for number in range(SCHEDULED if plan.livemode else 0):
        at = plan.now - timedelta(hours=26, seconds=-number)
        yield Mail(KINDS[-1], at, shapes.nine_after(plan.now) + timedelta(days=number % 3))


def times(plan: Plan, rng: random.Random) -> Iterator[Mail]:
    """When each message is accepted, oldest first, after the shape of the month."""
    begins = plan.now - timedelta(days=DAYS)
    steps = [begins + timedelta(minutes=10 * number) for number in range(DAYS * 144)]
    chosen: list[tuple[datetime, int]] = []
    for index, kind in enumerate(KINDS):
        shape = shapes.morning if kind.hours == "morning" else shapes.weight
        sums = _sums([shape(step) * (1 + number / len(steps) * 0.35) for number, step in enumerate(steps)])
        for _ in range(round(plan.count * kind.share)):
            step = steps[bisect.bisect(sums, rng.random() * sums[-1])]
            chosen.append((step + timedelta(seconds=rng.random() * 600), index))
    chosen.sort()
    for at, index in chosen:
        if at < plan.now:
            yield Mail(KINDS[index], at)


def _sums(weights: Sequence[float]) -> list[float]:
    total, sums = 0.0, []
    for weight in weights:
        total += weight
        sums.append(total)
    return sums


class _Writer:
    """Rows by table, copied in batches. Suppressed addresses are remembered, so that later mail to them is not sent."""

    def __init__(self, plan: Plan, rng: random.Random, transaction_number: int) -> None:
        self._plan, self._rng, self._transaction = plan, rng, transaction_number
        self._made, self._account, self._live = 0, plan.account.pk, plan.livemode
        self._suppressed: dict[str, tuple[datetime, str]] = {}
        self._rows: dict[str, list[Row]] = {table: [] for table in TABLES}
        self._incidents = incidents(plan.now)
        self._readers = max(200, plan.count // 4)

    def add(self, mail: Mail) -> None:
        rng, kind, at = self._rng, mail.kind, mail.at
        number = int(self._readers * rng.random() ** 1.6)
        name, address, host = shapes.reader(number)
        known = self._suppressed.get(address)
        reason = known[1] if known and known[0] < at else None
        case = Case(kind, host, at, self._plan.now, reason, self._incidents, self._plan.ways, mail.due)
        life = live(case, rng)
        self._made += 1
        message_id = ids.from_number("msg", at, self._made << 8 | 1)
        self._message(message_id, mail, life)
        self._content(message_id, kind, name, address)
        self._history(message_id, life)
        if life.suppresses and life.ended_at:
            self._suppress(message_id, address, life.suppresses, life.events[-1][2])

    def taken(self) -> dict[str, list[Row]]:
        """What was made since the last time. Events go in by time, as the feed has them."""
        taken, self._rows = self._rows, {table: [] for table in TABLES}
        taken["events"].sort(key=EVENT_AT)
        return taken

    def _message(self, message_id: str, mail: Mail, life: Life) -> None:
        kind, at = mail.kind, mail.at
        expires = at + timedelta(seconds=kind.ttl) if kind.ttl else NULL
        self._rows["messages"].append(
            (
                message_id, self._account, self._live, life.status, life.reason or NULL, len(life.events), kind.tier,
                life.due_at or NULL, life.waits_for or NULL, 2 * life.attempt, False, life.attempt, at,
                life.accepted_at or NULL, life.ended_at or NULL, expires, mail.due or NULL,
            )
        )  # fmt: skip

    def _content(self, message_id: str, kind: Kind, name: str, address: str) -> None:
        rng = self._rng
        order = str(int(10_000 + rng.random() * 90_000))
        subject = kind.subjects[rng.random() < 0.6].format(number=order, name=name)
        about = f'{{"user_id": "u_{int(rng.random() * self._readers)}", "order": "{order}"}}'
        text = f"{subject}\n\nHanbit, Seoul"
        locale = ("ko" if subject[-1] > "\u3000" else "en") if kind.template else NULL
        self._rows["message_contents"].append(
            (
                message_id, self._account, self._live, address, address, self._plan.account.default_sender, subject, subject,
                f"<h1>{subject}</h1><p>Hanbit, Seoul</p>", text, "{}", kind.template or NULL, "{" + kind.tag + "}",
                about if kind.tag in ("orders", "billing") else "{}", 1 if kind.template else NULL, locale, "{}",
                kind.tier >= 2, False, 1800 + len(text), 0, self._plan.keys[kind.key], "req_" + message_id[4:],
                kind.tier,
            )
        )  # fmt: skip

    def _history(self, message_id: str, life: Life) -> None:
        account, live, number = self._account, self._live, self._transaction
        for sequence, (type_, previous, at, data) in enumerate(life.events, 1):
            self._rows["events"].append(
                (message_id, account, live, type_, previous or NULL, sequence, at, _told(data), number)
            )
        self._rows["attempts"] += [(message_id, account, live, *attempt) for attempt in life.attempts]
        if life.dead:
            self._rows["dead_letters"].append((message_id, account, live, life.reason, life.ended_at))

    def _suppress(self, message_id: str, address: str, reason: str, at: datetime) -> None:
        if address in self._suppressed:
            return
        self._suppressed[address] = at, reason
        own = ids.from_number("sup", at, self._made)
        self._rows["suppressions"].append(
            (own, self._account, self._live, address, address, reason, message_id, "delivery", at)
        )


TABLES = {
    "messages": MESSAGES,
    "message_contents": CONTENTS,
    "events": EVENTS,
    "attempts": ATTEMPTS,
    "dead_letters": DEAD,
    "suppressions": SUPPRESSIONS,
}


def _told(data: dict[str, Any]) -> str:
    return json.dumps(data) if data else "{}"


def _copy_all(cursor: Any, rows: dict[str, list[Row]]) -> None:
    for table, columns in TABLES.items():
        _copy(cursor, table, columns, rows[table])


def _copy(cursor: Any, table: str, columns: Sequence[str], rows: list[Row]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    buffer.seek(0)
    cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN WITH (FORMAT csv, NULL '{NULL}')", buffer)
