"""Taking a message in. After `accept` returns, everything needed to send it is committed: record of the request, message,
first event, wake-up. There is no other way into the queue."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from operator import itemgetter
from typing import Any

import psycopg2.errors
from django.db import Error, OperationalError, connection, transaction

from messaging import content, lifecycle
from messaging.delivery import queue
from messaging.headers import IDEMPOTENCY_NAMES
from messaging.models import Attachment, IdempotencyKey
from messaging.preparation import LARGE, Prepared
from sendarix.accounts.keys import Caller
from sendarix.core import jobs
from sendarix.core.errors import Conflict, FieldError, ValidationFailed
from sendarix.core.statements import Statement
from sendarix.core.times import zulu
from suppressions.models import Reason

REMEMBERED = timedelta(hours=24)
TWIN_PATIENCE = "4s"
"""How long a request waits for its twin in flight before it is told to come back."""

MOST_AT_ONCE = 20
"""Of more messages one is suppressed too often to try without a transaction first."""


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


BodyOf = Callable[[list[dict[str, Any]]], dict[str, Any]]


def ticket(key: str | None, payload: dict[str, Any]) -> Ticket | None:
    """The ticket of a request: equal JSON values make equal fingerprints, whatever their order or spacing, and wherever the key
    itself was given."""
    if key is None:
        return None
    if isinstance(custom := payload.get("headers"), dict):
        kept = {name: value for name, value in custom.items() if name.lower() not in IDEMPOTENCY_NAMES}
        payload = {name: value for name, value in payload.items() if name != "headers"} | (
            {"headers": kept} if kept else {}
        )
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
    caller: Caller, messages: list[Prepared], asked: Ticket | None, request_id: str, body_of: BodyOf = itemgetter(0)
) -> Answer:
    """Commit the messages together and answer for them; a twin's answer if one was faster.

    `body_of` makes the answer's body of one body per message. Conflict when a twin takes too long; StorageUnavailable when an
    attachment can't be kept. Whatever is raised, nothing is left behind."""
    paths = _store_files(messages)
    try:
        usual = not paths and not caller.listened and len(messages) <= MOST_AT_ONCE
        answer = _at_once(caller, messages, asked, request_id, body_of) if usual else None
        if answer is None:
            with transaction.atomic():
                answer = _commit(caller, messages, asked, request_id, body_of)
    except Error:
        raise  # the commit may have happened all the same: better a file without a message than a message without its file
    except BaseException:
        _delete_files(paths)
        raise
    if answer.replayed:
        _delete_files(paths)
    return answer


def _at_once(
    caller: Caller, messages: list[Prepared], asked: Ticket | None, request_id: str, body_of: BodyOf
) -> Answer | None:
    """The usual case, where nothing depends on what the statement finds: it is its own transaction. None when it is not the usual
    case (the idempotency key is taken, a recipient is suppressed, the account has endpoints by now); then it has done nothing."""
    body = body_of([_body(message, None) for message in messages])
    inserted = _insert(caller, messages, asked, request_id, body, alone=True)
    if inserted is None:
        return None
    if inserted.wake:
        with suppress(Error):  # it is committed, and the dispatcher finds what is due
            jobs.enqueue(queue.DRAIN)
    return Answer(body)


def _commit(caller: Caller, messages: list[Prepared], asked: Ticket | None, request_id: str, body_of: BodyOf) -> Answer:
    body = body_of([_body(message, None) for message in messages])
    inserted = _insert(caller, messages, asked, request_id, body)
    if inserted is None:
        if asked is not None and (twin := earlier(caller, asked)):
            return twin
        raise Conflict(code="idempotency_in_flight", retry_after=1)
    lifecycle.announce([_begun(message) for message in messages], inserted.numbers)
    if inserted.suppressed:
        body = body_of([_body(message, inserted.suppressed.get(message.id)) for message in messages])
        _amend(caller, asked, body)
    if files := _attachments(messages):
        Attachment.objects.bulk_create(files)
    if inserted.wake:
        jobs.enqueue(queue.DRAIN)
    return Answer(body)


def _body(message: Prepared, suppressed: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "message_id": message.id,
        "status": message.status,
        "recipient": message.recipient_text,
        "created_at": zulu(message.created_at),
    }
    if message.scheduled_time:
        body["scheduled_time"] = zulu(message.scheduled_time)
    warnings = list(message.warnings)
    if message.size > LARGE:
        warnings.append({"code": "large_message", "message": "Mails over 25 MB are refused by some servers."})
    if suppressed and not (message.override and suppressed == Reason.USER_UNSUBSCRIBED):
        text = f"The recipient is suppressed ({suppressed}); delivery decides."
        warnings.append({"code": "suppressed_recipient", "message": text})
    if warnings:
        body["warnings"] = warnings
    return body


