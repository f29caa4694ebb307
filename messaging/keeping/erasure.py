"""Erasure of an address on request: everything that says who it was is masked for good, in both environments of an account.
Counts and the course of each message stay; what an erasure was about is named by a digest only."""

import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import idna
from django.conf import settings
from django.db import connection, transaction

from messaging import exports, lifecycle
from messaging.keeping import discards, traces
from messaging.lifecycle import Change
from messaging.models import Export, ExportStatus, Message, MessageContent, Status
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.core import addresses, events
from sendarix.core.errors import FieldError, ValidationFailed
from suppressions import imports
from suppressions import services as suppressions

MASK = "[erased]"
BATCH = 200


@dataclass(frozen=True, slots=True)
class Erased:
    """What was masked, by kind; `files_left` are those that the storage would not delete yet. `left` are messages that are being
    sent this moment: ask again when they have ended."""

    digest: str
    counts: dict[str, int]
    left: int


def erase(account_id: int, address: str, actor: Actor, forget_suppression: bool = False) -> Erased:
    """Mask the address of every message to it; waiting ones are canceled. Its entry of the suppression list, which is what keeps
    mail from being sent to it again, loses its note, and goes too when `forget_suppression`. ValidationFailed for what is no
    address."""
    key = addresses.matching(address)
    if not key:
        raise ValidationFailed([FieldError("address", "invalid_value", "This is not one e-mail address.")])
    digest, patterns = _digest(account_id, key), _patterns(address, key)
    counts: Counter[str] = Counter()
    while message_ids := _next(account_id, key):
        canceled = _cancel(message_ids)
        with transaction.atomic():
            ended = traces.locked(message_ids)
            paths = traces.forget_files(account_id, ended)
            counts += _masked(ended, patterns, digest) + Counter({"canceled": canceled})
        deleted = discards.delete(paths)
        counts += Counter({"files": deleted, "files_left": len(paths) - deleted})
        if not ended:
            break
    counts += _elsewhere(account_id, key, patterns, digest, forget_suppression)
    left = MessageContent.objects.filter(account_id=account_id, recipient_key=key).count()
    audit.record(actor, "address.erased", digest, after={"erased": dict(counts), "left": left})
    return Erased(digest, dict(counts), left)


def _digest(account_id: int, key: str) -> str:
    """Equal for equal addresses of an account, and of no use to whoever would guess them without our secret."""
    return (
        "erased:"
        + hmac.new(settings.SECRET_KEY.encode(), f"{account_id}:{key}".encode(), hashlib.sha256).hexdigest()[:32]
    )


def _patterns(address: str, key: str) -> str:
    """A regular expression of the spellings in which replies and reports quote it, where they are an address of their own and
    no end of a longer one. It is read by PostgreSQL, also in the text of JSON."""
    local, _, domain = key.rpartition("@")
    spellings = {key, addresses.parse(address).spec.lower()}
    if "xn--" in domain:
        spellings.add(f"{local}@{idna.decode(domain)}")
    spellings |= {json.dumps(spelling)[1:-1] for spelling in spellings}
    return f"{_BEGINS}(?:{'|'.join(re.escape(spelling) for spelling in sorted(spellings))}){_ENDS}"


_BEGINS = r"(?:(?<![A-Za-z0-9_.+-])|(?<=\\[bfnrt])|(?<=\\u[0-9a-f]{4}))"
"""No character of a local part stands before it, unless that is one of an escape like \\n."""

_ENDS = r"(?![A-Za-z0-9_-]|\.[A-Za-z0-9]|\.[^\x01-\x7f])"
"""No host name goes on behind it; a full stop may, and what Korean appends to a word."""


def _next(account_id: int, key: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT message_id FROM message_contents WHERE account_id = %s AND livemode IN (true, false)"
            " AND recipient_key = %s ORDER BY message_id DESC LIMIT %s",
            [account_id, key, BATCH],
        )
        return [row[0] for row in cursor.fetchall()]


def _cancel(message_ids: Sequence[str]) -> int:
    with transaction.atomic():
        rows = Message.objects.filter(id__in=message_ids, due_at__isnull=False, worker=None).order_by("id")
        changes = [
            Change(
                row.id, Status(row.status), Status.CANCELED, row.fence, row.attempt, "erased", data={"reason": "erased"}
            )
            for row in rows.select_for_update(skip_locked=True)
        ]
        return len(lifecycle.record(changes))


