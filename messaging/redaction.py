"""Forgetting sensitive values: when a message that carries some has ended for as long as its account keeps them, its stored body
is masked for good. Until then every preview is masked on its way out."""

import json
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from messaging import content, templating
from messaging.models import CapturedMail
from sendarix.accounts.models import Account
from sendarix.core import ids

BATCH = 200


@dataclass(frozen=True, slots=True)
class _Kept:
    message_id: str
    html: str | None
    text: str | None
    secrets: list[str]

    def masked(self, part: str | None) -> str | None:
        return None if part is None else templating.mask(part, self.secrets)


def redact(now: datetime) -> int:
    """Mask the bodies whose time has come; returns how many messages that were. Runs in transactions of BATCH messages."""
    total = 0
    while found := _redact_batch(now):
        total += found
        if found < BATCH:
            break
    return total


def _redact_batch(now: datetime) -> int:
    with transaction.atomic():
        kept = _due(now)
        if not kept:
            return 0
        captures = CapturedMail.objects.filter(message_id__in=[one.message_id for one in kept])
        paths = list(captures.values_list("path", flat=True))
        _write([(one.message_id, one.masked(one.html), one.masked(one.text)) for one in kept], now)
        captures.delete()
    for path in paths:
        content.delete(path)
    return len(kept)


def _due(now: datetime) -> list[_Kept]:
    """Messages old enough by their id, then by their end; one index range per account."""
    accounts = list(Account.objects.values_list("id", "redact_after"))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT q.message_id, q.html, q.text, q.secrets::text
            FROM unnest(%(accounts)s::bigint[], %(bounds)s::text[], %(since)s::timestamptz[]) AS a(account_id, bound, since),
            LATERAL (
                SELECT c.message_id, c.html, c.text, c.secrets FROM message_contents c JOIN messages m ON m.id = c.message_id
                WHERE c.account_id = a.account_id AND c.secrets IS NOT NULL AND c.message_id < a.bound
                    AND m.ended_at < a.since
                ORDER BY c.message_id LIMIT %(batch)s FOR UPDATE OF c SKIP LOCKED
            ) q LIMIT %(batch)s
            """,
            {
                "accounts": [account for account, _ in accounts],
                "bounds": [ids.floor("msg", now - kept_for) for _, kept_for in accounts],
                "since": [now - kept_for for _, kept_for in accounts],
                "batch": BATCH,
            },
        )
        return [_Kept(message_id, html, text, json.loads(secrets)) for message_id, html, text, secrets in cursor]


def _write(masked: list[tuple[str, str | None, str | None]], now: datetime) -> None:
    message_ids, htmls, texts = zip(*masked, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE message_contents c SET html = r.html, text = r.text, subject = shown_subject, secrets = NULL,"
            " redacted_at = %s"
            " FROM unnest(%s::text[], %s::text[], %s::text[]) AS r(message_id, html, text) WHERE c.message_id = r.message_id",
            [now, list(message_ids), list(htmls), list(texts)],
        )
