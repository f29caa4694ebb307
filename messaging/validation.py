"""What POST /v1/messages/validate answers: the message as it would be sent, and the way it would take."""

from datetime import UTC, datetime
from random import Random
from typing import Any

from messaging import templating
from messaging.delivery import destinations, routebook, routing
from messaging.models import Tier
from messaging.preparation import LARGE, Prepared
from sendarix.core.times import zulu
from suppressions import services as suppressions


def explain(message: Prepared) -> dict[str, Any]:
    """The answer's body; sensitive values are masked in it, as in every preview."""
    caller = message.caller
    listed = suppressions.suppressed([(caller.account_id, caller.livemode, message.recipient.key)])
    destinations.prefetch([message.recipient.domain])
    choice = routing.choose(routebook.snapshot(), message.facts, datetime.now(UTC), Random())
    return {
        "recipient": message.recipient_text,
        "from": message.sender,
        "subject": message.shown_subject,
        "html": _masked(message.html, message.secrets),
        "text": _masked(message.text, message.secrets),
        "priority": Tier(message.tier).label,
        "status": str(message.status),
        "scheduled_time": zulu(message.scheduled_time),
        "expires_at": zulu(message.expires_at),
        "size": message.size,
        "large": message.size > LARGE,
        "suppressed": next(iter(listed.values()), None),
        "route": choice.explanation,
        "livemode": caller.livemode,
    }


def _masked(part: str | None, secrets: list[str]) -> str | None:
    return templating.mask(part, secrets) if part and secrets else part
