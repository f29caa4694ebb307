"""The request log: every call of the API and every mail handed to the relay by a known key, for a week. Entries are gathered in
memory and written in groups by a thread, so that no answer waits for them; what can't be kept is counted, never waited for."""

import atexit
import json
import logging
import os
import re
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import Error, connection, transaction
from django.db.models import Q, QuerySet, Sum

from sendarix.accounts.models import LoggedRequest, RequestCount
from sendarix.core import ids
from sendarix.core.grouping import REFUSALS

logger = logging.getLogger(__name__)

HELD = 20_000
"""Entries kept in memory; beyond them the oldest are dropped."""

GROUP = 1_000
PAUSE = 1.0
"""Seconds between two groups."""

FAULTS = 30
"""Faults kept of one request, without their values."""

SMTP = "SMTP"
"""The method of a mail handed to the relay."""

_argument = re.compile(r"<(?:\w+:)?(\w+)>")
_address = re.compile(r"@|%40", re.IGNORECASE).search
"""A path that holds one is kept as its pattern only."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a request left behind: the first of its messages, how many, and whether an earlier request had made them."""

    message_id: str | None
    messages: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One request as it is noted. `route` is the pattern of its path; `faults` are pairs of field and code; `duration_ms` ends
    before the answer is sent."""

    id: str
    at: datetime
    account_id: int
    livemode: bool
    key_id: str
    method: str
    route: str
    path: str
    status: int
    code: str | None
    faults: tuple[tuple[str, str], ...]
    duration_ms: float
    source: str | None
    made: Made | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of requests is narrowed to. `status` is a class (4) or a code (422); `path` a pattern or a whole path."""

    status: int | None = None
    key_id: str | None = None
    path: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """Requests of one key, and how many of them were refused (4xx) or failed (5xx)."""

    requests: int = 0
    errors: int = 0


class Writer:
    """Gathers entries of one process and writes them in its own thread, which starts with the first of them."""

    def __init__(self) -> None:
        self.dropped = 0
        self._waiting: deque[Entry] = deque()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._process = 0
        self._full = threading.Event()
        self._thread: threading.Thread | None = None
        self._ended = False

    def add(self, entry: Entry) -> None:
        if self._process != os.getpid():
            self._begin()
        self._waiting.append(entry)
        if len(self._waiting) > HELD:
            self._drop(1)
        elif len(self._waiting) >= GROUP:
            self._full.set()

    def flush(self) -> int:
        """Write what waits; returns how many entries that were. While the database is away they go on waiting."""
        total = 0
        with self._writing:
            while group := self._taken():
                if not self._written(group):
                    self._waiting.extendleft(reversed(group))
                    break
                total += len(group)
        return total

    def _taken(self) -> list[Entry]:
        group: list[Entry] = []
        with suppress(IndexError):  # it has run empty
            while len(group) < GROUP:
                group.append(self._waiting.popleft())
        return group

    def _begin(self) -> None:
        """In a process that was forked meanwhile, too: threads do not come along."""
        with self._lock:
            if self._process == os.getpid():
                return
            self._waiting, self._writing, self._full = deque(), threading.Lock(), threading.Event()
            self._process = os.getpid()
            self._thread = threading.Thread(target=self._run, name="request log", daemon=True)
            self._thread.start()
            atexit.register(self.flush)

    def close(self) -> None:
        """Write what waits and end the thread."""
        self._ended = True
        self._full.set()
        if self._thread is not None and self._process == os.getpid():
            self._thread.join(10)
        self.flush()

    def _run(self) -> None:
        while not self._ended:
            self._full.wait(PAUSE)
            self._full.clear()
            try:
                self.flush()
            except Exception:
                logger.exception("the request log failed")
        connection.close()

    def _written(self, group: list[Entry]) -> bool:
        """True when the group is done with: written, or refused for its content, then without the entries at fault."""
        try:
            write(group)
        except REFUSALS:
            if len(group) > 1:
                return all(self._written([entry]) for entry in group)
            self.dropped += 1
            logger.exception("%s can't be logged", group[0].id)
        except Error as error:
            connection.close()
            logger.warning("%d requests can't be logged now: %s", len(group), type(error).__name__)
            return False
        return True

    def _drop(self, number: int) -> None:
        with suppress(IndexError):  # the writer has taken them
            for _ in range(number):
                self._waiting.popleft()
        self.dropped += number
        if self.dropped % 1000 == 1:
            logger.warning("%d requests were not logged: the database is slower than they come", self.dropped)


_writer: Writer | None = None


def keep() -> Writer:
    """From now on this process keeps a log. Without it (in commands and tests) `note` does nothing."""
    global _writer
    _writer = _writer or Writer()
    return _writer


def stop() -> None:
    """Write what waits and keep no more."""
    global _writer
    if _writer is not None:
        _writer.close()
    _writer = None


