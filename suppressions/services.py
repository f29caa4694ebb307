"""Adding to, taking from and asking the suppression list. Asked twice about each message: reported at acceptance, decided at
delivery. A record whose end has passed counts for nothing, everywhere."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection, transaction

from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.core import ids
from sendarix.core.statements import Statement
from suppressions import expiry, queries
from suppressions.models import Reason, Suppression

BATCH = 5_000
"""Records that one statement adds."""

_LISTED = Statement(
    "listed_recipients",
    """
SELECT s.account_id, s.livemode, s.recipient_key, s.reason
FROM unnest(%(accounts)s::bigint[], %(modes)s::boolean[], %(keys)s::text[]) AS asked(account_id, livemode, recipient_key)
JOIN suppressions s USING (account_id, livemode, recipient_key)
WHERE s.expires_at IS NULL OR s.expires_at > clock_timestamp()
""",
)


def suppressed(pairs: Iterable[tuple[int, bool, str]]) -> dict[tuple[int, bool, str], str]:
    """Which of (account id, livemode, recipient key) must not be mailed, and why. One statement of the caller's
    transaction."""
    accounts, modes, keys = zip(*pairs, strict=True)
    with connection.cursor() as cursor:
        _LISTED.run(cursor, {"accounts": list(accounts), "modes": list(modes), "keys": list(keys)})
        return {(account, mode, key): reason for account, mode, key, reason in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class Entry:
    """One recipient to be suppressed: as shown, and as matched (addresses.Address.key)."""

    recipient: str
    recipient_key: str
    reason: Reason
    message_id: str | None = None
    note: str = ""
    expires_at: datetime | None = None


_OVER = "(s.expires_at <= clock_timestamp()) IS TRUE"
_LONGER = "s.expires_at IS NOT NULL AND (excluded.expires_at IS NULL OR excluded.expires_at > s.expires_at)"
_GRAVITY = f"ARRAY['{Reason.USER_UNSUBSCRIBED}', '{Reason.MANUAL}', '{Reason.HARD_BOUNCE}', '{Reason.SPAM_COMPLAINT}']"
_GRAVER = f"""(NOT %(keep_first)s::boolean
    AND array_position({_GRAVITY}, excluded.reason::text) > array_position({_GRAVITY}, s.reason::text))"""
_NEW_CAUSE = f"{_OVER} OR {_GRAVER}"

_ADD = Statement(
    "add_suppressions",
    f"""
INSERT INTO suppressions AS s (id, account_id, livemode, recipient, recipient_key, reason, message_id, actor, note, expires_at,
    created_at)
SELECT a.id, %(account)s::bigint, %(mode)s::boolean, a.recipient, a.recipient_key, a.reason, a.message_id, %(actor)s::text,
    a.note, a.expires_at, clock_timestamp()
FROM unnest(%(ids)s::text[], %(recipients)s::text[], %(keys)s::text[], %(reasons)s::text[], %(messages)s::text[],
    %(notes)s::text[], %(ends)s::timestamptz[]) AS a(id, recipient, recipient_key, reason, message_id, note, expires_at)
ORDER BY a.recipient_key COLLATE "C"
ON CONFLICT (account_id, livemode, recipient_key) DO UPDATE SET
    id = CASE WHEN {_OVER} THEN excluded.id ELSE s.id END,
    recipient = CASE WHEN {_OVER} THEN excluded.recipient ELSE s.recipient END,
    created_at = CASE WHEN {_OVER} THEN excluded.created_at ELSE s.created_at END,
    reason = CASE WHEN {_NEW_CAUSE} THEN excluded.reason ELSE s.reason END,
    message_id = CASE WHEN {_NEW_CAUSE} THEN excluded.message_id ELSE s.message_id END,
    actor = CASE WHEN {_NEW_CAUSE} THEN excluded.actor ELSE s.actor END,
    note = CASE WHEN {_OVER} THEN excluded.note
        WHEN {_GRAVER} THEN concat_ws('; ', nullif(excluded.note, ''), nullif(s.note, ''), 'was ' || s.reason || ' before')
        ELSE s.note END,
    expires_at = CASE WHEN {_OVER} OR {_LONGER} THEN excluded.expires_at ELSE s.expires_at END
