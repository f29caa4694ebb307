"""An HTTP/1.1 client that POSTs to one customer's host: it connects only to addresses core.outbound has judged, under one
deadline. It follows no redirect, knows no proxy, unpacks nothing, and what a peer does is a value, never an exception."""

import asyncio
import functools
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sendarix.core import outbound
from sendarix.core.http_reply import Cause, Lost, Reply
from sendarix.core.outbound import Lookup, Target

DEADLINE = 15.0
KEPT_BYTES = 20_000
LONGEST_KEPT = 60.0
MOST_KEPT = 4
USER_AGENT = "Sendarix"

_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_value = re.compile(r"[\t\x20-\x7e]*").fullmatch
_path = re.compile(r"/[\x21-\x7e]*").fullmatch
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect", "upgrade"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole reply, whatever its status. `headers` has lower-case names, repeated ones joined by a comma; `body` is its
    first 20,000 octets as they came, `truncated` when there were more."""

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool
    address: str
    milliseconds: int

    @property
    def text(self) -> str:
        """The body for people: UTF-8 as far as it is that, without NUL."""
        return self.body.decode("utf-8", "replace").replace("\0", "\ufffd")


@dataclass(frozen=True, slots=True)
class Failure:
    """No whole reply. `sent`: the peer may have seen the request, or part of it. `status`: of the reply that had begun."""

    cause: Cause
    detail: str
    address: str | None
    sent: bool
    milliseconds: int
    status: int | None = None


class Client:
    """POSTs to one target, any number at a time, each on a connection of its own. Up to 4 connections are kept open, none
    for longer than `longest_kept` seconds, so that a change in the DNS is followed; each new one is resolved and judged anew.

    Belongs to the event loop it is used in. `tls` replaces the system's trust (tests).
    """

    def __init__(
        self,
        target: Target,
        lookup: Lookup,
        *,
        allow_loopback: bool = False,
        tls: ssl.SSLContext | None = None,
        longest_kept: float = LONGEST_KEPT,
    ) -> None:
        self.target = target
        self._lookup = lookup
        self._allow_loopback = allow_loopback
        self._tls = tls
        self._longest_kept = longest_kept
        self._kept: list[_Connection] = []

    async def post(
        self, path: str, headers: Mapping[str, str], body: bytes, deadline: float = DEADLINE
    ) -> Answer | Failure:
        """The reply, or why there is none, within `deadline` seconds for everything together.

        A kept connection that ends before the first octet of a reply was most likely closed as idle while the request
        was on its way: the request is sent once more, on a new one. The peer may then see it twice, which it tells by
        the webhook-id. Raises ValueError for a path or header that can't stand in a request.
        """
        exchange = _Exchange(_request(self.target.authority, path, headers, body), deadline)
        try:
            async with asyncio.timeout_at(exchange.ends):
                return await self._post(exchange)
        except TimeoutError:
            return exchange.failure(Cause.TIMEOUT, f"{exchange.doing} was not over after {deadline:g} s")
        except Lost as lost:
            return exchange.failure(lost.cause, lost.detail)

    def close(self) -> None:
        """Closes the kept connections; the client can still be used."""
        while self._kept:
            self._kept.pop().close()

    @property
    def kept(self) -> int:
        """Connections open and idle."""
        return len(self._kept)

    async def _post(self, exchange: "_Exchange") -> Answer:
        if connection := self._take():
            try:
                return await self._over(connection, exchange)
            except Lost:
                if exchange.heard:
                    raise
        return await self._over(await self._connect(exchange), exchange)

    async def _over(self, connection: "_Connection", exchange: "_Exchange") -> Answer:
        answer = await exchange.over(connection)
        if connection.usable and len(self._kept) < MOST_KEPT:
            self._kept.append(connection)
        else:
            connection.close()
        return answer

    def _take(self) -> "_Connection | None":
        while self._kept:
            connection = self._kept.pop()
            if connection.usable:
                return connection
            connection.close()
        return None

    def _forget(self, connection: "_Connection") -> None:
        if connection in self._kept:
            self._kept.remove(connection)

    async def _connect(self, exchange: "_Exchange") -> "_Connection":
        exchange.doing = "looking the name up"
        try:
            addresses = await outbound.resolve(self.target, self._lookup, allow_loopback=self._allow_loopback)
        except outbound.Refused as refused:
            cause = Cause.RESOLVE if refused.code == "unresolvable" else Cause.REFUSED
            raise Lost(cause, refused.message) from None
        return await self._open(exchange, await self._reach(exchange, addresses))

    async def _reach(self, exchange: "_Exchange", addresses: tuple[str, ...]) -> socket.socket:
        """A connected socket: one address after the other, each with its share of the time that is left."""
        exchange.doing = "connecting"
        lost = Lost(Cause.CONNECT, "no address")
        for tried, exchange.address in enumerate(addresses):
            try:
                async with asyncio.timeout_at(exchange.share(len(addresses) - tried)):
                    return await _dial(exchange.address, self.target.port)
            except TimeoutError:
                lost = Lost(Cause.TIMEOUT, "no connection in time")
            except OSError as error:
                lost = Lost(Cause.CONNECT, f"no connection: {_told(error)}")
        raise lost

    async def _open(self, exchange: "_Exchange", sock: socket.socket) -> "_Connection":
        loop = asyncio.get_running_loop()
        connection = _Connection(loop, exchange.address or "", self._longest_kept, self._forget)
        if self.target.scheme == "http":
            await loop.create_connection(lambda: connection, sock=sock)
            return connection
        exchange.doing = "the TLS handshake"
        tls = self._tls or system_trust()
        try:
            await loop.create_connection(lambda: connection, sock=sock, ssl=tls, server_hostname=self.target.host)
        except OSError as error:  # ssl.SSLError is one
            raise Lost(Cause.TLS, f"the TLS handshake failed: {_told(error)}") from None
        return connection


class _Exchange:
    """One POST and where it stands."""

    def __init__(self, request: bytes, deadline: float) -> None:
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self.ends = self._began + deadline
        self.reply: Reply | None = None
        self.address: str | None = None
        self.doing = "nothing"
        self.sent = False

    def share(self, parts: int) -> float:
        """When one of so many equal parts of the time that is left will be over."""
        now = self._loop.time()
        return now + (self.ends - now) / parts

    async def over(self, connection: "_Connection") -> Answer:
        self.address, self.doing, self.sent = connection.address, "the reply", True
        self.reply = reply = connection.begin(self._request)
        await connection.whole()
        kept = reply.body[:KEPT_BYTES]
        truncated = reply.cut or len(reply.body) > KEPT_BYTES
        return Answer(reply.status or 0, reply.headers, kept, truncated, connection.address, self._milliseconds())

    @property
    def heard(self) -> bool:
        """A reply has begun."""
        return self.reply is not None and self.reply.heard

    def failure(self, cause: Cause, detail: str) -> Failure:
        status = self.reply.status if self.reply else None
        return Failure(cause, detail, self.address, self.sent, self._milliseconds(), status)

    def _milliseconds(self) -> int:
        return round((self._loop.time() - self._began) * 1000)


class _Connection(asyncio.Protocol):
    """One connection, one exchange at a time. What the peer says unasked ends it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: str,
        lifetime: float,
        ended: Callable[["_Connection"], None],
    ) -> None:
        self.address = address
        self._lifetime = lifetime
        self._loop = loop
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._expired = False
        self._reply: Reply | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._lost: Lost | None = None

    @property
    def usable(self) -> bool:
        """It may carry another exchange: nothing is left over from the last one, in either direction."""
        transport, reply = self._transport, self._reply
        if transport is None or reply is None or self._expired or self._lost or transport.is_closing():
            return False
        return reply.keeps and not transport.get_write_buffer_size()

    def begin(self, request: bytes) -> Reply:
        """Sends the request; the Reply fills while `whole` is awaited."""
        assert self._transport is not None
        self._reply = Reply()
        self._waiter = self._loop.create_future()
        if self._lost is not None:
            self._waiter.set_exception(self._lost)
        self._transport.write(request)
        return self._reply

    async def whole(self) -> None:
        """Until the reply is whole. Raises Lost. Given up or failed, the connection is closed."""
        assert self._waiter is not None
        try:
            await self._waiter
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._timer = self._loop.call_later(self._lifetime, self._expire)

    def data_received(self, data: bytes) -> None:
        if self._reply is None or self._waiter is None or self._waiter.done():
            self.close()
            return
        try:
            if self._reply.feed(data):
                self._waiter.set_result(None)
        except Lost as lost:
            self._waiter.set_exception(lost)

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error)
        if self._timer is not None:
            self._timer.cancel()
        self._ended(self)

    def _end(self, error: Exception | None) -> None:
        self._lost = self._lost or Lost(Cause.RESET, "the connection was closed without a reply")
        if self._reply is None or self._waiter is None or self._waiter.done():
            return
        try:
            if error is not None:
                raise Lost(_lost_by(error), f"the connection broke {self._reply.progress}: {_told(error)}")
            self._reply.end()
            self._waiter.set_result(None)
        except Lost as lost:
            self._waiter.set_exception(lost)

    def _expire(self) -> None:
        self._expired = True
        if self._waiter is None or self._waiter.done():
            self.close()


