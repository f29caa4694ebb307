"""The audit log: every change of what an account may do or how it is seen, written in the transaction of the change."""

from dataclasses import dataclass
from typing import Any

from sendarix.accounts.models import AuditEntry


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, on which account, and from where; `id` is a key (`key_…`), `user:…`, `operator` (a command of manage.py), or a
    part of the system that acts by itself (`domain-check`). `account_id` None: the whole platform."""

    account_id: int | None
    id: str
    source: str = ""
    request_id: str = ""


def record(
    actor: Actor,
    action: str,
    subject: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add an entry, in the transaction of the change; `before` and `after` hold the fields that changed, never a secret."""
    AuditEntry.objects.create(
        account_id=actor.account_id,
        actor=actor.id,
        action=action,
        subject=subject,
        source=actor.source,
        request_id=actor.request_id,
        before=before,
        after=after,
    )