def note(entry: Entry) -> None:
    """Have an entry written soon. Raises nothing and waits for nothing."""
    if _writer is not None:
        _writer.add(entry)


def kept() -> bool:
    """Whether this process keeps a log."""
    return _writer is not None


_WRITE = """
WITH asked AS (
    SELECT * FROM jsonb_to_recordset(%s::jsonb) AS asked(id text, at timestamptz, account_id bigint, livemode boolean,
        key_id text, method text, route text, path text, status smallint, code text, faults jsonb, duration_ms real,
        source text, message_id text, messages int, replayed boolean)
), kept AS (
    INSERT INTO api_requests (id, at, account_id, livemode, key_id, method, route, path, status, code, faults, duration_ms,
        source, message_id, messages, replayed)
    SELECT id, at, account_id, livemode, key_id, method, route, path, status, code, faults, duration_ms,
        source, message_id, messages, replayed
    FROM asked ON CONFLICT DO NOTHING
    RETURNING account_id, key_id, at, status
)
INSERT INTO request_counts AS old (account_id, key_id, hour, requests, errors)
SELECT account_id, key_id, date_trunc('hour', at), count(*), count(*) FILTER (WHERE status >= 400)
FROM kept GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (account_id, key_id, hour) DO UPDATE SET requests = old.requests + excluded.requests,
    errors = old.errors + excluded.errors
"""


def write(entries: Sequence[Entry]) -> None:
    """One statement for all of them; its commit waits for no disk. Those that are there already are not counted again."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(_WRITE, [json.dumps([_row(entry) for entry in entries])])


def _row(entry: Entry) -> dict[str, Any]:
    row = {name: getattr(entry, name) for name in _PLAIN}
    route = _shown_route(entry.route)
    return row | asdict(entry.made or Made(None, 0)) | {
        "at": entry.at.isoformat(),
        "route": route,
        "path": route if _address(entry.path) else _clean(entry.path[:500]),
        "faults": [{"field": _clean(field[:200]), "code": code} for field, code in entry.faults[:FAULTS]] or None,
    }  # fmt: skip


_PLAIN = ("id", "account_id", "livemode", "key_id", "method", "status", "code", "duration_ms", "source")


@lru_cache(maxsize=500)
def _shown_route(route: str) -> str:
    """Django's pattern as the API's document writes it."""
    return "/" + _argument.sub(r"{\1}", route.removeprefix("^").partition("(")[0])


def _clean(text: str) -> str:
    """Without what the database refuses."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def entries(account_id: int, livemode: bool, wanted: Filter, before: str | None = None) -> QuerySet[LoggedRequest]:
    """Requests of an account and environment, newest first; `before` is the id of the last one seen."""
    found = LoggedRequest.objects.filter(account_id=account_id, livemode=livemode).order_by("-id")
    if wanted.status is not None:
        low, high = (wanted.status * 100, wanted.status * 100 + 99) if wanted.status < 10 else (wanted.status,) * 2
        found = found.filter(status__gte=low, status__lte=high)
    if wanted.key_id:
        found = found.filter(key_id=wanted.key_id)
    if wanted.path:
        found = found.filter(Q(route=wanted.path) | Q(path=wanted.path))
    if wanted.request_id:
        found = found.filter(id=wanted.request_id)
    if wanted.since:
        found = found.filter(id__gte=ids.floor("req", wanted.since))
    if wanted.until:
        found = found.filter(id__lt=ids.floor("req", wanted.until))
    return found.filter(id__lt=before) if before else found


def one(account_id: int, livemode: bool, request_id: str) -> LoggedRequest | None:
    return entries(account_id, livemode, Filter(request_id=request_id)).first()


def newest_failures(shown: int, among: int = 5_000) -> list[LoggedRequest]:
    """Requests of all accounts that failed for a fault of ours (5xx), of the newest `among`, newest first."""
    newest = LoggedRequest.objects.order_by("-id").values("id")[:among]
    return list(LoggedRequest.objects.filter(id__in=newest, status__range=(500, 599)).order_by("-id")[:shown])


def replays(account_id: int, livemode: bool, first_message_id: str) -> QuerySet[LoggedRequest]:
    """Requests that were answered with the answer of the one that had made this message first, oldest first."""
    mine = LoggedRequest.objects.filter(account_id=account_id, livemode=livemode)
    return mine.filter(message_id=first_message_id, replayed=True).order_by("id")


def use_of_keys(account_id: int, now: datetime, days: int = 7) -> dict[str, Use]:
    """By key, of so many days."""
    since = now.astimezone(UTC) - timedelta(days=days)
    rows = (
        RequestCount.objects.filter(account_id=account_id, hour__gte=since)
        .values("key_id")
        .annotate(all=Sum("requests"), wrong=Sum("errors"))
    )
    return {row["key_id"]: Use(row["all"], row["wrong"]) for row in rows}
