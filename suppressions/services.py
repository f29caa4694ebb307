"""Adding to and asking the suppression list. Asked twice about each message: reported at acceptance, decided at delivery."""

from collections.abc import Iterable

from django.db import connection

from sendarix.core import ids
from sendarix.core.statements import Statement
from suppressions.models import Reason, Suppression

_LISTED = Statement(
    "listed_recipients",
    """
SELECT s.account_id, s.livemode, s.recipient_key, s.reason
FROM unnest(%(accounts)s::bigint[], %(modes)s::boolean[], %(keys)s::text[]) AS asked(account_id, livemode, recipient_key)
JOIN suppressions s USING (account_id, livemode, recipient_key)
""",
)


def suppressed(pairs: Iterable[tuple[int, bool, str]]) -> dict[tuple[int, bool, str], str]:
    """Which of (account id, livemode, recipient key) must not be mailed, and why. One statement of the caller's
    transaction."""
    accounts, modes, keys = zip(*pairs, strict=True)
    with connection.cursor() as cursor:
        _LISTED.run(cursor, {"accounts": list(accounts), "modes": list(modes), "keys": list(keys)})
        return {(account, mode, key): reason for account, mode, key, reason in cursor.fetchall()}


def suppress(
    account_id: int, livemode: bool, recipient: str, recipient_key: str, reason: Reason, message_id: str | None = None
) -> tuple[Suppression, bool]:
    """The recipient's record and whether it is new. An existing record keeps its first reason."""
    return Suppression.objects.get_or_create(
        account_id=account_id,
        livemode=livemode,
        recipient_key=recipient_key,
        defaults={"id": ids.new("sup"), "recipient": recipient, "reason": reason, "message_id": message_id},
    )
