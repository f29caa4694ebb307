"""Where mail for a domain goes: MX records in order, their addresses, and what a missing answer means (RFC
5321 section 5.1, RFC 7505). An answer that will not change bounces; a resolver in trouble defers."""

import asyncio
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from random import Random

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from messaging.delivery.outcomes import Cause, Outcome, Phase, Verdict
from sendarix.core import netguard

MOST_HOSTS = 20
CACHED_NAMES = 10_000
LONGEST_CACHED = 3600.0
_ROOT = dns.name.root


@dataclass(frozen=True, slots=True)
class Host:
    """A mail host and its addresses, IPv4 first: PTR records and reputations are better kept there."""

    name: str
    preference: int
    addresses: tuple[str, ...]


class _Cache(dns.resolver.LRUCache):
    """Answers live as long as their TTL, an hour at most, negative ones included."""

    def put(self, key: dns.resolver.CacheKey, value: dns.resolver.Answer) -> None:
        value.expiration = min(value.expiration, time.time() + LONGEST_CACHED)
        super().put(key, value)


class Resolver:
    """Looks names up, in a cache of its own. `nameservers` as (address, port); none: the system's."""

    def __init__(
        self, nameservers: Sequence[tuple[str, int]] = (), *, timeout: float = 3.0, lifetime: float = 10.0
    ) -> None:
        self._dns = _system_resolver() if not nameservers else dns.asyncresolver.Resolver(configure=False)
        if nameservers:
            self._dns.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in nameservers]
        self._dns.timeout = timeout
        self._dns.lifetime = lifetime
        self._dns.cache = _Cache(CACHED_NAMES)
        self._dns.use_edns(0, 0, 1232)

    async def find(self, name: dns.name.Name, kind: str) -> list | None:
        """The records; an empty list when the name has none of that type, None when it does not exist.

        Raises Unanswered when nobody could say.
        """
        try:
            answer = await self._dns.resolve(name, kind, search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return None
        except (dns.exception.DNSException, OSError) as error:
            raise Unanswered(f"{kind} {name.to_text(omit_final_dot=True)}: {_reason(error)}") from None
        return list(answer.rrset or ())


def _system_resolver() -> dns.asyncresolver.Resolver:
    """As the machine is configured; without any configuration the local machine, as in the C library."""
    try:
        return dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        return resolver


class Unanswered(Exception):
    """No name server gave an answer: servers failing, silent or answering nonsense."""


def _reason(error: Exception) -> str:
    match error:
        case dns.exception.Timeout():
            return "no answer in time"
        case dns.resolver.NoNameservers():
            said = {str(failure[3]) for failure in error.kwargs["errors"]}
            return f"the name servers failed: {'; '.join(sorted(said))}"
    return str(error) or type(error).__name__


async def hosts(
    domain: str, resolver: Resolver, *, allow_private: bool = False, rng: Random | None = None
) -> list[Host] | Outcome:
    """The hosts to try for `domain` in order, equal preferences shuffled; at most 20.

    Without `allow_private`, addresses outside the open Internet are left out. A domain that has no others
    bounces (`policy`): no wait makes `127.0.0.1` a place to deliver to, and the address itself is not
    suppressed for it.
    """
    try:
        name = dns.name.from_text(domain)
        exchanges = await resolver.find(name, "MX")
    except (dns.exception.DNSException, UnicodeError) as error:
        return _bounced(f"{domain} is not a domain name: {error}")
    except Unanswered as unanswered:
        return _deferred(str(unanswered))
    if exchanges is None:
        return _bounced(f"the domain {domain} does not exist")
    targets = [(record.preference, record.exchange) for record in exchanges if record.exchange != _ROOT]
    if exchanges and not targets:
        return _bounced(f"{domain} takes no mail (null MX, RFC 7505)")
    ordered = _ordered(targets, rng or Random()) or [(0, name)]
    return await _located(domain, ordered[:MOST_HOSTS], resolver, allow_private)


def _ordered(targets: list[tuple[int, dns.name.Name]], rng: Random) -> list[tuple[int, dns.name.Name]]:
    shuffled = rng.sample(sorted(targets), len(targets))
    return sorted(shuffled, key=lambda target: target[0])


async def _located(
    domain: str, targets: list[tuple[int, dns.name.Name]], resolver: Resolver, allow_private: bool
) -> list[Host] | Outcome:
    found = await asyncio.gather(*[_addresses(name, resolver) for _, name in targets])
    located, hidden, failures = [], [], []
    for (preference, name), (addresses, failure) in zip(targets, found, strict=True):
        allowed = tuple(one for one in addresses if allow_private or netguard.is_public(one))
        hidden += [one for one in addresses if one not in allowed]
        failures += [failure] if failure else []
        if allowed:
            located.append(Host(name.to_text(omit_final_dot=True), preference, allowed))
    return located or _nowhere(domain, hidden, failures)


def _nowhere(domain: str, hidden: list[str], failures: list[str]) -> Outcome:
    if failures:
        return _deferred(failures[0])
    if hidden:
        return _hidden(domain, hidden)
    return _bounced(f"{domain} has no mail host with an address")


def _hidden(name: str, addresses: Iterable[str]) -> Outcome:
    shown = ", ".join(sorted(set(addresses))[:5])
    return _outcome(Verdict.BOUNCED, Cause.POLICY, f"{name} leads only to addresses that are not public: {shown}")


async def _addresses(name: dns.name.Name, resolver: Resolver) -> tuple[list[str], str | None]:
    """A and AAAA of a host, and what went wrong when one of them got no answer."""
    answers = await asyncio.gather(resolver.find(name, "A"), resolver.find(name, "AAAA"), return_exceptions=True)
    addresses: list[str] = []
    failure = None
    for answer in answers:
        match answer:
            case Unanswered():
                failure = failure or str(answer)
            case BaseException():
                raise answer
            case list():
                addresses += [record.address for record in answer]
    return addresses, failure


async def smarthost(name: str, *, allow_private: bool = False) -> tuple[str, ...] | Outcome:
    """The addresses of a route's own host, by the system's resolver: /etc/hosts and container names count
    there."""
    try:
        addresses = [str(ip_address(name))]
    except ValueError:
        try:
            addresses = await _system_addresses(name)
        except (OSError, UnicodeError) as error:
            return _deferred(f"{name}: {error}")
    allowed = tuple(one for one in addresses if allow_private or netguard.is_public(one))
    return allowed or _hidden(name, addresses)


async def _system_addresses(name: str) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    ordered = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    return list(dict.fromkeys(str(entry[4][0]) for entry in ordered))


def _bounced(detail: str) -> Outcome:
    return _outcome(Verdict.BOUNCED, Cause.DNS, detail)


def _deferred(detail: str) -> Outcome:
    return _outcome(Verdict.DEFERRED, Cause.DNS, detail)


def _outcome(verdict: Verdict, cause: Cause, detail: str) -> Outcome:
    return Outcome(verdict, cause, Phase.RESOLVING, detail=detail)
