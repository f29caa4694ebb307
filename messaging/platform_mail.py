"""Mail of the platform itself (password resets, invitations, alerts): accepted like any other, from an account of its own, so
that it is queued, signed, retried and shown like any other."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from messaging import acceptance
from messaging.preparation import prepare
from sendarix.accounts import audit
from sendarix.accounts.keys import ORDINARY, Caller
from sendarix.accounts.models import Account, Plan, SenderPolicy
from sendarix.core import addresses, ids

SLUG = "sendarix-platform"


class NoSender(Exception):
    """SENDARIX_PLATFORM_SENDER is not set, so the platform has no address to send from."""


def send(recipient: str, subject: str, text: str, html: str | None = None, **fields: Any) -> str:
    """Accept a mail and return its message id; `fields` are further ones of POST /v1/messages. Raises NoSender, and what
    acceptance raises."""
    if not settings.PLATFORM_SENDER:
        raise NoSender("Set SENDARIX_PLATFORM_SENDER to the address that the platform's own mail comes from.")
    payload = {"recipient": recipient, "subject": subject, "text": text, "priority": "high", **fields}
    caller = _caller()
    message = prepare(payload | ({"html": html} if html else {}), caller, datetime.now(UTC))
    return acceptance.accept(caller, [message], None, ids.new("req")).body["message_id"]


def account() -> Account:
    """The platform's own account, made when first needed; manage.py add_domain registers its sender domain."""
    fields = {"name": "Sendarix", "plan": Plan.ENTERPRISE, "sender_policy": SenderPolicy.REGISTERED}
    made, new = Account.objects.get_or_create(slug=SLUG, defaults=fields)
    if new:
        audit.record(audit.operator(made), "account.created", SLUG, after={"name": made.name})
    return made


def domain() -> str:
    """The domain the platform's mail comes from, or an empty string."""
    return addresses.parse(settings.PLATFORM_SENDER).domain if settings.PLATFORM_SENDER else ""


def _caller() -> Caller:
    own = account()
    return Caller(own.pk, own.slug, "platform", True, frozenset(ORDINARY), (), settings.PLATFORM_SENDER)
