"""The List-Unsubscribe headers of a message (RFC 2369, RFC 8058) and the link in them."""

from django.conf import settings

from sendarix.core import tokens

PURPOSE = "unsubscribe"


def link(message_id: str) -> str:
    """At most 80 characters where PUBLIC_URL has at most 38. A GET shows a page with a button, a POST unsubscribes the message's
    recipient: see messaging.inbound.unsubscribes."""
    return f"{settings.PUBLIC_URL}/u/{tokens.make(PURPOSE, message_id)}"


def headers(message_id: str) -> tuple[tuple[str, str], ...]:
    """Names and values; RFC 8058 section 4 wants both covered by the DKIM signature."""
    return (
        ("List-Unsubscribe", f"<{link(message_id)}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    )
