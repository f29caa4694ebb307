"""A test call of a route: as far as a mail would get before its first word, and not a mail. For providers, whether their backend
can be made with the settings."""

import asyncio
import re
from collections.abc import Sequence
from time import monotonic
from typing import Any

from messaging.delivery import dns, providers, transports
from messaging.delivery.outcomes import Outcome, Phase
from messaging.delivery.smtp import Limits, Peer, Session
from messaging.delivery.ways import Kind, Route

LIMITS = Limits(connect=5.0, setup=10.0)

MOST_HOSTS = 2
"""Hosts of a domain that are asked, until one answers."""


def check(route: Route, domain: str) -> dict[str, Any]:
    """What the call found. `domain`: whose hosts an mx route asks."""
    started = monotonic()
    match route.kind:
        case Kind.PROVIDER:
            found = _of_provider(route)
        case Kind.SMTP | Kind.MX:
            found = asyncio.run(_of_hosts(route, domain))
        case _:
            found = _told(True, Phase.DONE, "Mail is kept here; there is nobody to call.")
    return {**found, "milliseconds": round((monotonic() - started) * 1000)}


async def _of_hosts(route: Route, domain: str) -> dict[str, Any]:
    peers = await _peers(route, domain)
    if isinstance(peers, Outcome):
        return _failed(peers)
    found = _told(False, Phase.RESOLVING, "There is no host to ask.")
    for peer in peers[:MOST_HOSTS]:
        session = await Session.open(peer, LIMITS)
        if not isinstance(session, Outcome):
            await session.quit()
            login = f"logged in as {peer.username}" if peer.username else "no login"
            detail = f"Ready for mail: {session.tls or 'no TLS'}, {login}."
            return _told(True, Phase.DONE, detail, peer.host, peer.address, session.tls)
        found = _failed(session)
    return found


async def _peers(route: Route, domain: str) -> Sequence[Peer] | Outcome:
    if route.kind is Kind.SMTP:
        found = await dns.smarthost(route.host, allow_private=route.allow_private)
        return found if isinstance(found, Outcome) else [transports.peer_of(route, route.host, one) for one in found]
    hosts = await dns.hosts(domain, transports.resolver(), allow_private=route.allow_private)
    if isinstance(hosts, Outcome):
        return hosts
    return [transports.peer_of(route, host.name, host.addresses[0]) for host in hosts]


def _of_provider(route: Route) -> dict[str, Any]:
    """Nothing is sent: the provider itself is first asked when there is a mail for it."""
    try:
        providers.backend(route)
    except ImportError as error:
        return _told(False, Phase.CLAIMED, f"The backend can't be loaded here: {_first_line(error)}")
    except Exception as error:  # Anymail's own classes of faults, and those of what it builds on
        lacking = re.search(rf"ANYMAIL_{route.backend.upper()}_(\w+)", str(error))
        if lacking:
            return _told(False, Phase.AUTH, f"The setting {lacking[1].lower()} is missing.")
        return _told(False, Phase.AUTH, f"The settings are not right: {type(error).__name__}.")
    return _told(True, Phase.AUTH, "The settings are complete; the provider has not been asked.")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _failed(outcome: Outcome) -> dict[str, Any]:
    said = f"{outcome.reply.code} {outcome.reply.text}" if outcome.reply else ""
    detail = ": ".join(part for part in (outcome.detail, said) if part)
    return _told(False, outcome.phase, detail, outcome.mx, outcome.address, outcome.tls)


def _told(
    ok: bool, phase: Phase, detail: str, mx: str | None = None, address: str | None = None, tls: str | None = None
) -> dict[str, Any]:
    return {"ok": ok, "phase": str(phase), "mx": mx, "address": address, "tls": tls, "detail": detail}