@dataclass(frozen=True, slots=True)
class _Inserted:
    """`numbers` of the first events and `suppressed` (reasons) by message id; `wake` when something is due and nobody is about to
    look at the queue."""

    numbers: dict[str, int]
    suppressed: dict[str, str]
    wake: bool


_ACCEPT = Statement(
    "accept_messages",
    f"""
WITH listed AS MATERIALIZED (
    SELECT asked.id, s.reason FROM unnest(%(ids)s::text[], %(recipient_keys)s::text[]) AS asked(id, recipient_key)
    JOIN suppressions s ON s.account_id = %(account)s::bigint AND s.livemode = %(mode)s::boolean
        AND s.recipient_key = asked.recipient_key AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())
), meant AS MATERIALIZED (
    SELECT NOT (%(alone)s::boolean AND (listened OR EXISTS (SELECT FROM listed))) AS now
    FROM accounts WHERE id = %(account)s::bigint
), reserved AS (
    INSERT INTO idempotency_keys AS k (account_id, livemode, key, fingerprint, message_id, body, expires_at)
    SELECT %(account)s::bigint, %(mode)s::boolean, %(key)s::text, %(fingerprint)s::bytea, (%(ids)s::text[])[1],
        %(body)s::text, %(remembered)s::timestamptz
    FROM meant WHERE now AND %(key)s::text IS NOT NULL
    ON CONFLICT (account_id, livemode, key) DO UPDATE SET fingerprint = excluded.fingerprint,
        message_id = excluded.message_id, body = excluded.body, expires_at = excluded.expires_at
        WHERE k.expires_at <= now()
    RETURNING true
), accepted AS (
    SELECT %(account)s::bigint AS account_id, %(mode)s::boolean AS livemode, %(at)s::timestamptz AS at, asked.*
    FROM unnest(%(ids)s::text[], %(statuses)s::text[], %(tiers)s::smallint[], %(scheduled)s::timestamptz[],
        %(expires)s::timestamptz[], %(recipients)s::text[], %(recipient_keys)s::text[], %(senders)s::text[],
        %(subjects)s::text[], %(shown)s::text[], %(htmls)s::text[], %(texts)s::text[], %(reply_to)s::text[],
        %(headers)s::jsonb[], %(templates)s::text[], %(tags)s::jsonb[], %(metadata)s::jsonb[], %(sensitive)s::jsonb[],
        %(sizes)s::int[], %(files)s::smallint[], %(begun)s::jsonb[], %(versions)s::int[], %(locales)s::text[],
        %(secrets)s::jsonb[], %(unsubscribes)s::boolean[], %(overrides)s::boolean[])
        AS asked(id, status, tier, scheduled_time, expires_at, recipient, recipient_key, sender, subject, shown_subject,
            html, text, reply_to, headers, template, tags, metadata, sensitive, size, attachment_count, data,
            template_version, locale, secrets, unsubscribe, override)
    WHERE CASE WHEN %(key)s::text IS NULL THEN (SELECT now FROM meant) ELSE EXISTS (SELECT FROM reserved) END
), queued AS (
    INSERT INTO messages (id, account_id, livemode, status, tier, due_at, waits_for, created_at, scheduled_time, expires_at,
        sequence, fence, marked, attempt)
    SELECT id, account_id, livemode, status, tier, coalesce(scheduled_time, now()), status, at, scheduled_time, expires_at,
        1, 0, false, 0
    FROM accepted
), filled AS (
    INSERT INTO message_contents (message_id, account_id, livemode, recipient, recipient_key, sender, subject, shown_subject,
        html, text, reply_to, headers, template, tags, metadata, sensitive, size, attachment_count, key_id, request_id,
        template_version, locale, secrets, unsubscribe, override, tier)
    SELECT id, account_id, livemode, recipient, recipient_key, sender, subject, shown_subject, html, text, reply_to, headers,
        template, ARRAY(SELECT jsonb_array_elements_text(tags)), metadata,
        ARRAY(SELECT jsonb_array_elements_text(sensitive)), size, attachment_count, %(api_key)s::text, %(request)s::text,
        template_version, locale, secrets, unsubscribe, override, tier
    FROM accepted
), begun AS ({lifecycle.BEGIN})
SELECT b.number, b.message_id, l.reason,
    NOT EXISTS (SELECT FROM delivery_workers WHERE looks_until > clock_timestamp()) AND NOT {jobs.waits(jobs.DELIVERY)}
FROM begun b LEFT JOIN listed l ON l.id = b.message_id
""",
)


