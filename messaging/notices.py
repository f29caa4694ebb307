"""Mails of the platform's own (alerts, password resets, invitations), which go the way of every other mail: as messages of an
account that is named by SENDARIX_PLATFORM_ACCOUNT, from SENDARIX_PLATFORM_SENDER."""

from datetime import UTC, datetime

from django.conf import settings
from django.db import transaction

from messaging import acceptance, preparation
from messaging.domains import registry
from sendarix.accounts import audit
from sendarix.accounts.keys import Caller
from sendarix.accounts.models import Account, Plan
from sendarix.core import addresses, ids
from sendarix.core.errors import Unavailable

KEY = "notices"
"""What stands in place of an API key with these messages."""


def sender() -> Caller:
    """The platform as a caller; its account is made when it is missing, in development with the sender's domain. Raises
    Unavailable while no sender is set."""
    if not settings.PLATFORM_SENDER:
        raise Unavailable(message="SENDARIX_PLATFORM_SENDER is not set: the platform can't send mail.")
    account = Account.objects.filter(slug=settings.PLATFORM_ACCOUNT).first() or _opened()
    return Caller(account.pk, account.slug, KEY, True, frozenset({"messages:send"}), (), settings.PLATFORM_SENDER)


def send(caller: Caller, recipient: str, subject: str, text: str, tag: str, html: str | None = None) -> str:
    """Accept one mail, in the transaction of the caller if there is one; its message id. `caller` is `sender()`'s answer. Raises
    what acceptance raises: ValidationFailed where the sender's domain is not the platform account's."""
    payload = {"recipient": recipient, "subject": subject, "text": text, "tags": [tag], "priority": "high"}
    prepared = preparation.prepare(payload | ({"html": html} if html else {}), caller, datetime.now(UTC))
    return acceptance.accept(caller, [prepared], None, ids.new("req")).body["message_id"]


def _opened() -> Account:
    fields = {"name": "Sendarix", "plan": Plan.ENTERPRISE, "sender_policy": settings.SENDER_POLICY}
    with transaction.atomic():
        account, new = Account.objects.get_or_create(slug=settings.PLATFORM_ACCOUNT, defaults=fields)
        if new:
            actor = audit.operator(account)
            audit.record(actor, "account.created", account.slug, after={"name": account.name})
            if settings.DEVELOPMENT:
                registry.add(account.pk, addresses.parse(settings.PLATFORM_SENDER).domain, actor, trusted=True)
    return account
