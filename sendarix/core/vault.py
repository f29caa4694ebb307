"""Secrets at rest: sealed with AES-256-GCM under the newest of the settings' keys, opened with whichever key sealed them.
A sealed text is `v1.<key number>.<base64url of nonce and ciphertext>`, bound to its purpose."""

import functools
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

_NONCE = 12


class VaultError(Exception):
    """A sealed text can't be opened: its key is not configured, or it was not sealed for this purpose."""


def parse(text: str) -> dict[int, bytes]:
    """`2:base64,1:base64` as keys by number, newest first. ValueError says what is wrong with it."""
    keys: dict[int, bytes] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        number, colon, encoded = item.partition(":")
        key = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        if not (colon and number.isdecimal() and len(key) == 32):
            raise ValueError("expected NUMBER:BASE64 with 32 octets, several joined by commas, the newest first")
        keys[int(number)] = key
    if not keys:
        raise ValueError("at least one key is needed")
    return keys


def seal(secret: bytes, purpose: str) -> str:
    """The secret, sealed for this purpose (`dkim`, `webhook`) with the newest key."""
    number = next(iter(settings.ENCRYPTION_KEYS))
    nonce = os.urandom(_NONCE)
    sealed = nonce + _cipher(settings.ENCRYPTION_KEYS[number]).encrypt(nonce, secret, purpose.encode())
    return f"v1.{number}.{urlsafe_b64encode(sealed).decode().rstrip('=')}"


def reveal(sealed: str, purpose: str) -> bytes:
    """The secret of a sealed text; raises VaultError."""
    try:
        version, number, encoded = sealed.split(".")
        key = settings.ENCRYPTION_KEYS.get(int(number)) if version == "v1" else None
        data = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except ValueError:
        raise VaultError("not a sealed text") from None
    if key is None:
        raise VaultError(f"encryption key {number} is not configured")
    try:
        return _cipher(key).decrypt(data[:_NONCE], data[_NONCE:], purpose.encode())
    except (InvalidTag, ValueError):
        raise VaultError("the sealed text was altered, or sealed for something else") from None


def is_current(sealed: str) -> bool:
    """Whether the newest key sealed it."""
    return sealed.split(".")[1:2] == [str(next(iter(settings.ENCRYPTION_KEYS)))]


@functools.lru_cache(maxsize=16)
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(key)
