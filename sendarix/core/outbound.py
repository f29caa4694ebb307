"""The guard before every connection to a host a customer names: the URL is read strictly, the name looked up once, every
address judged, and only the judged addresses are handed on. It opens no connection and asks no name a second time."""

import asyncio
import re
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
import idna

from sendarix.core import netguard

MAX_URL = 2048
MAX_HOST = 253
MOST_ADDRESSES = 8
DEFAULT_PORTS = {"https": 443, "http": 80}
PORTS = frozenset({80, 443, 8000, 8080, 8443, 8888, 9443})
"""Where web servers listen. Any other port could be made to hear a request as mail (25), Redis (6379) or a database."""

LOCAL_NAMES = (  # never delegated in the public DNS; what they mean is up to the network one sits in
    *("localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa"),
    *("onion", "alt"),
)

LONGEST_CACHED = 30.0

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""From a name to all its addresses, an empty sequence when it has none. Raises LookupFailed when nobody could say."""

_parts = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)(#.*)?", re.DOTALL).fullmatch
_authority = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]%]+))(?::([0-9]{1,5}))?").fullmatch
_unreadable = re.compile(r"[\x00-\x20\x7f-\xa0\\]").search
_not_in_path = re.compile(r"[^A-Za-z0-9._~!$&'()*+,;=:@/?%-]|%(?![0-9A-Fa-f]{2})").search
_label = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?").fullmatch
_number = re.compile(r"[0-9]+|0x[0-9a-f]*").fullmatch


class Refused(Exception):
    """No connection may be made. `code`: `invalid_value` or `too_long` (not a URL we take), `not_public` (its host is, or
    leads to, an address outside the open Internet), `unresolvable` (no address is known now; it may be an outage). The
    message is for customers: it never tells which address a name led to."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class LookupFailed(Exception):
    """No name server gave an answer."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to POST. `host` is a lower-case A-label name without trailing dot, or an IP address without brackets; `path`
    begins with / and includes the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def read_url(
    text: str, *, allow_http: bool = False, allow_loopback: bool = False, ports: frozenset[int] | None = PORTS
) -> Target:
    """The target of a URL, without any lookup; raises Refused and nothing else.

    `allow_loopback` is for development: 127.0.0.0/8, ::1 and localhost on any port, and nothing else private.
    `ports` None: any.
    """
    scheme, authority, rest = _split(text)
    if scheme != "https" and not (scheme == "http" and allow_http):
        either = "The URL must begin with http:// or https://."
        raise _invalid(either if allow_http else "The URL must begin with https://.")
    host, given = _host_and_port(authority, allow_loopback)
    port = int(given or DEFAULT_PORTS[scheme])
    if not 0 < port < 65536 or not (allow_loopback or ports is None or port in ports):
        listed = ", ".join(map(str, sorted(ports or PORTS)))
        raise _invalid(f"The port {given} is not allowed; allowed are {listed}.")
    path = rest if rest.startswith("/") else f"/{rest}"
    if found := _not_in_path(path):
        raise _invalid(f"Percent-encode {found[0]!r} in the path or query of the URL (RFC 3986).")
    return Target(scheme, host, port, path)


def _split(text: str) -> tuple[str, str, str]:
    if len(text) > MAX_URL:
        raise Refused("too_long", f"The URL is over {MAX_URL:,} characters.")
    if _unreadable(text):
        raise _invalid("The URL holds a space, control character or backslash.")
    parts = _parts(text)
    if parts is None:
        raise _invalid("Not an absolute URL; expected https://host/path.")
    scheme, authority, rest, fragment = parts.groups()
    if fragment is not None:
        raise _invalid("The URL has a fragment (#…); leave it out.")
    if "@" in authority:
        raise _invalid("The URL holds a user name or password; leave it out: our signature says who calls.")
    return scheme.lower(), authority, rest


def _host_and_port(authority: str, allow_loopback: bool) -> tuple[str, str | None]:
    parts = _authority(authority)
    if parts is None:
        raise _invalid("The URL's host or port can't be read; expected host or host:port, nothing percent-encoded.")
    bracketed, name, port = parts.groups()
    host = _literal(bracketed, IPv6Address) if bracketed else _name(name)
    if _is_address(host):
        if not _is_allowed(host, allow_loopback):
            raise _not_public("The URL's address is not of the open Internet.")
    elif _is_local(host) and not (allow_loopback and _is_localhost(host)):
        raise _not_public(f"{host} is not a name of the open Internet.")
    return host, port


def _name(text: str) -> str:
    """A host name in its A-label form, or a plain IPv4 address. As in browsers, a last label that is a number makes the
    whole an IPv4 address; only its ordinary spelling is taken."""
    if len(text) > MAX_HOST + 1:
        raise Refused("too_long", f"The URL's host is over {MAX_HOST} characters.")
    try:
        host = text.lower() if text.isascii() else idna.encode(text, uts46=True).decode()
    except UnicodeError as error:
        raise _invalid(f"The URL's host is not a domain name: {error}.") from None
    host = host.removesuffix(".")
    labels = host.split(".")
    if _number(labels[-1]):
        return _literal(host, IPv4Address)
    if len(host) > MAX_HOST or not all(map(_label, labels)):
        raise _invalid("The URL's host is not a domain name.")
    return host


def _literal(text: str, kind: type[IPv4Address] | type[IPv6Address]) -> str:
    try:
        return str(kind(text))
    except ValueError:
        expected = "four decimal numbers" if kind is IPv4Address else "RFC 4291 has it"
        raise _invalid(f"The URL's host is not an address written as {expected}.") from None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_allowed(address: str, allow_loopback: bool) -> bool:
    return netguard.is_public(address) or (allow_loopback and netguard.is_loopback(address))


def _is_local(name: str) -> bool:
    return "." not in name or any(name == local or name.endswith(f".{local}") for local in LOCAL_NAMES)


def _is_localhost(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


async def resolve(target: Target, lookup: Lookup, *, allow_loopback: bool = False) -> tuple[str, ...]:
    """The addresses to connect to, 1 to 8, IPv4 first: the name is looked up once, and whoever connects to these and no
    others can't be led elsewhere by a later answer. Raises Refused when any address is not public."""
    if _is_address(target.host):
        found: Sequence[str] = (target.host,)
    elif allow_loopback and _is_localhost(target.host):
        found = ("127.0.0.1", "::1")  # RFC 6761 section 6.3: not a question for the DNS
    else:
        found = await _look_up(target.host, lookup)
    if not all(_is_allowed(address, allow_loopback) for address in found):
        raise _not_public(f"{target.host} leads to an address that is not of the open Internet.")
    return tuple(sorted(dict.fromkeys(found), key=lambda address: ":" in address)[:MOST_ADDRESSES])


