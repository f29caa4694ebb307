"""Bodies and addresses for those who see them masked: shown of one message at a time, remembered for the session, and in the
audit log before anything is shown."""

from django.http import HttpRequest

from messaging import queries
from sendarix.accounts import audit
from sendarix.dashboard.pages import Visit

KEPT = "revealed"
"""In the session: ids of messages, oldest first."""

MOST = 200


def revealed(request: HttpRequest, visit: Visit, message_id: str) -> bool:
    if visit.may("messages.unmasked"):
        return True
    return visit.may("messages.reveal") and message_id in request.session.get(KEPT, [])


def reveal(request: HttpRequest, visit: Visit, message_id: str) -> None:
    """Raises NotFound."""
    message = queries.one(visit.caller, message_id)
    if revealed(request, visit, message.id):
        return
    audit.record(visit.actor, "message.revealed", message.id)
    request.session[KEPT] = [*request.session.get(KEPT, []), message.id][-MOST:]
