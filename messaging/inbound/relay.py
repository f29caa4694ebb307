"""The relay: listens, lets so many in at once, lends its sessions threads for the database, and ends without leaving a mail half
answered. One loop serves all sessions; whatever may wait for the database or takes time goes to a thread."""

import asyncio
import logging
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import TypeVar

from django.conf import settings

from messaging.inbound import submitting
from messaging.inbound.relay_session import RelaySession
from sendarix.accounts.sources import bucket

logger = logging.getLogger(__name__)

GRACE = 10.0
"""Seconds that sessions in the middle of a mail have once the relay is told to end; the supervisor waits 13."""

BACKLOG = 256
LARGE = 4 * 1024 * 1024
LARGE_AT_ONCE = 2
"""Mails over LARGE octets are read and stored one after the other, so many at a time."""

TAKERS = 2
"""Commits of smaller mails at a time; more would share less."""
TOGETHER = 50
"""Mails in one commit at most."""

Result = TypeVar("Result")
Handed = tuple[submitting.Mail, "asyncio.Future[str]"]
"""A mail, and its session's wait for the reply."""


class Relay:
    """`ports` are the ones listened on, plain and TLS, once it has started; None where none was asked for."""

    def __init__(self, name: str, tls: ssl.SSLContext | None) -> None:
        self.name, self.tls = name, tls
        self.ending = False
        self.ports: tuple[int | None, int | None] = (None, None)
        self._threads = ThreadPoolExecutor(settings.RELAY_THREADS, thread_name_prefix="relay")
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._sessions: set[RelaySession] = set()
        self._per_address: Counter[str] = Counter()
        self._servers: list[asyncio.Server] = []
        self._held = 0
        self._handed: deque[tuple[Handed, int]] = deque()
        self._taking: set[asyncio.Task[None]] = set()

    def __dir__(self) -> list[str]:
        """Nothing: aiosmtpd looks here for hooks with each connection."""
        return []

    async def start(self, host: str, port: int | None, tls_port: int | None) -> None:
        """Listen; a port of 0 is chosen by the system. Raises OSError. Without a certificate nothing listens on the TLS port."""
        loop = asyncio.get_running_loop()
        made: list[int | None] = []
        for number, implicit in ((port, False), (tls_port if self.tls else None, True)):
            if number is None:
                made.append(None)
                continue
            server = await loop.create_server(partial(RelaySession, self, implicit), host, number, backlog=BACKLOG)
            self._servers.append(server)
            made.append(server.sockets[0].getsockname()[1])
        self.ports = (made[0], made[1])

    async def stop(self) -> None:
        """Let nobody in, let mails under way be answered, GRACE seconds at most, and end the rest."""
        self.ending = True
        for server in self._servers:
            server.close()
        for session in list(self._sessions):
            if not session.busy:
                session.farewell("421 4.3.2 Shutting down, closing the connection")
        ends = monotonic() + GRACE
        while self._sessions and monotonic() < ends:
            await asyncio.sleep(0.02)
        for session in list(self._sessions):
            if session.transport is not None:
                session.transport.abort()  # type: ignore[attr-defined]
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)

    # what sessions ask of it

    def enter(self, session: RelaySession) -> str | None:
        """Count a new connection, or say why it is not let in."""
        source = bucket(session.address)
        if self.ending:
            return "421 4.3.2 Shutting down"
        if len(self._sessions) >= settings.RELAY_CONNECTIONS:
            return "421 4.3.2 Too many connections, try again later"
        if self._per_address[source] >= settings.RELAY_CONNECTIONS_PER_ADDRESS:
            return "421 4.7.0 Too many connections from your address"
        self._sessions.add(session)
        self._per_address[source] += 1
        return None

    def leave(self, session: RelaySession) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
            source = bucket(session.address)
            self._per_address[source] -= 1
            if not self._per_address[source]:
                del self._per_address[source]

    async def work(self, call: Callable[..., Result], *arguments: object) -> Result:
        """The result of `call` in one of the threads. It is done to its end, also when the session is gone."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    async def take(self, mail: submitting.Mail, octets: int) -> str:
        """The reply to a mail. While others are being taken, those that come meanwhile gather, and are then taken together: one
        commit for many costs little more than one for one."""
        if octets > LARGE:
            async with self._large:
                return (await self.work(submitting.take, [mail]))[0]
        reply = asyncio.get_running_loop().create_future()
        self._handed.append(((mail, reply), octets))
        self._take_more()
        return await reply

    def _take_more(self) -> None:
        if self._handed and len(self._taking) < TAKERS:
            task = asyncio.create_task(self._take(self._gathered()))
            self._taking.add(task)
            task.add_done_callback(self._taking.discard)
            task.add_done_callback(lambda _: self._take_more())

    def _gathered(self) -> list[Handed]:
        """The next mails, up to LARGE octets together."""
        together: list[Handed] = []
        octets = 0
        while self._handed and len(together) < TOGETHER and (octets := octets + self._handed[0][1]) <= LARGE:
            together.append(self._handed.popleft()[0])
        return together

    async def _take(self, together: list[Handed]) -> None:
        """Sessions that are gone by now get no reply; their mails are taken all the same."""
        replies = await self.work(submitting.take, [mail for mail, _ in together])
        for (_, waiting), reply in zip(together, replies, strict=True):
            if not waiting.done():
                waiting.set_result(reply)

    def later(self, call: Callable[..., object], *arguments: object) -> None:
        """`call` in one of the threads; nobody waits for it. It must not raise."""
        self._threads.submit(call, *arguments)

    @contextmanager
    def holding(self) -> Iterator["Held"]:
        """An account of the octets one mail holds in memory, given back at the end of the block."""
        held = Held(self)
        try:
            yield held
        finally:
            self._held -= held.octets

    def hold(self, octets: int) -> bool:
        """Whether there was room for so many more octets of mails being received; they count in any case."""
        self._held += octets
        return self._held <= settings.RELAY_HELD_BYTES


class Held:
    """The octets one mail holds."""

    def __init__(self, house: Relay) -> None:
        self.house, self.octets = house, 0

    def add(self, octets: int) -> bool:
        self.octets += octets
        return self.house.hold(octets)
