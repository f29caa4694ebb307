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
        self._held: Counter[str] = Counter()
        self.guesses = Guesses()
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
    def holding(self, owner: str) -> Iterator["Held"]:
        """An account of the octets one mail holds in memory, given back at the end of the block."""
        held = Held(self, owner)
        try:
            yield held
        finally:
            held.release()

    def hold(self, owner: str, octets: int) -> bool:
        """Whether there was room for so many more octets of mails being received; they count in any case. Nobody has more than
        half of the room, so that one account's slow mails, or strangers', leave the others theirs."""
        self._held[owner] += octets
        if not self._held[owner]:
            del self._held[owner]
        return self._held.total() <= settings.RELAY_HELD_BYTES and self._held[owner] <= settings.RELAY_HELD_BYTES // 2


class Held:
    """The octets one mail holds."""

    def __init__(self, house: Relay, owner: str) -> None:
        self.house, self.owner, self.octets = house, owner, 0

    def add(self, octets: int) -> bool:
        self.octets += octets
        return self.house.hold(self.owner, octets)

    def release(self) -> None:
        self.house.hold(self.owner, -self.octets)
        self.octets = 0


class Guesses:
    """Refused passwords by address, over all its sessions; each address is forgotten after LIFE seconds without one."""

    LIFE = 600.0
    MOST = 6
    """Doublings: half a second becomes 32."""
    ADDRESSES = 10_000

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}

    def add(self, address: str) -> int:
        """How many there were lately with this one, MOST at most. The right key is never kept waiting."""
        now, source = monotonic(), bucket(address)
        count, until = self._seen.pop(source, (0, 0.0))
        count = min(count + 1, self.MOST) if now < until else 1
        self._seen[source] = count, now + self.LIFE
        if len(self._seen) > self.ADDRESSES:
            del self._seen[next(iter(self._seen))]
        return count
