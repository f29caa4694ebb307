"""What POST /v1/messages/validate answers: the message as it would be sent, and the way it would take."""

from typing import Any

from messaging.delivery import routing
from messaging.models import Tier
from messaging.preparation import LARGE, Prepared
from sendarix.core.times import zulu
from suppressions import services as suppressions


def explain(message: Prepared) -> dict[str, Any]:
    caller = message.caller
    listed = suppressions.suppressed([(caller.account_id, caller.livemode, message.recipient.key)])
    choice = routing.choose(caller.livemode)
    return {
        "recipient": message.recipient_text,
        "from": message.sender,
        "subject": message.subject,
        "html": message.html,
        "text": message.text,
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