def _request(authority: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    if not _path(path):
        raise ValueError(f"{path!r} is no path of a request")
    lines = [f"POST {path} HTTP/1.1\r\nHost: {authority}\r\nAccept-Encoding: identity\r\nContent-Length: {len(body)}"]
    names = set()
    for name, value in headers.items():
        if not _token(name) or not _value(value) or name.lower() in _OURS:
            raise ValueError(f"{name!r} can't stand in a request, or not with this value")
        names.add(name.lower())
        lines.append(f"{name}: {value}")
    lines += [] if "user-agent" in names else [f"User-Agent: {USER_AGENT}"]
    return "\r\n".join([*lines, "\r\n"]).encode("ascii") + body


async def _dial(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _lost_by(error: Exception) -> Cause:
    match error:
        case ssl.SSLError():
            return Cause.TLS
        case TimeoutError():
            return Cause.TIMEOUT
    return Cause.RESET


def _told(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return error.verify_message
        case ssl.SSLError():
            return (error.reason or str(error)).replace("_", " ").lower()
        case OSError():
            return os.strerror(error.errno) if error.errno else "the connection was closed"
    return type(error).__name__


@functools.cache
def system_trust() -> ssl.SSLContext:
    """The system's authorities, TLS 1.2 at least; one per process, as loading them takes 50 ms."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
