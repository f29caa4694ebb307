"""Short signed references to a message for the world outside: in unsubscribe links and bounce addresses. Lower-case letters and
digits only, because local parts and links are sometimes put into lower case on their way."""

import hashlib
import hmac
from base64 import b32encode

from django.conf import settings

_ID = 26
_MAC = 13
LENGTH = _ID + _MAC


def make(purpose: str, message_id: str) -> str:
    """LENGTH characters that name the message and prove, for this purpose only, that we wrote them."""
    reference = message_id.partition("_")[2]
    return reference + _mac(settings.SECRET_KEY, purpose, reference)


def read(purpose: str, token: str) -> str | None:
    """The message id of a token we made, whatever its case; None for any other text."""
    token = token.lower()
    if len(token) != LENGTH or not token.isalnum() or not token.isascii():
        return None
    reference, mac = token[:_ID], token[_ID:]
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        if hmac.compare_digest(mac, _mac(secret, purpose, reference)):
            return f"msg_{reference}"
    return None


def _mac(secret: str, purpose: str, reference: str) -> str:
    """65 bits of HMAC-SHA256: guessing one costs 10^19 requests."""
    digest = hmac.digest(secret.encode(), f"sendarix.{purpose}:{reference}".encode(), hashlib.sha256)
    return b32encode(digest).decode().lower()[:_MAC]