def _masked(message_ids: list[str], patterns: str, digest: str) -> Counter[str]:
    values = {"ids": message_ids, "found": patterns, "mask": MASK, "digest": digest}
    counts = Counter({name: _run(sql, values) for name, sql in _OF_MESSAGES.items()})
    events.erase(message_ids)
    return counts


_OF_MESSAGES = {
    "messages": "UPDATE message_contents SET recipient = %(mask)s, recipient_key = %(digest)s, subject = %(mask)s,"
    " shown_subject = %(mask)s, html = NULL, text = NULL, reply_to = NULL, headers = '{}', metadata = '{}', secrets = NULL,"
    " tags = ARRAY(SELECT regexp_replace(tag, %(found)s, %(mask)s, 'gi') FROM unnest(tags) WITH ORDINALITY t(tag, n) ORDER BY n),"
    " attachment_count = 0, redacted_at = now() WHERE message_id = ANY(%(ids)s)",
    "events": "UPDATE events SET data = regexp_replace(data::text, %(found)s, %(mask)s, 'gi')::jsonb"
    " WHERE message_id = ANY(%(ids)s) AND data::text ~* %(found)s",
    "attempts": "UPDATE attempts SET reply = regexp_replace(reply, %(found)s, %(mask)s, 'gi'),"
    " detail = regexp_replace(detail, %(found)s, %(mask)s, 'gi') WHERE message_id = ANY(%(ids)s)"
    " AND (reply ~* %(found)s OR detail ~* %(found)s)",
    "inbound_mail": "DELETE FROM inbound_mail WHERE message_id = ANY(%(ids)s)",
}


def _elsewhere(account_id: int, key: str, patterns: str, digest: str, forget: bool) -> Counter[str]:
    """What names the address without being one of its messages."""
    counts: Counter[str] = Counter()
    there = Export.objects.filter(account_id=account_id).exclude(status=ExportStatus.EXPIRED)
    for export_id in there.values_list("id", flat=True):
        exports.discard(export_id)
        counts["exports"] += 1
    values = {"account": account_id, "found": patterns, "mask": MASK, "digest": digest}
    with transaction.atomic():
        counts["import_rows"] += imports.erase(account_id, key, patterns, MASK, forget)
        counts += Counter({name: _run(sql, values) for name, sql in _OF_ACCOUNT.items()})
        counts["suppressions"] += suppressions.erase(account_id, key, forget)
        events.erase_address(account_id, key, patterns, MASK)
    return +counts


_OF_ACCOUNT = {
    "events": "UPDATE events SET data = regexp_replace(data::text, %(found)s, %(mask)s, 'gi')::jsonb"
    " WHERE account_id = %(account)s AND message_id IS NULL AND data::text ~* %(found)s",
    "searches": "UPDATE saved_searches SET query = left(regexp_replace(query, %(found)s, %(mask)s, 'gi'), 500),"
    " name = CASE WHEN name ~* %(found)s THEN left(regexp_replace(name, %(found)s, %(mask)s, 'gi'), 40) || ' ' || id"
    " ELSE name END WHERE account_id = %(account)s AND (query ~* %(found)s OR name ~* %(found)s)",
    "queries": "UPDATE exports SET query = regexp_replace(query, %(found)s, %(mask)s, 'gi')"
    " WHERE account_id = %(account)s AND query ~* %(found)s",
    "imports": "UPDATE suppression_import_parts p SET results = regexp_replace(results::text, %(found)s, %(mask)s, 'gi')::jsonb"
    " FROM suppression_imports i WHERE i.id = p.of_id AND i.account_id = %(account)s AND results::text ~* %(found)s",
    "idempotency_keys": "UPDATE idempotency_keys SET body = regexp_replace(body, %(found)s, %(mask)s, 'gi')"
    " WHERE account_id = %(account)s AND body ~* %(found)s",
    "audit_log": "UPDATE audit_log SET subject = regexp_replace(subject, %(found)s, %(digest)s, 'gi'),"
    " before = regexp_replace(before::text, %(found)s, %(digest)s, 'gi')::jsonb,"
    " after = regexp_replace(after::text, %(found)s, %(digest)s, 'gi')::jsonb WHERE account_id = %(account)s"
    " AND (subject ~* %(found)s OR before::text ~* %(found)s OR after::text ~* %(found)s)",
}


def _run(sql: str, values: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.rowcount
