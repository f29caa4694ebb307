"""Bounce addresses of ours (variable envelope return path): the envelope sender of one message, which a bounce mail that comes
back to it proves to be about."""

from sendarix.core import tokens

_PURPOSE = "bounce"
_PREFIX = "b-"


def address(message_id: str, host: str) -> str:
    """The envelope sender of a message, at our host for the bounces of its domain. 41 octets of local part; 64 are allowed."""
    return f"{_PREFIX}{tokens.make(_PURPOSE, message_id)}@{host}"


def read(address: str) -> str | None:
    """The message id an address of ours names, whatever its case or host; None for any other or forged address."""
    local = address.partition("@")[0].lower()
    return tokens.read(_PURPOSE, local[len(_PREFIX) :]) if local.startswith(_PREFIX) else None
