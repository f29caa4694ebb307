"""Forgetting sensitive values: when a message that carries some has ended for as long as its account keeps them, its captured
copies are deleted and its stored body is masked for good. Until then every preview is masked on its way out."""

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, connection, transaction

from messaging import content, templating
from messaging.models import CapturedMail
from sendarix.accounts.models import Account
from sendarix.core import ids

logger = logging.getLogger(__name__)

BATCH = 200
"""Messages of one transaction; after as many that failed a round ends."""


@dataclass(frozen=True, slots=True)
class _Body:
    message_id: str
    html: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class _Kept:
    body: _Body
    secrets: list[str]

    def masked(self) -> _Body:
        return _Body(self.body.message_id, self._masked(self.body.html), self._masked(self.body.text))

    def _masked(self, part: str | None) -> str | None:
        return None if part is None else templating.mask(part, self.secrets)


def redact(now: datetime) -> int:
    """Mask the bodies whose time has come; returns how many messages that were. One whose files can't be deleted is left to the
    next round. Files go first and rows after, in transactions of BATCH messages, so that no file is left that no row names."""
    total = 0
    failed: set[str] = set()
    while len(failed) < BATCH:
        kept = _due(now, failed)
        masked = [body for one in kept if (body := _without_files(one)) is not None]
        failed |= {one.body.message_id for one in kept} - {body.message_id for body in masked}
        total += _write(masked, now) if masked else 0
        if len(kept) < BATCH:
            break
    return total


def _without_files(kept: _Kept) -> _Body | None:
    """The masked body, its message's captured files deleted; None when that failed, whatever a storage raises."""
    message_id = kept.body.message_id
    try:
        for path in CapturedMail.objects.filter(message_id=message_id).values_list("path", flat=True):
            content.delete(path)
        return kept.masked()
    except DatabaseError:
        raise
    except Exception:
        logger.exception("the captured copies of %s can't be deleted; it is not redacted yet", message_id)
        return None


def _due(now: datetime, but: Collection[str]) -> list[_Kept]:
    """Up to BATCH messages old enough by their id, then by their end; one index range per account."""
    accounts = list(Account.objects.values_list("id", "redact_after"))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT q.message_id, q.html, q.text, q.secrets::text
            FROM unnest(%(accounts)s::bigint[], %(bounds)s::text[], %(since)s::timestamptz[]) AS a(account_id, bound, since),
            LATERAL (
                SELECT c.message_id, c.html, c.text, c.secrets FROM message_contents c JOIN messages m ON m.id = c.message_id
                WHERE c.account_id = a.account_id AND c.secrets IS NOT NULL AND c.message_id < a.bound
                    AND m.ended_at < a.since AND c.message_id <> ALL (%(but)s::text[])
                ORDER BY c.message_id LIMIT %(batch)s
            ) q LIMIT %(batch)s
            """,
            {
                "accounts": [account for account, _ in accounts],
                "bounds": [ids.floor("msg", now - kept_for) for _, kept_for in accounts],
                "since": [now - kept_for for _, kept_for in accounts],
                "batch": BATCH,
                "but": list(but),
            },
        )
        return [_Kept(_Body(*body), json.loads(secrets)) for *body, secrets in cursor]


def _write(masked: Sequence[_Body], now: datetime) -> int:
    """Store the bodies, except of a message that somebody else has redacted or sent again meanwhile; returns how many."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            WITH due AS (
                SELECT c.message_id FROM messages m JOIN message_contents c ON c.message_id = m.id
                WHERE c.message_id = ANY(%(ids)s::text[]) AND c.secrets IS NOT NULL AND m.ended_at IS NOT NULL
                ORDER BY c.message_id FOR UPDATE
            )
            UPDATE message_contents c SET html = r.html, text = r.text, subject = shown_subject, secrets = NULL,
                redacted_at = %(now)s
            FROM due JOIN unnest(%(ids)s::text[], %(htmls)s::text[], %(texts)s::text[]) AS r(message_id, html, text)
                USING (message_id)
            WHERE c.message_id = due.message_id
            RETURNING c.message_id
            """,
            {
                "ids": [body.message_id for body in masked],
                "htmls": [body.html for body in masked],
                "texts": [body.text for body in masked],
                "now": now,
            },
        )
        written = [row[0] for row in cursor.fetchall()]
        CapturedMail.objects.filter(message_id__in=written).delete()
    return len(written)
