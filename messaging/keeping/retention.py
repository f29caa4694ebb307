"""Retention: what is older than its account keeps it is deleted in small transactions, and a row of retention_runs says what was
deleted and what was found afterwards. Mail that has not ended is never touched."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from messaging.keeping import discards, traces
from messaging.models import RetentionRun
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account
from sendarix.core import ids
from sendarix.core.times import zulu

BATCH = 500
MOST = 50_000
"""Messages of one account and kind in one round; the next round goes on."""

REQUESTS = 5_000


@dataclass(frozen=True, slots=True)
class Kind:
    """`keeps` is the account's days; `batch` deletes up to one batch before a time and says what, empty when there was none;
    `oldest` is the time of the oldest thing left that may go; `files`: the storage may keep some of it."""

    name: str
    keeps: Callable[[Account], int]
    batch: Callable[[int, datetime], Counter[str]]
    oldest: Callable[[int], datetime | None]
    files: bool = False


def run(now: datetime | None = None) -> list[RetentionRun]:
    """One round over all accounts; the runs that deleted something, or could not delete all."""
    at = now or datetime.now(UTC)
    runs = [_round(account, kind, at) for account in Account.objects.order_by("id") for kind in KINDS]
    return [one for one in runs if one is not None]


def _round(account: Account, kind: Kind, now: datetime) -> RetentionRun | None:
    cutoff = now - timedelta(days=kind.keeps(account))
    deleted: Counter[str] = Counter()
    for _ in range(MOST // BATCH):
        gone = kind.batch(account.pk, cutoff)
        deleted += gone
        if not gone:
            break
    oldest = kind.oldest(account.pk)
    complete = (oldest is None or oldest >= cutoff) and not (kind.files and discards.left(account.pk))
    if complete and not deleted:
        return None
    made = RetentionRun(account=account, at=now, kind=kind.name, cutoff=cutoff, oldest_left=oldest, complete=complete)
    made.deleted = dict(deleted)
    _prove(made)
    return made


def _prove(made: RetentionRun) -> None:
    with transaction.atomic():
        made.save()
        after = {
            "cutoff": zulu(made.cutoff),
            "deleted": made.deleted,
            "oldest_left": zulu(made.oldest_left),
            "complete": made.complete,
        }
        audit.record(Actor(made.account_id, "retention"), "retention.applied", made.kind, after=after)


_WITH_BODY = "(c.html IS NOT NULL OR c.text IS NOT NULL)"
"""The condition of the index contents_with_body (migration 0012)."""


def _bodies(account: int, cutoff: datetime) -> Counter[str]:
    rows = _rows(
        "SELECT c.message_id FROM message_contents c JOIN messages m ON m.id = c.message_id"
        f" WHERE c.account_id = %s AND {_WITH_BODY} AND c.message_id < %s AND m.due_at IS NULL AND m.worker IS NULL"
        " ORDER BY c.message_id LIMIT %s",
        [account, ids.floor("msg", cutoff), BATCH],
    )
    with transaction.atomic(), connection.cursor() as cursor:
        ended = traces.locked([row[0] for row in rows])
        paths = traces.forget_files(account, ended)
        cursor.execute(
            "UPDATE message_contents SET html = NULL, text = NULL, secrets = NULL, subject = shown_subject,"
            " redacted_at = coalesce(redacted_at, now()) WHERE message_id = ANY(%s)",
            [ended],
        )
        gone = Counter({"bodies": cursor.rowcount})
    return +(gone + Counter({"files": discards.delete(paths)}))


def _oldest_body(account: int) -> datetime | None:
    rows = _rows(
        "SELECT c.message_id FROM message_contents c JOIN messages m ON m.id = c.message_id"
        f" WHERE c.account_id = %s AND {_WITH_BODY} AND m.due_at IS NULL AND m.worker IS NULL"
        " ORDER BY c.message_id LIMIT 1",
        [account],
    )
    return ids.made_at(rows[0][0]) if rows else None


def _messages(account: int, cutoff: datetime) -> Counter[str]:
    """With their events, attempts and files; then events about no message."""
    rows = _rows(
        f"SELECT id FROM ({_ENDED}) q WHERE id < %(floor)s ORDER BY id LIMIT %(batch)s",
        {"account": account, "floor": ids.floor("msg", cutoff), "batch": BATCH},
    )
    if rows:
        with transaction.atomic():
            ended = traces.locked([row[0] for row in rows])
            paths = traces.forget_files(account, ended)
            gone = Counter(traces.forget(ended))
        return +(gone + Counter({"files": discards.delete(paths)}))
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE account_id = %s AND livemode IN (true, false)"
            " AND at < %s AND message_id IS NULL LIMIT %s)",
            [account, cutoff, BATCH],
        )
        return +Counter({"events": cursor.rowcount})


_ENDED = " UNION ALL ".join(
    f"(SELECT id FROM messages WHERE account_id = %(account)s AND livemode = {mode} AND due_at IS NULL AND worker IS NULL"
    " AND id < %(floor)s ORDER BY id LIMIT %(batch)s)"
    for mode in ("true", "false")
)


def _oldest_message(account: int) -> datetime | None:
    rows = _rows(f"SELECT min(id) FROM ({_ENDED}) q", {"account": account, "floor": "msg_~", "batch": 1})
    return ids.made_at(rows[0][0]) if rows[0][0] else None


def _requests(account: int, cutoff: datetime) -> Counter[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM api_requests WHERE id IN (SELECT id FROM api_requests WHERE account_id = %s"
            " AND livemode IN (true, false) AND id < %s LIMIT %s)",
            [account, ids.floor("req", cutoff), REQUESTS],
        )
        gone = cursor.rowcount
        cursor.execute(
            "DELETE FROM request_counts WHERE account_id = %s AND hour < date_trunc('hour', %s)", [account, cutoff]
        )
    return +Counter({"requests": gone})


def _oldest_request(account: int) -> datetime | None:
    rows = _rows(
        "SELECT min(id) FROM (SELECT (SELECT min(id) FROM api_requests WHERE account_id = %s AND livemode = mode) AS id"
        " FROM (VALUES (true), (false)) AS m(mode)) q",
        [account],
    )
    return ids.made_at(rows[0][0]) if rows[0][0] else None


KINDS = (
    Kind("bodies", lambda account: account.keep_bodies, _bodies, _oldest_body, files=True),
    Kind("messages", lambda account: account.keep_messages, _messages, _oldest_message, files=True),
    Kind("requests", lambda account: account.keep_requests, _requests, _oldest_request),
)


def _rows(sql: str, values: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()
