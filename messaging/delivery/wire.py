"""The line under an SMTP dialogue: replies in, bounded in bytes and lines; bytes out, with flow control; one
deadline at a time. It knows no command. Message content leaves through `Stuffer` only: CRLF line ends, no
NUL, dots doubled."""

import asyncio
import re
from typing import cast

from messaging.delivery.outcomes import Cause

LINE_LIMIT = 4096  # RFC 5321 says 512; real servers write more
UNASKED_REPLIES = 16
SLICE = 256 * 1024


class Lost(Exception):
    """The connection is gone, or was given up. `cause` and `detail` are for the outcome."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail


class Wire(asyncio.Protocol):
    """One connection. Any broken limit, an expired deadline or the peer's close ends it and sets `lost`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, reply_bytes: int, reply_lines: int) -> None:
        self._loop = loop
        self._reply_bytes = reply_bytes
        self._reply_lines = reply_lines
        self._transport: asyncio.Transport | None = None
        self._partial = b""
        self._lines: list[bytes] = []
        self._size = 0
        self._replies: list[tuple[int, bytes]] = []
        self._wanted = 1
        self._waiter: asyncio.Future[None] | None = None
        self._full = False
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] = loop.create_future()
        self.lost: Lost | None = None

    @property
    def silent(self) -> bool:
        """Alive, and the peer has said nothing that was not asked for."""
        return self.lost is None and not (self._replies or self._partial or self._lines)

    @property
    def spoken(self) -> bool:
        """A whole reply waits to be read."""
        return bool(self._replies)

    def send(self, data: bytes) -> None:
        if self._transport is not None and self.lost is None:
            self._transport.write(data)

    async def replies(self, count: int) -> list[tuple[int, bytes]]:
        """The next `count` replies as (code, lines with codes). Fewer only when the connection was lost."""
        while len(self._replies) < count and self.lost is None:
            self._wanted = count
            await self._wait()
        found = self._replies[:count]
        del self._replies[:count]
        return found

    async def reply(self) -> tuple[int, bytes]:
        """The next reply. Raises Lost."""
        for found in await self.replies(1):
            return found
        raise self._lost()

    @property
    def full(self) -> bool:
        """Something sent is still in our buffer, not yet in the kernel's."""
        return self._full

    def take(self) -> tuple[int, bytes]:
        """The oldest waiting reply; only when `spoken`."""
        return self._replies.pop(0)

    async def flushed(self) -> None:
        """Returns when the kernel has taken everything sent, or a reply came in between. Raises Lost."""
        while self._full and self.lost is None and not self._replies:
            self._wanted = 1
            await self._wait()
        if self.lost is not None and not self._replies:
            raise self._lost()

    def deadline(self, seconds: float | None) -> None:
        """From now, the time until the connection is given up; None takes the limit away. One lazy timer
        serves all."""
        if seconds is None:
            self._deadline = None
            return
        self._deadline = at = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > at:
            self._arm(at)

    def give_up(self, cause: Cause, detail: str) -> None:
        self._lose(Lost(cause, detail))
        self.abort()

    def abort(self) -> None:
        if self.lost is None:
            self.lost = Lost(Cause.CONNECTION, "closed by us")
        self._disarm()
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Returns when the transport is gone."""
        if self._transport is not None:
            await self._closed

    async def start_tls(self, context, name: str, seconds: float) -> str:
        """Goes on under TLS and returns its version. Raises what the handshake raises.

        Bytes that came before the handshake would be read as if protected (STARTTLS injection): they end the
        connection.
        """
        if not self.silent:
            self.give_up(Cause.TLS, "the server sent data in clear after its answer to STARTTLS")
            raise self._lost()
        assert self._transport is not None
        self._transport = await self._loop.start_tls(
            self._transport, self, context, server_hostname=name, ssl_handshake_timeout=seconds
        )
        if self._transport is None:
            raise ConnectionResetError("connection lost during the TLS handshake")
        self._transport.set_write_buffer_limits(high=1, low=0)
        return self.tls_version or "TLS"

    @property
    def tls_version(self) -> str | None:
        found = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return found.version() if found is not None else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by type
        self._transport.set_write_buffer_limits(high=1, low=0)

    def data_received(self, data: bytes) -> None:
        if self._partial:
            data = self._partial + data
        *lines, self._partial = data.split(b"\n")
        for line in lines:
            self._line(line.rstrip(b"\r"))
            if self.lost is not None:
                return
        if len(self._partial) > LINE_LIMIT:
            self.give_up(Cause.PROTOCOL, f"a reply line of more than {LINE_LIMIT} bytes")
        waiter = self._waiter
        if waiter is not None and len(self._replies) >= self._wanted and not waiter.done():
            waiter.set_result(None)

    def eof_received(self) -> None:
        self._lose(Lost(Cause.CONNECTION, "the server closed the connection"))

    def connection_lost(self, exc: Exception | None) -> None:
        detail = f"connection lost: {exc}" if exc else "the server closed the connection"
        self._lose(Lost(Cause.CONNECTION, detail))
        self._disarm()
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def _line(self, line: bytes) -> None:
        code, mark = line[:3], line[3:4]
        if not code.isdigit() or len(code) < 3 or mark not in b" -" or len(line) > LINE_LIMIT:
            self.give_up(Cause.PROTOCOL, f"not an SMTP reply: {line[:80]!r}")
            return
        if mark == b"-":
            self._continued(line)
            return
        if self._lines:
            line = b"\n".join((*self._lines, line))
            self._lines = []
            self._size = 0
        self._replies.append((int(code), line))
        if len(self._replies) > UNASKED_REPLIES:
            self.give_up(Cause.PROTOCOL, "replies to nothing we asked")

    def _continued(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        if len(self._lines) >= self._reply_lines or self._size > self._reply_bytes:
            self._lines = []
            self.give_up(Cause.PROTOCOL, f"a reply longer than {self._reply_lines} lines or {self._reply_bytes} bytes")

    def _wait(self) -> asyncio.Future[None]:
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _lose(self, lost: Lost) -> None:
        if self.lost is None:
            self.lost = lost
        self._wake()

    def _lost(self) -> Lost:
        return Lost(self.lost.cause, self.lost.detail) if self.lost else Lost(Cause.CONNECTION, "not connected")

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, at: float) -> None:
        self._disarm()
        self._timer = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._deadline is None or self.lost is not None:
            return
        if self._loop.time() < self._deadline:
            self._arm(self._deadline)
            return
        self.give_up(Cause.TIMEOUT, "the server took too long")


_LINE_END = re.compile(rb"\r\n|\r|\n")


class Unsafe(ValueError):
    """Content that no SMTP server may be given: it holds a NUL."""


class Stuffer:
    """Content, in pieces cut anywhere, as it goes over the wire (RFC 5321 section 4.5.2). Lone CR and LF
    become CRLF, so that no receiver can see an end of data that we do not see."""

    def __init__(self) -> None:
        self._held = b""
        self._at_start = True

    def feed(self, data: bytes) -> bytes:
        """The wire form of the next piece. Raises Unsafe."""
        if self._held:
            data = self._held + data
            self._held = b""
        if data[-1:] == b"\r":
            self._held, data = b"\r", data[:-1]
        if not data:
            return data
        data = canonical(data)
        if b"\n." in data:
            data = data.replace(b"\n.", b"\n..")
        if self._at_start and data[:1] == b".":
            data = b"." + data
        self._at_start = data[-1:] == b"\n"
        return data

    def end(self) -> bytes:
        """What closes the last line, so that the final dot stands on its own."""
        return b"" if self._at_start and not self._held else b"\r\n"


def canonical(data: bytes) -> bytes:
    """`data` with CRLF as its only line end. Raises Unsafe on a NUL."""
    if b"\0" in data:
        raise Unsafe("the content holds a NUL byte")
    ends = data.count(b"\r\n")
    if data.count(b"\n") == ends and data.count(b"\r") == ends:
        return data
    return _LINE_END.sub(b"\r\n", data)


def stuffed(data: bytes) -> bytes:
    """A whole message in wire form, its last line closed. Raises Unsafe."""
    data = canonical(data)
    if b"\r\n." in data or data[:1] == b"." or data[-1:] != b"\n":
        stuffer = Stuffer()
        return stuffer.feed(data) + stuffer.end()
    return data
