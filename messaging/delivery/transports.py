"""How a message leaves, per kind of route: captured (inbox), played (sandbox), handed to a smarthost, to the recipient's own
hosts, or to a provider's API. A carrier answers with an Outcome; only programming faults raise. docs/adding_a_transport.md is the
recipe for another."""

import asyncio
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from django.conf import settings

from messaging.delivery import captures, destinations, dns, letters
from messaging.delivery.lanes import Carrier
from messaging.delivery.outcomes import Cause, Outcome, Phase, Reply, Verdict
from messaging.delivery.providers import Provider
from messaging.delivery.queue import Claim
from messaging.delivery.smtp import Letter, Peer, Session
from messaging.delivery.ways import DEFAULT_POLICY, Kind, Route
from sendarix.core.grouping import reconnecting

Mark = Callable[[], Awaitable[bool]]

MOST_PER_CONNECTION = 500
MOST_HOSTS = 5
SLOW = 5.0
"""Seconds that slow@ of the sandbox takes."""


def carrier(route: Route, thread: Executor) -> Carrier:
    """A carrier for messages by this route. `thread` reads from the database what a claim did not bring."""
    match route.kind:
        case Kind.SANDBOX:
            return Sandbox(route, thread)
        case Kind.INBOX:
            return Inbox(route, thread)
        case Kind.PROVIDER:
            return Provider(route, thread)
        case _:
            return Smtp(route, thread)


class _Writer:
    """Builds the letter of a claim."""

    def __init__(self, route: Route, thread: Executor) -> None:
        self.route = route
        self.thread = thread

    async def letter(self, claim: Claim) -> Letter:
        if not letters.needs_more(claim):
            return letters.write(claim)
        attachments = await self.in_thread(letters.complete, claim)
        return await letters.write_with(claim, attachments) if attachments else letters.write(claim)

    async def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The function's answer, from a thread with a connection to the database."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, reconnecting, function, *arguments)

    async def close(self) -> None:
        return


class Inbox(_Writer):
    """Keeps the mail on this machine, where /inbox shows it."""

    async def deliver(self, claim: Claim, mark: Mark) -> Outcome:
        letter = await self.letter(claim)
        if not await mark():
            return Outcome(Verdict.DEFERRED, Cause.SYSTEM, Phase.BODY, detail="given up before the final dot")
        await self.in_thread(captures.keep, claim, letter.sender, letter.recipient, await _whole(letter))
        return Outcome(Verdict.DELIVERED, None, Phase.DONE, Reply(250, "2.0.0", "captured"), mx=self.route.name)


class Sandbox(Inbox):
    """Plays the recipient for test keys: the local part of an address at sandbox.sendarix.test chooses the outcome
    (contract section 9); every other mail is captured. No socket is ever opened."""

    async def deliver(self, claim: Claim, mark: Mark) -> Outcome:
        local, _, domain = claim.recipient_key.rpartition("@")
        if domain != "sandbox.sendarix.test":
            return await super().deliver(claim, mark)
        if local == "bounced":
            return self._refusal(Verdict.BOUNCED, Cause.MAILBOX_UNKNOWN, 550, "5.1.1", "no such mailbox")
        if local == "deferred-forever" or (local == "deferred-twice" and claim.attempt < 2):
            return self._refusal(Verdict.DEFERRED, Cause.GREYLISTED, 450, "4.2.0", "greylisted, try again later")
        if local == "slow":
            await asyncio.sleep(SLOW)
        outcome = await super().deliver(claim, mark)
        if local in ("complained", "unsubscribed") and outcome.verdict == Verdict.DELIVERED:
            return replace(outcome, aftermath=local)
        return outcome

    def _refusal(self, verdict: Verdict, cause: Cause, code: int, enhanced: str, text: str) -> Outcome:
        return Outcome(verdict, cause, Phase.RCPT, Reply(code, enhanced, text), mx=self.route.name)


class Smtp(_Writer):
    """Hands messages over by SMTP, keeping its connection while there are more for the same hosts."""

    def __init__(self, route: Route, thread: Executor) -> None:
        super().__init__(route, thread)
        self.domain = ""
        self.session: Session | None = None

    async def deliver(self, claim: Claim, mark: Mark) -> Outcome:
        letter = await self.letter(claim)
        if self.route.kind is Kind.MX and claim.domain != self.domain:
            await self.close()
            self.domain = claim.domain
        policy = claim.choice.policy if claim.choice else DEFAULT_POLICY
        outcome = await self._over_kept_session(letter, mark, policy.per_connection or MOST_PER_CONNECTION)
        return outcome or await self._over_new_session(letter, mark)

    async def _over_kept_session(self, letter: Letter, mark: Mark, most: int) -> Outcome | None:
        """None when there is no session worth using (`most` messages each), or the kept one had died before this letter began."""
        if self.session is None or not self.session.reusable or self.session.delivered >= most:
            await self.close()
            return None
        outcome = await self.session.deliver(letter, mark)
        return None if outcome.stale else outcome

    async def _over_new_session(self, letter: Letter, mark: Mark) -> Outcome:
        """The first host that takes the dialogue as far as MAIL decides; hosts that can't be reached are passed over."""
        await self.close()
        peers = await self._peers()
        if isinstance(peers, Outcome):
            return peers
        outcome = Outcome(Verdict.DEFERRED, Cause.DNS, Phase.RESOLVING, detail="no host to ask")
        for peer in peers:
            session = await Session.open(peer)
            if isinstance(session, Outcome):
                outcome = session
                continue
            self.session = session
            outcome = await session.deliver(letter, mark)
            if not outcome.elsewhere:
                return outcome
        return outcome

    async def _peers(self) -> list[Peer] | Outcome:
        route = self.route
        if route.kind is Kind.SMTP:
            found = await dns.smarthost(route.host, allow_private=route.allow_private)
            return found if isinstance(found, Outcome) else [peer_of(route, route.host, address) for address in found]
        hosts = await dns.hosts(self.domain, resolver(), allow_private=route.allow_private)
        if isinstance(hosts, Outcome):
            return hosts
        if not destinations.is_known(self.domain):
            await self.in_thread(destinations.learn, self.domain, [host.name for host in hosts])
        return [peer_of(route, host.name, address) for host in hosts for address in host.addresses][:MOST_HOSTS]

    async def close(self) -> None:
        if self.session is not None:
            session, self.session = self.session, None
            await session.quit()


def peer_of(route: Route, host: str, address: str) -> Peer:
    """The server at `address`, as the route says to talk to it."""
    return Peer(
        host=host,
        address=address,
        port=route.port,
        tls=route.tls,
        tls_context=trust(route.cafile) if route.cafile else None,
        verify=route.verify,
        username=route.username or None,
        password=route.password or None,
        helo=route.helo or settings.HELO_NAME or own_name(),
        source_address=route.source_address,
    )


@functools.cache
def trust(cafile: str) -> ssl.SSLContext:
    """The context of a route with authorities of its own; one per process, because making it takes tens of milliseconds."""
    return ssl.create_default_context(cafile=cafile)


@functools.cache
def own_name() -> str:
    """Asked once: the system may look it up in the DNS, and everything else waits for it."""
    return socket.getfqdn()


@functools.cache
def resolver() -> dns.Resolver:
    return dns.Resolver([(server.hostname, server.port or 53) for server in settings.DNS_SERVERS])


async def _whole(letter: Letter) -> bytes:
    if isinstance(letter.chunks, bytes):
        return letter.chunks
    whole = bytearray()
    async for chunk in letter.chunks():
        whole += chunk
    return bytes(whole)
