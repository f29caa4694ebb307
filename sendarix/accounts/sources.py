"""Where a request comes from: the peer's address, or what trusted proxies say about it."""

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache

UNIX_PEER = "unix"
"""The entry of TRUSTED_PROXIES that trusts a peer on a unix socket, which has no address."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(environ: Mapping[str, str], trusted: Sequence[str] = ()) -> str | None:
    """The caller's address, an IPv4-mapped one as IPv4; None when it can't be known.

    X-Forwarded-For is read from its end, and only as far as the hops are in `trusted` networks."""
    peer = environ.get("REMOTE_ADDR", "")
    if not trusted or not _is_trusted(peer, tuple(trusted)):
        return _normal(peer)
    client = peer
    for hop in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        client = hop.strip() or client
        if not _is_trusted(client, tuple(trusted)):
            break
    return _normal(client)


def bucket(address: str | None) -> str:
    """The rate bucket of callers without a key: an IPv4 address, or the /64 of an IPv6 one (one host owns it)."""
    if address is None:
        return "address:unknown"
    return f"address:{network(address)}{'/64' if ':' in address else ''}"


def network(address: str) -> str:
    """What one host has for itself: an IPv4 address, or the first address of an IPv6 one's /64."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)


@lru_cache(maxsize=4096)
def _normal(text: str) -> str | None:
    address = _read(text)
    return str(address) if address else None


def _read(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=4096)
def _is_trusted(text: str, trusted: tuple[str, ...]) -> bool:
    address = _read(text)
    if address is None:
        return not text and UNIX_PEER in trusted
    return any(address in network for network in _networks(trusted))


@lru_cache(maxsize=16)
def _networks(trusted: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in trusted if text != UNIX_PEER)