WHERE {_NEW_CAUSE} OR {_LONGER}
RETURNING s.id, s.recipient_key
""",
)


def add(account_id: int, livemode: bool, actor: str, entries: Sequence[Entry], *, keep_first: bool = False) -> set[str]:
    """Suppress the recipients (each key once) in the caller's transaction; the keys of those that were not suppressed before.

    What is suppressed already stays one record: it ends at the later of both ends, and its reason gives way only to a
    graver one (unsubscribed, manual, hard bounce, complaint), so that no override meant for the unsubscribed reaches a dead
    mailbox, somebody who complained or whom the customer forbade to mail. `keep_first`: not even to that. Rows are locked
    in the order of their keys, batch by batch, so that two adders never wait for each other."""
    added = set()
    ordered = sorted(entries, key=lambda entry: entry.recipient_key)
    for start in range(0, len(ordered), BATCH):
        added |= _add(account_id, livemode, actor, ordered[start : start + BATCH], keep_first)
    return added


def _add(account_id: int, livemode: bool, actor: str, entries: Sequence[Entry], keep_first: bool) -> set[str]:
    now = datetime.now(UTC)
    proposed = [ids.new("sup") for _ in entries]
    values = {
        "account": account_id,
        "mode": livemode,
        "actor": actor,
        "keep_first": keep_first,
        "ids": proposed,
        "recipients": [entry.recipient for entry in entries],
        "keys": [entry.recipient_key for entry in entries],
        "reasons": [str(entry.reason) for entry in entries],
        "messages": [entry.message_id for entry in entries],
        "notes": [entry.note for entry in entries],
        "ends": [entry.expires_at or expiry.default_end(entry.reason, now) for entry in entries],
    }
    with connection.cursor() as cursor:
        _ADD.run(cursor, values)
        fresh = set(proposed)
        return {key for number, key in cursor.fetchall() if number in fresh}


def suppress(
    account_id: int,
    livemode: bool,
    recipient: str,
    recipient_key: str,
    reason: Reason,
    message_id: str | None = None,
    *,
    actor: str = "delivery",
    note: str = "",
    expires_at: datetime | None = None,
    keep_first: bool = False,
) -> tuple[Suppression, bool]:
    """The recipient's record and whether it is new; what `add` does to a record that is there. Without `expires_at` it holds as
    long as its reason does (expiry.py)."""
    entry = Entry(bare(recipient), recipient_key, reason, message_id, note, expires_at)
    with transaction.atomic(savepoint=False):
        added = add(account_id, livemode, actor, [entry], keep_first=keep_first)
        record = Suppression.objects.get(account_id=account_id, livemode=livemode, recipient_key=recipient_key)
    return record, bool(added)


def bare(recipient: str) -> str:
    """An address without its display name, otherwise as given."""
    return recipient.rpartition("<")[2].rstrip("> ")


def remove(actor: Actor, record: Suppression, why: str = "") -> bool:
    """Take a record off the list, with an entry in the audit log that holds `why`, if said; False when somebody else just did, or
    when it has got another reason since it was read: whoever forgives an unsubscribe has not forgiven the complaint that came
    meanwhile."""
    with transaction.atomic():
        count, _ = Suppression.objects.filter(pk=record.pk, reason=record.reason).delete()
        if count:
            after = {"why": why} if why else None
            audit.record(actor, "suppression.removed", record.recipient, before=queries.shown(record), after=after)
    return bool(count)


def erase(account_id: int, recipient_key: str, forget: bool) -> int:
    """An address's entries without what was noted of it, or, with `forget`, no entry any more; how many there were."""
    mine = Suppression.objects.filter(account_id=account_id, recipient_key=recipient_key)
    return mine.delete()[0] if forget else mine.update(note="")


def forget_expired() -> int:
    """Delete the records whose end has passed; returns how many. For the housekeeping of one process."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM suppressions WHERE expires_at <= clock_timestamp()")
        return cursor.rowcount
