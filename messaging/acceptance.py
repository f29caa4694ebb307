"""Taking a message in. After `accept` returns, everything needed to send it is committed: record of the request, message,
first event, wake-up. There is no other way into the queue."""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg2.errors
from django.db import Error, OperationalError, connection, transaction

from messaging import content, lifecycle
from messaging.models import Attachment
from messaging.preparation import LARGE, Prepared
from sendarix.accounts.keys import Caller
from sendarix.core import jobs
from sendarix.core.errors import Conflict, FieldError, ValidationFailed
from sendarix.core.times import zulu
from suppressions import services as suppressions

DRAIN = "messaging.tasks.drain"
REMEMBERED = timedelta(hours=24)
TWIN_PATIENCE = "4s"
"""How long a request waits for its twin in flight before it is told to come back."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """The caller's idempotency key and the digest of what it stands for."""

    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The 202's body; `replayed` when it is the answer of an earlier request."""

    body: dict[str, Any]
    replayed: bool = False


def ticket(key: str | None, payload: dict[str, Any]) -> Ticket | None:
    """The ticket of a request: equal JSON values make equal fingerprints, whatever their order or spacing."""
    if key is None:
        return None
    canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Ticket(key, hashlib.sha256(canonical.encode()).digest())


def earlier(caller: Caller, asked: Ticket | None) -> Answer | None:
    """The answer this key already got. ValidationFailed `idempotency_key_reused` when it stood for another payload."""
    if asked is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT fingerprint, message_id, body FROM idempotency_keys"
            " WHERE account_id = %s AND livemode = %s AND key = %s AND expires_at > now()",
            [caller.account_id, caller.livemode, asked.key],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    fingerprint, message_id, body = row
    if bytes(fingerprint) != asked.fingerprint:
        message = f"This key was used for another payload, which became {message_id}."
        raise ValidationFailed(
            [FieldError("Idempotency-Key", "idempotency_key_reused", message)],
            code="idempotency_key_reused",
            message=message,
        )
    return Answer(json.loads(body), replayed=True)


def accept(
    caller: Caller, messages: list[Prepared], asked: Ticket | None, request_id: str, *, body_of=lambda bodies: bodies[0]
) -> Answer:
    """Commit the messages together and answer for them; a twin's answer if one was faster.

    `body_of` makes the answer's body of one body per message. Conflict when a twin takes too long; StorageUnavailable when an
    attachment can't be kept. Whatever is raised, nothing is left behind."""
    paths = _store_files(messages)
    try:
        with transaction.atomic():
            bodies = _bodies(messages)
            body = body_of(bodies)
            if asked is not None and not _reserve(caller, asked, body, messages):
                if twin := earlier(caller, asked):
                    _delete_files(paths)
                    return twin
                raise Conflict(code="idempotency_in_flight", retry_after=1)
            _insert(messages, request_id)
            _begin(messages)
    except Error:
        raise  # the commit may have happened all the same: better a file without a message than a message without its file
    except BaseException:
        _delete_files(paths)
        raise
    return Answer(body)


def _bodies(messages: list[Prepared]) -> list[dict[str, Any]]:
    listed = suppressions.suppressed((m.caller.account_id, m.caller.livemode, m.recipient.key) for m in messages)
    return [_body(m, listed.get((m.caller.account_id, m.caller.livemode, m.recipient.key))) for m in messages]


def _body(message: Prepared, suppressed: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "message_id": message.id,
        "status": str(message.status),
        "recipient": message.recipient_text,
        "created_at": zulu(message.created_at),
    }
    if message.scheduled_time:
        body["scheduled_time"] = zulu(message.scheduled_time)
    warnings = []
    if message.size > LARGE:
        warnings.append({"code": "large_message", "message": "Mails over 25 MB are refused by some servers."})
    if suppressed:
        warnings.append(
            {
                "code": "suppressed_recipient",
                "message": f"The recipient is suppressed ({suppressed}); delivery decides.",
            }
        )
    if warnings:
        body["warnings"] = warnings
    return body


