"""Writes the demo account's month into the tables, by COPY. Only for an account made for showing: nothing here was ever sent."""

import bisect
import csv
import io
import json
import random
from collections.abc import Iterator, Sequence
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

DAYS = 30
LONG_AGO = timedelta(days=2)
"""An account with mail older than this has its month."""
BATCH = 20_000
Row = tuple[Any, ...]
"""In the order of its table's columns; NULL stands for null."""

EVENT_AT = itemgetter(6)

MESSAGES = (
    "id", "account_id", "livemode", "status", "reason", "sequence", "tier", "due_at", "waits_for", "fence", "marked",
    "attempt", "created_at", "accepted_at", "ended_at", "expires_at",
)  # fmt: skip
CONTENTS = (
    "message_id", "account_id", "livemode", "recipient", "recipient_key", "sender", "subject", "shown_subject", "html",
    "text", "headers", "template", "tags", "metadata", "template_version", "locale", "sensitive", "unsubscribe",
    "override", "size", "attachment_count", "key_id", "request_id",
)  # fmt: skip
EVENTS = ("message_id", "account_id", "livemode", "type", "previous", "sequence", "at", "data", "transaction")
ATTEMPTS = (
    "message_id", "number", "route", "explanation", "verdict", "cause", "phase", "detail", "mx", "address", "tls", "code",
    "enhanced", "reply", "started_at", "duration_ms",
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
class Plan:
    """What is to be made: how many messages up to `now`, by which keys (name → id)."""

    account: Account
    count: int
    now: datetime
    keys: dict[str, str]
    seed: int = 20260401


def write(plan: Plan) -> int:
    """Fill the account's tables in one transaction; returns how many messages it made."""
    rng = random.Random(plan.seed)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        writer = _Writer(plan, rng, cursor.fetchone()[0])
        made = 0
        for kind, at in times(plan, rng):
            writer.add(kind, at)
            made += 1
            if made % BATCH == 0:
                writer.flush(cursor)
        writer.flush(cursor)
    return made


def times(plan: Plan, rng: random.Random) -> Iterator[tuple[Kind, datetime]]:
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
            yield KINDS[index], at


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
        self._made, self._account = 0, plan.account.pk
        self._suppressed: dict[str, tuple[datetime, str]] = {}
        self._rows: dict[str, list[Row]] = {table: [] for table in TABLES}
        began = plan.now - timedelta(days=9, hours=3)
        lately = plan.now - timedelta(minutes=70)
        self._incidents = (
            Incident("naver.com", began, began + timedelta(hours=3)),
            Incident("yahoo.com", lately, plan.now + timedelta(hours=1)),
        )
        self._readers = max(200, plan.count // 12)

    def add(self, kind: Kind, at: datetime) -> None:
        rng = self._rng
        number = int(self._readers * rng.random() ** 1.6)
        name, address, host = shapes.reader(number)
        known = self._suppressed.get(address)
        reason = known[1] if known and known[0] < at else None
        life = live(Case(kind, host, at, self._plan.now, reason, self._incidents), rng)
        self._made += 1
        message_id = ids.from_number("msg", at, self._made << 8 | 1)
        self._message(message_id, kind, at, life)
        self._content(message_id, kind, name, address)
        self._history(message_id, life)
        if life.suppresses and life.ended_at:
            self._suppress(message_id, address, life.suppresses, life.events[-1][2])

    def flush(self, cursor: Any) -> None:
        """Events go in by time, as the feed has them."""
        self._rows["events"].sort(key=EVENT_AT)
        for table, columns in TABLES.items():
            _copy(cursor, table, columns, self._rows[table])
            self._rows[table].clear()

    def _message(self, message_id: str, kind: Kind, at: datetime, life: Life) -> None:
        expires = at + timedelta(seconds=kind.ttl) if kind.ttl else NULL
        self._rows["messages"].append(
            (
                message_id, self._account, True, life.status, life.reason or NULL, len(life.events), kind.tier,
                life.due_at or NULL, life.waits_for or NULL, 2 * life.attempt, False, life.attempt, at,
                life.accepted_at or NULL, life.ended_at or NULL, expires,
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
                message_id, self._account, True, address, address, self._plan.account.default_sender, subject, subject,
                f"<h1>{subject}</h1><p>Hanbit, Seoul</p>", text, "{}", kind.template or NULL, "{" + kind.tag + "}",
                about if kind.tag in ("orders", "billing") else "{}", 1 if kind.template else NULL, locale, "{}",
                kind.tier >= 2, False, 1800 + len(text), 0, self._plan.keys[kind.key], "req_" + message_id[4:],
            )
        )  # fmt: skip

    def _history(self, message_id: str, life: Life) -> None:
        account, number = self._account, self._transaction
        for sequence, (type_, previous, at, data) in enumerate(life.events, 1):
            self._rows["events"].append(
                (message_id, account, True, type_, previous or NULL, sequence, at, _told(data), number)
            )
        self._rows["attempts"] += [(message_id, *attempt) for attempt in life.attempts]
        if life.dead:
            self._rows["dead_letters"].append((message_id, account, True, life.reason, life.ended_at))

    def _suppress(self, message_id: str, address: str, reason: str, at: datetime) -> None:
        if address in self._suppressed:
            return
        self._suppressed[address] = at, reason
        own = ids.from_number("sup", at, self._made)
        self._rows["suppressions"].append(
            (own, self._account, True, address, address, reason, message_id, "delivery", at)
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


def _copy(cursor: Any, table: str, columns: Sequence[str], rows: list[Row]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    buffer.seek(0)
    cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN WITH (FORMAT csv, NULL '{NULL}')", buffer)
