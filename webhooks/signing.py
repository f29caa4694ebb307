"""Signatures of Standard Webhooks 1.0 (symmetric, `v1`): HMAC-SHA256 over `id.timestamp.body`. Pure; it knows no tables."""

import base64
import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

PREFIX = "whsec_"

SHORTEST, LONGEST = 24, 64
"""Octets a secret may have, by the specification."""


class SecretError(ValueError):
    """The text is no secret of the form `whsec_` and base64 of 24 to 64 octets."""


def new_key() -> bytes:
    """The octets of a new secret, 32 of them. What the table keeps is `core.vault.seal` of these, for PURPOSE."""
    return os.urandom(32)


PURPOSE = "webhook"
"""What a secret is sealed for in the table."""


def secret(key: bytes) -> str:
    """The secret as its owner gets it: `whsec_…`."""
    return PREFIX + base64.b64encode(key).decode()


def key(secret: str) -> bytes:
    """The octets of a `whsec_…`; raises SecretError."""
    try:
        octets = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        octets = b""
    if not (secret.startswith(PREFIX) and SHORTEST <= len(octets) <= LONGEST):
        raise SecretError(f"expected {PREFIX} and base64 of {SHORTEST} to {LONGEST} octets")
    return octets


def body(event: Mapping[str, Any]) -> bytes:
    """The octets of an event that are signed and sent: JSON in UTF-8."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def headers(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The three headers; one signature for each key, the newest first. `timestamp` in seconds since 1970."""
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(each, signed) for each in keys),
    }


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