async def _look_up(name: str, lookup: Lookup) -> Sequence[str]:
    try:
        found = await lookup(name)
    except LookupFailed as failed:
        raise Refused("unresolvable", f"{name} could not be looked up: {failed}.") from None
    if not found:
        raise Refused("unresolvable", f"{name} does not exist, or has no address.")
    return found


def check(
    url: str, lookup: Lookup, *, allow_http: bool = False, allow_loopback: bool = False, seconds: float = 5.0
) -> Target:
    """Reads and resolves, for views (not to be called where an event loop runs); done after `seconds` whatever the name
    servers do. Raises Refused, with `unresolvable` for an outage: whether that is a reason to refuse is the caller's
    to say."""
    target = read_url(url, allow_http=allow_http, allow_loopback=allow_loopback)

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await resolve(target, lookup, allow_loopback=allow_loopback)

    try:
        asyncio.run(bounded())
    except TimeoutError:
        raise Refused("unresolvable", f"{target.host} could not be looked up: no answer in time.") from None
    return target


class _Cache(dns.resolver.LRUCache):
    def put(self, key: dns.resolver.CacheKey, value: dns.resolver.Answer) -> None:
        value.expiration = min(value.expiration, time.time() + LONGEST_CACHED)
        super().put(key, value)


class Names:
    """The Lookup by DNS alone: no /etc/hosts, no search domains, which know names of the inside. `nameservers` as
    (address, port); none: the system's. Answers are kept for their TTL, 30 seconds at most."""

    def __init__(self, nameservers: Sequence[tuple[str, int]] = (), *, lifetime: float = 5.0) -> None:
        self._dns = _system_resolver() if not nameservers else dns.asyncresolver.Resolver(configure=False)
        if nameservers:
            self._dns.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in nameservers]
        self._dns.timeout = min(2.0, lifetime)
        self._dns.lifetime = lifetime
        self._dns.cache = _Cache(10_000)
        self._dns.use_edns(0, 0, 1232)

    async def __call__(self, name: str) -> Sequence[str]:
        """A and AAAA; when only one of the two questions was answered, the addresses of that answer."""
        answers = await asyncio.gather(self._find(name, "A"), self._find(name, "AAAA"), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, LookupFailed):
                raise answer
        found = [address for answer in answers if isinstance(answer, list) for address in answer]
        failures = [answer for answer in answers if isinstance(answer, LookupFailed)]
        if failures and not found:
            raise failures[0]
        return found

    async def _find(self, name: str, kind: str) -> list[str]:
        try:
            answer = await self._dns.resolve(f"{name}.", kind, search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return []
        except dns.exception.Timeout:
            raise LookupFailed("no answer in time") from None
        except (dns.exception.DNSException, OSError) as error:
            raise LookupFailed(_reason(error)) from None
        return [record.address for record in answer.rrset or ()]


def _reason(error: Exception) -> str:
    if isinstance(error, dns.resolver.NoNameservers):
        said = {str(failure[3]) for failure in error.kwargs["errors"]}
        return f"the name servers failed ({', '.join(sorted(said))})"
    return "the name servers can't be reached" if isinstance(error, socket.error) else type(error).__name__


def _system_resolver() -> dns.asyncresolver.Resolver:
    """As the machine is configured; without any configuration the local machine, as in the C library."""
    try:
        return dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        return resolver


def _invalid(message: str) -> Refused:
    return Refused("invalid_value", message)


def _not_public(message: str) -> Refused:
    return Refused("not_public", message)
