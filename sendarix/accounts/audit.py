"""The audit log: every change of what an account may do or how it is seen, written in the transaction of the change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from sendarix.accounts.models import Account, AuditEntry


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, on which account, and from where; `id` is a key (`key_…`), `user:…`, `operator` (a command of manage.py), or a
    part of the system that acts by itself (`domain-check`). `account_id` None: the whole platform."""

    account_id: int | None
    id: str
    source: str = ""
    request_id: str = ""


def operator(account: Account) -> Actor:
    """Whoever runs manage.py."""
    return Actor(account.pk, "operator")


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


def entries(
    account_id: int,
    *,
    action: str | None = None,
    subject: str | None = None,
    actor: str | Sequence[str] | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
) -> QuerySet[AuditEntry]:
    """What was done on an account, newest first, narrowed by whatever is given: by an `actor` or several; `created_before` is
    exclusive."""
    actors = [actor] if isinstance(actor, str) else actor
    exact = {
        "action": action,
        "subject": subject,
        "actor__in": actors,
        "at__gte": created_after,
        "at__lt": created_before,
    }
    wanted = {name: value for name, value in exact.items() if value is not None}
    return AuditEntry.objects.filter(account_id=account_id, **wanted).order_by("-id")