def _insert(
    caller: Caller,
    messages: list[Prepared],
    asked: Ticket | None,
    request_id: str,
    body: dict[str, Any],
    alone: bool = False,
) -> _Inserted | None:
    """Everything about the messages in one statement; None when the idempotency key is taken, and when the statement stands
    `alone` and somebody is to be told more than it tells (_at_once).

    A twin's uncommitted key makes the statement wait for the end of its transaction, TWIN_PATIENCE at most."""
    start = max((m.scheduled_time for m in messages if m.scheduled_time), default=messages[0].created_at)
    values = {
        "alone": alone,
        "account": caller.account_id,
        "mode": caller.livemode,
        "api_key": caller.key_id,
        "request": request_id,
        "at": messages[0].created_at,
        "key": asked.key if asked else None,
        "fingerprint": asked.fingerprint if asked else None,
        "body": json.dumps(body) if asked else None,
        "remembered": start + REMEMBERED,
        "ids": [m.id for m in messages],
        "statuses": [m.status for m in messages],
        "tiers": [m.tier for m in messages],
        "scheduled": [m.scheduled_time for m in messages],
        "expires": [m.expires_at for m in messages],
        "recipients": [m.recipient_text for m in messages],
        "recipient_keys": [m.recipient.key for m in messages],
        "senders": [m.sender for m in messages],
        "subjects": [m.subject for m in messages],
        "shown": [m.shown_subject for m in messages],
        "htmls": [m.html for m in messages],
        "texts": [m.text for m in messages],
        "reply_to": [m.reply_to for m in messages],
        "headers": [json.dumps(m.headers) for m in messages],
        "templates": [m.template for m in messages],
        "tags": [json.dumps(m.tags) for m in messages],
        "metadata": [json.dumps(m.metadata) for m in messages],
        "sensitive": [json.dumps(m.sensitive) for m in messages],
        "sizes": [m.size for m in messages],
        "files": [len(m.files) for m in messages],
        "begun": [json.dumps(_begun(m).data) for m in messages],
        "versions": [m.template_version for m in messages],
        "locales": [m.locale for m in messages],
        "secrets": [json.dumps(m.secrets) if m.secrets else None for m in messages],
        "unsubscribes": [m.unsubscribe for m in messages],
        "overrides": [m.override for m in messages],
    }
    rows = _patiently(values, first=f"SET LOCAL lock_timeout = '{TWIN_PATIENCE}'" if asked else "")
    if not rows:
        return None
    return _Inserted(
        numbers={message_id: number for number, message_id, *_ in rows},
        suppressed={message_id: reason for _, message_id, reason, _ in rows if reason},
        wake=rows[0][3] and not all(message.scheduled_time for message in messages),
    )


def _patiently(values: dict[str, Any], first: str) -> list[tuple]:
    try:
        with connection.cursor() as cursor:
            _ACCEPT.run(cursor, values, first=first)
            return cursor.fetchall()
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg2.errors.LockNotAvailable):
            raise Conflict(code="idempotency_in_flight", retry_after=1) from error
        raise


def _begun(message: Prepared) -> lifecycle.Beginning:
    data = {"scheduled_time": zulu(message.scheduled_time)} if message.scheduled_time else {}
    caller = message.caller
    return lifecycle.Beginning(message.id, caller.account_id, caller.livemode, message.status, message.created_at, data)


def _amend(caller: Caller, asked: Ticket | None, body: dict[str, Any]) -> None:
    """Keep the answer as it is given: warnings are known only after the insert."""
    if asked is not None:
        known = IdempotencyKey.objects.filter(account_id=caller.account_id, livemode=caller.livemode, key=asked.key)
        known.update(body=json.dumps(body))


def _attachments(messages: list[Prepared]) -> list[Attachment]:
    return [
        Attachment(
            message_id=message.id,
            position=position,
            filename=file.filename,
            content_type=file.content_type,
            content_id=file.content_id,
            size=len(file.data),
            path=file.path,
        )
        for message in messages
        for position, file in enumerate(message.files)
    ]


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
