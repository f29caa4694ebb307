"""API keys: making a token, reading it from a request, taking it back. A token is in clear only where it is shown
once and in the caller's hands; here it is a SHA-256 digest, because 238 bits of chance need no slow hash."""

import hashlib
import ipaddress
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account, ApiKey
from sendarix.core import addresses, ids
from sendarix.core.times import zulu

SCOPES = (
    "messages:send",
    "messages:read",
    "suppressions:read",
    "suppressions:write",
    "templates:read",
    "templates:write",
    "domains:read",
    "domains:write",
    "webhooks:read",
    "webhooks:write",
    "routing:read",
    "routing:write",
    "analytics:read",
    "alerts:write",
    "events:read",
    "audit:read",
    "suppressions:override",
    "queues:purge",
)
"""Everything a key can be allowed."""

MEANT = frozenset({"suppressions:override", "queues:purge"})
"""What no key is allowed unless it is said."""

ORDINARY = tuple(scope for scope in SCOPES if scope not in MEANT)
"""What a key is allowed when nothing is said."""

LIVE_ONLY = frozenset({"templates:write", "domains:write", "routing:write"})
"""What changes things that both environments share, and live mail depends on: whatever its scopes, a test key may not."""

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 40
_bearer = re.compile(r"[Bb]earer +(sk_(?:live|test)_[0-9A-Za-z]{40,100}) *", re.ASCII).fullmatch


class KeyFault(ValueError):
    """A key can't be made as asked; the message says why, `field` which argument of `make` is wrong."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Caller:
    """The key behind a request and what it may do. `default_sender` is the key's, else the account's, else empty. `listened`:
    when it was looked up, the account had somebody to tell of its messages, or might have."""

    account_id: int
    account_slug: str
    key_id: str
    livemode: bool
    scopes: frozenset[str]
    sender_domains: tuple[str, ...]
    default_sender: str
    listened: bool = True


def digest(token: str) -> str:
    """What is stored and looked up in place of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def digest_of_header(authorization: str) -> str | None:
    """The digest of a bearer token, or None when the header holds nothing that could be one."""
    found = _bearer(authorization)
    return digest(found[1]) if found else None


def make(
    account: Account,
    *,
    livemode: bool,
    scopes: Iterable[str] = ORDINARY,
    name: str = "",
    expires_at: datetime | None = None,
    source_ips: Iterable[str] = (),
    sender_domains: Iterable[str] = (),
    default_sender: str = "",
    actor: Actor | None = None,
) -> tuple[ApiKey, str]:
    """Store a new key and return it with its token, which can't be read again. Raises KeyFault.

    With an actor it is in the audit log."""
    token = f"sk_{'live' if livemode else 'test'}_" + "".join(secrets.choice(_BASE62) for _ in range(_LENGTH))
    limits = {
        "livemode": livemode,
        "name": name,
        "scopes": _known_scopes(scopes),
        "source_ips": _networks(source_ips),
        "sender_domains": _domains(sender_domains),
        "default_sender": _sender(default_sender),
    }
    with transaction.atomic():
        key = ApiKey.objects.create(
            id=ids.new("key"), account=account, digest=digest(token), last4=token[-4:], expires_at=expires_at, **limits
        )
        after = {**limits, "last4": key.last4, "expires_at": zulu(expires_at)}
        if actor is not None:
            audit.record(actor, "api_key.created", key.id, after=after)
    return key, token


def revoke(key: ApiKey, actor: Actor | None = None) -> None:
    """Take a key back: the next request with it is a 401. Revoking twice keeps the first time. With an actor it is in the audit
    log, once."""
    with transaction.atomic():
        at = timezone.now()
        if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=at) and actor is not None:
            before = {"name": key.name, "last4": key.last4, "revoked_at": None}
            audit.record(actor, "api_key.revoked", key.id, before=before, after={**before, "revoked_at": zulu(at)})
    key.refresh_from_db()


def rotate(key: ApiKey, overlap: timedelta, actor: Actor) -> tuple[ApiKey, str]:
    """A key with the limits of this one and a life as long, and its token, which can't be read again; the older key ends after
    `overlap`, at once when that is nothing, never later than it would have. Raises KeyFault when it has ended."""
    with transaction.atomic():
        old = ApiKey.objects.select_for_update(no_key=True, of=("self",)).select_related("account").get(pk=key.pk)
        now = timezone.now()
        if old.revoked_at or (old.expires_at and old.expires_at <= now):
            raise KeyFault("This key has ended; make a new one.")
        made, token = make(
            old.account,
            livemode=old.livemode,
            scopes=old.scopes,
            name=old.name,
            expires_at=now + (old.expires_at - old.created_at) if old.expires_at else None,
            source_ips=old.source_ips,
            sender_domains=old.sender_domains,
            default_sender=old.default_sender,
            actor=actor,
        )
        before, old.expires_at = zulu(old.expires_at), min(old.expires_at or now + overlap, now + overlap)
        old.save(update_fields=["expires_at"])
        after = {"expires_at": zulu(old.expires_at), "replaced_by": made.id}
        audit.record(actor, "api_key.rotated", old.id, before={"expires_at": before}, after=after)
    return made, token


def _known_scopes(scopes: Iterable[str]) -> list[str]:
    wanted = set(scopes)
    if unknown := wanted.difference(SCOPES):
        raise KeyFault(f"Unknown scope {', '.join(sorted(unknown))}; known are {', '.join(SCOPES)}.", "scopes")
    if not wanted:
        raise KeyFault("A key needs at least one scope.", "scopes")
    return [scope for scope in SCOPES if scope in wanted]


def _networks(source_ips: Iterable[str]) -> list[str]:
    return [_network(text.strip()) for text in source_ips]


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        message = f"Not an address, and not a network such as 192.0.2.0/24 without host bits: {text}."
        raise KeyFault(message, "source_ips") from None


def _domains(domains: Iterable[str]) -> list[str]:
    try:
        return [addresses.parse(f"postmaster@{domain.strip()}").domain for domain in domains]
    except addresses.AddressError as error:
        raise KeyFault(f"Not a sender domain: {error}", "sender_domains") from None


def _sender(text: str) -> str:
    text = text.strip()
    try:
        if text:
            addresses.parse(text)
        return text
    except addresses.AddressError as error:
        raise KeyFault(f"Not a sender: {error}", "default_sender") from None
