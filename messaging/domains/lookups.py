"""Looking up one domain's records: every name once, all of it within a total time, and nothing in an answer can hurt: texts come
out as printable ASCII. Knows no tables."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

import dns.exception
import dns.name

from messaging.delivery.dns import Resolver, Unanswered

SECONDS = 9.0
"""For all look-ups of one domain together."""

AT_ONCE = 12

LONGEST_TEXT = 4096
"""Octets of one TXT record that are read; nothing we understand is longer."""

MOST = 100
"""Records of one name that are read."""


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at one name: `values` in presentation form. `exists` False: there is no such name. `failure`: nobody could say,
    and why; then nothing else counts."""

    values: tuple[str, ...] = ()
    exists: bool = True
    failure: str = ""


class Lookups:
    """The look-ups of one domain. `nameservers` as (address, port); none: the system's."""

    def __init__(self, nameservers: Sequence[tuple[str, int]] = (), *, seconds: float = SECONDS) -> None:
        self._resolver = Resolver(nameservers, timeout=2.0, lifetime=5.0)
        self._ends = monotonic() + seconds
        self._room = asyncio.Semaphore(AT_ONCE)
        self._asked: dict[tuple[str, str], asyncio.Future[Found]] = {}

    async def txt(self, name: str) -> Found:
        return await self.find(name, "TXT")

    async def find(self, name: str, kind: str) -> Found:
        """The records of this type (TXT, CNAME, MX, A, AAAA or NS); CNAMEs on the way are followed. Never raises."""
        key = (name.lower(), kind)
        if key not in self._asked:
            self._asked[key] = asyncio.ensure_future(self._look(*key))
        return await self._asked[key]

    async def answers(self) -> bool:
        """Whether the resolver says anything at all: without this, silence tells nothing of a domain."""
        return not (await self.find(".", "NS")).failure

    async def _look(self, name: str, kind: str) -> Found:
        try:
            async with asyncio.timeout(max(0.0, self._ends - monotonic())), self._room:
                records = await self._resolver.find(dns.name.from_text(name), kind)
        except TimeoutError:
            return Found(failure=f"{kind} {name}: no answer in time")
        except Unanswered as unanswered:
            return Found(failure=printable(str(unanswered).encode()))
        except (dns.exception.DNSException, UnicodeError):
            return Found(exists=False)
        if records is None:
            return Found(exists=False)
        return Found(tuple(sorted(_shown(record, kind) for record in records[:MOST])))


def _shown(record: object, kind: str) -> str:
    match kind:
        case "TXT":
            return printable(b"".join(record.strings)[:LONGEST_TEXT])  # type: ignore[attr-defined]
        case "CNAME" | "NS":
            return host(record.target)  # type: ignore[attr-defined]
        case "MX":
            return f"{record.preference} {host(record.exchange)}"  # type: ignore[attr-defined]
    return str(record)


def host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def printable(data: bytes) -> str:
    r"""As ASCII; other octets as \ddd, the way of zone files (RFC 1035 section 5.1)."""
    return "".join(chr(octet) if 32 <= octet < 127 else f"\\{octet:03d}" for octet in data)
