"""What happens to deliveries when their messages are erased or deleted. A delivery holds no payload (that is the event's, which
is masked where it is kept), but an endpoint's reply may repeat it."""

from collections.abc import Sequence

from django.db import connection

_OF_MESSAGES = "delivery_id IN (SELECT id FROM webhook_deliveries WHERE message_id = ANY(%s))"


def erase(sender: object, message_ids: Sequence[str], **_: object) -> None:
    """The receiver of core.events.erased."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE webhook_attempts SET reply = '', reply_headers = '{{}}', detail = '' WHERE {_OF_MESSAGES}",
            [list(message_ids)],
        )


def forget(sender: object, message_ids: Sequence[str], **_: object) -> None:
    """The receiver of core.events.forgotten."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM webhook_attempts WHERE {_OF_MESSAGES}", [list(message_ids)])
        cursor.execute("DELETE FROM webhook_deliveries WHERE message_id = ANY(%s)", [list(message_ids)])
