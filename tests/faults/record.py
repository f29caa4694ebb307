"""The mail server's word against the database's: what was accepted, how many final dots it got, and what its timeline admits."""

import hashlib
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from tests.delivery.smtp_sink import SmtpSink, Transaction

_message_id = re.compile(rb"^Message-ID: *<?([^@>\r\n]+)@", re.IGNORECASE | re.MULTILINE)


class Database(Protocol):
    def query(self, sql: str, *values: Any) -> list[tuple]: ...


@dataclass(frozen=True, slots=True)
class Dot:
    """One final dot: when it came (monotonic seconds), which message it ended, and the answer it got, if any."""

    at: float
    message: str
    digest: str
    reply: str

    @property
    def taken(self) -> bool:
        return self.reply.startswith("250")

    @property
    def refused(self) -> bool:
        """For certain not delivered, so that sending it again doubles nothing."""
        return self.reply[:1] in ("4", "5")


class Sink(SmtpSink):
    """A mail server that knows when each final dot came. It lives in the test's process, which nobody kills."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port)
        self._pending: list[Transaction] = []
        self._seen = 0
        self._ended: list[tuple[float, Transaction]] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def notify(self) -> None:
        self._pending += self.transactions[self._seen :]
        self._seen = len(self.transactions)
        now = time.monotonic()
        self._ended += [(now, each) for each in self._pending if each.ended]
        self._pending = [each for each in self._pending if not each.ended]
        super().notify()

    def record(self) -> list[Dot]:
        return [_dot(at, seen) for at, seen in list(self._ended)]

    def dots_of(self, message: str) -> list[Dot]:
        return [dot for dot in self.record() if dot.message == message]


def _dot(at: float, seen: Transaction) -> Dot:
    content = seen.content
    found = _message_id.search(content)
    return Dot(at, found[1].decode() if found else "?", hashlib.sha256(content).hexdigest(), seen.reply)


@dataclass(slots=True)
class Audit:
    """What `of` found. Each list names messages; `faults` says in words what breaks a promise."""

    accepted: int
    dots: int
    uncertain: int
    statuses: Counter[str]
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"accepted {self.accepted}, lost {len(self.lost)}, dots {self.dots}, more than one dot {len(self.doubled)},"
            f" uncertain {self.uncertain}, broken promises {len(self.faults)}"
        )


def of(stage: Database, sink: Sink, ids: Iterable[str], ended: str = "delivered") -> Audit:
    """Compares. Every message must have ended as `ended`; delivered: one dot, or one more for each uncertain event."""
    ids = list(ids)
    dots: dict[str, list[Dot]] = defaultdict(list)
    for dot in sink.record():
        if not dot.refused:
            dots[dot.message].append(dot)
    rows = {row[0]: row[1:] for row in stage.query("SELECT id, status, due_at, worker FROM messages")}
    doubts = dict(stage.query("SELECT message_id, count(*) FROM events WHERE data->>'uncertain' = 'true' GROUP BY 1"))
    audit = Audit(
        len(ids), sum(map(len, dots.values())), sum(doubts.values()), Counter(row[0] for row in rows.values())
    )
    for one in ids:
        if one not in rows:
            audit.lost.append(one)
            audit.faults.append(f"{one} was answered with 202 and is not in the database")
    for one in dots.keys() - rows.keys():
        audit.faults.append(f"{one} was sent and is not in the database")
    for one, (status, due_at, worker) in rows.items():
        _compare(audit, one, status, dots.get(one, []), doubts.get(one, 0), ended)
        if due_at or worker:
            audit.faults.append(f"{one} is stuck: {status}, due {due_at}, held by {worker}")
    return audit


def _compare(audit: Audit, one: str, status: str, dots: list[Dot], doubts: int, ended: str) -> None:
    if status != ended:
        audit.faults.append(f"{one} ended as {status}")
    if status == "delivered" and not any(dot.taken for dot in dots):
        audit.lost.append(one)
        audit.faults.append(f"{one} is called delivered and the server never took it")
    if len(dots) > 1:
        audit.doubled.append(one)
    if len(dots) > 1 + doubts:
        audit.faults.append(f"{one} had {len(dots)} dots with {doubts} uncertain events")
    if len({dot.digest for dot in dots}) > 1:
        audit.faults.append(f"the copies of {one} differ")