def _reserve(caller: Caller, asked: Ticket, body: dict[str, Any], messages: list[Prepared]) -> bool:
    """Enter the key with its answer; False when it is taken. Waits for a twin's transaction to end, but not for ever."""
    start = max((m.scheduled_time for m in messages if m.scheduled_time), default=messages[0].created_at)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SET LOCAL lock_timeout = '{TWIN_PATIENCE}';"
                "INSERT INTO idempotency_keys AS k (account_id, livemode, key, fingerprint, message_id, body, expires_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (account_id, livemode, key) DO UPDATE SET"
                " fingerprint = excluded.fingerprint, message_id = excluded.message_id, body = excluded.body,"
                " expires_at = excluded.expires_at WHERE k.expires_at <= now() RETURNING true",
                [
                    caller.account_id, caller.livemode, asked.key, asked.fingerprint, messages[0].id, json.dumps(body),
                    start + REMEMBERED,
                ],
            )  # fmt: skip
            return cursor.fetchone() is not None
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg2.errors.LockNotAvailable):
            raise Conflict(code="idempotency_in_flight", retry_after=1) from error
        raise


_MESSAGE_COLUMNS = "id, account_id, livemode, status, tier, due_at, waits_for, created_at, scheduled_time, expires_at"
_MESSAGE_REST = "sequence, fence, marked, attempt"
_CONTENT_COLUMNS = (
    "message_id, account_id, livemode, recipient, recipient_key, sender, subject, shown_subject, html, text, reply_to,"
    " headers, template, tags, metadata, sensitive, size, attachment_count, key_id, request_id"
)


def _insert(messages: list[Prepared], request_id: str) -> None:
    """The rows of the messages, in one round trip."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO messages ({_MESSAGE_COLUMNS}, {_MESSAGE_REST}) VALUES "
            + ", ".join(["(%s, %s, %s, %s, %s, coalesce(%s, now()), %s, %s, %s, %s, 1, 0, false, 0)"] * len(messages))
            + f"; INSERT INTO message_contents ({_CONTENT_COLUMNS}) VALUES "
            + ", ".join([f"({', '.join(['%s'] * 13)}, %s::text[], %s, %s::text[], %s, %s, %s, %s)"] * len(messages)),
            [
                *(value for message in messages for value in _message_row(message)),
                *(value for message in messages for value in _content_row(message, request_id)),
            ],
        )
    files = [
        Attachment(
            message_id=message.id, position=position, filename=file.filename, content_type=file.content_type,
            content_id=file.content_id, size=len(file.data), path=file.path,
        )
        for message in messages
        for position, file in enumerate(message.files)
    ]  # fmt: skip
    if files:
        Attachment.objects.bulk_create(files)


def _message_row(m: Prepared) -> tuple:
    waits_for = "scheduled" if m.scheduled_time else "queued"
    return (
        m.id, m.caller.account_id, m.caller.livemode, m.status, m.tier, m.scheduled_time, waits_for, m.created_at,
        m.scheduled_time, m.expires_at,
    )  # fmt: skip


def _content_row(m: Prepared, request_id: str) -> tuple:
    return (
        m.id, m.caller.account_id, m.caller.livemode, m.recipient_text, m.recipient.key, m.sender, m.subject,
        m.shown_subject, m.html, m.text, m.reply_to, json.dumps(m.headers), m.template, m.tags, json.dumps(m.metadata),
        m.sensitive, m.size, len(m.files), m.caller.key_id, request_id,
    )  # fmt: skip


def _begin(messages: list[Prepared]) -> None:
    """First events, and one wake-up if nobody is looking at the queue and none is on its way."""
    lifecycle.begin(
        [
            lifecycle.Beginning(m.id, m.caller.account_id, m.caller.livemode, m.status, m.created_at, _begun(m))
            for m in messages
        ]
    )
    if all(message.scheduled_time for message in messages):
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT FROM delivery_workers WHERE looks_until > clock_timestamp()) OR {jobs.WAITING}"
        )
        if not cursor.fetchone()[0]:
            jobs.enqueue(DRAIN)


def _begun(message: Prepared) -> dict[str, Any]:
    return {"scheduled_time": zulu(message.scheduled_time)} if message.scheduled_time else {}


def _store_files(messages: list[Prepared]) -> list[str]:
    paths: list[str] = []
    try:
        for file in (file for message in messages for file in message.files):
            file.path = content.store(file.data)
            paths.append(file.path)
    except BaseException:
        _delete_files(paths)
        raise
    return paths


def _delete_files(paths: list[str]) -> None:
    for path in paths:
        content.delete(path)
