"""A real HTTP/1.1 receiver on loopback, plain or TLS, that records every request and answers as told.

    with Receiver() as r:                      # Receiver(tls=True): https, r.trust is the client's SSLContext
        r.default = Reply(200)                 # once the script is used up, or without one
        r.script = [Reply(500), Reply(429, {"Retry-After": "7"}), Reset(), Reply(200)]    # one step per request
        ... POST to r.url ...
        assert r.wait(4)[0].headers["webhook-id"] == "msg_1"

`r.answer = lambda request: Reply(...)` decides by the request instead of the script. `r.requests` holds Request
values in the order they were read whole, whatever was answered; `r.connections` counts connections; `r.wait(n)`
blocks until n requests came. Steps: Reply, Never, Reset, Drop, Raw, Drip, Endless, Flood, gzip_bomb(). The receiver
runs in a thread of its own with its own loop, so a step that hangs holds up only its own connection.
"""

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import trustme


@dataclass(frozen=True, slots=True)
class Request:
    """One request read whole. `headers` has lower-case names; of repeated ones the last counts. `at` is time.time()."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    connection: int
    server_name: str | None  # SNI
    head: bytes  # request line and headers, as they came


@dataclass(frozen=True, slots=True)
class Reply:
    """An ordinary reply. `delay` seconds before the head, `pause` seconds between head and body. `length` False and
    not `chunked`: the body ends with the connection. `version` "1.0" or `close` closes after it; `close_quietly` closes
    without having said so. `unasked` is sent a moment later, on the connection that has become idle."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    delay: float = 0.0
    pause: float = 0.0
    chunked: bool = False
    length: bool = True
    close: bool = False
    close_quietly: bool = False
    version: str = "1.1"
    unasked: bytes = b""

    @property
    def closes(self) -> bool:
        return self.close or self.close_quietly or self.version == "1.0" or not (self.length or self.chunked)

    def wire(self) -> tuple[bytes, bytes]:
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Unheard Of"
        headers = dict(self.headers)
        body = self.body
        if self.chunked:
            headers["Transfer-Encoding"] = "chunked"
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in _pieces(body)) + b"0\r\n\r\n"
        elif self.length:
            headers.setdefault("Content-Length", str(len(body)))
        if self.closes and not self.close_quietly:
            headers["Connection"] = "close"
        lines = [f"HTTP/{self.version} {self.status} {phrase}", *(f"{name}: {said}" for name, said in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), body


@dataclass(frozen=True, slots=True)
class Never:
    """Reads the request and says nothing; the connection stays open for `seconds`."""

    seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Reset:
    """RST instead of a reply; with `reply`, after its head and `after` octets of its body."""

    reply: Reply | None = None
    after: int = 0


@dataclass(frozen=True, slots=True)
class Drop:
    """FIN instead of a reply; with `reply`, after its head and `after` octets of its body."""

    reply: Reply | None = None
    after: int = 0


@dataclass(frozen=True, slots=True)
class Raw:
    """These very octets, then the connection is closed (or kept)."""

    data: bytes
    close: bool = True


@dataclass(frozen=True, slots=True)
class Drip:
    """An ordinary reply, one octet every `every` seconds."""

    reply: Reply = field(default_factory=Reply)
    every: float = 1.0


@dataclass(frozen=True, slots=True)
class Endless:
    """A status line, and then this line for as long as anybody reads."""

    line: bytes = b"X-More: and more and more and more\r\n"
    status: int = 200


@dataclass(frozen=True, slots=True)
class Flood:
    """A reply whose body has this many megabytes, sent as fast as it is read."""

    megabytes: int = 100
    status: int = 200
    chunked: bool = False


Step = Reply | Never | Reset | Drop | Raw | Drip | Endless | Flood


def gzip_bomb(megabytes: int = 100) -> Reply:
    """A reply of some 100 KB that unpacks to `megabytes`."""
    packed = gzip.compress(bytes(megabytes * 1_000_000), 9)
    return Reply(200, {"Content-Encoding": "gzip", "Content-Type": "application/json"}, packed)


class Receiver:
    """Serves from `start` (or `with`) to `stop`. `host` may be `::1`; `names` are in the certificate beside the host."""

    def __init__(
        self, *, tls: bool = False, host: str = "127.0.0.1", port: int = 0, names: Iterable[str] = ("localhost",)
    ) -> None:
        self.script: list[Step] = []
        self.default: Step = Reply()
        self.answer: Callable[[Request], Step] | None = None
        self.requests: list[Request] = []
        self.connections = 0
        self.host = host
        self.port = port
        self.trust: ssl.SSLContext | None = None
        self._tls = self._certificate([host, *names]) if tls else None
        self._server_names: dict[ssl.SSLObject, str | None] = {}
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/hook"

    def wait(self, count: int, timeout: float = 60.0) -> list[Request]:
        """The requests, once there are `count`; TimeoutError when there are fewer after `timeout` seconds."""
        with self._news:
            if not self._news.wait_for(lambda: len(self.requests) >= count, timeout):
                raise TimeoutError(f"{len(self.requests)} requests came, {count} were awaited")
            return list(self.requests)

    def start(self) -> "Receiver":
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the receiver did not start")
        return self

    def stop(self) -> None:
        """Closes the listener and every connection."""
        assert self._thread is not None
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def hang_up(self) -> None:
        """Closes every connection, idle ones too; the listener stays."""
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(10)

    def __enter__(self) -> "Receiver":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._loop.call_soon(ready.set)
        self._loop.run_forever()
        self._loop.run_until_complete(self._hang_up())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self._tls, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._hang_up()

    async def _hang_up(self) -> None:
        while going := list(self._open):
            for task in going:
                task.cancel()
            await asyncio.wait(going)

    def _certificate(self, names: list[str]) -> ssl.SSLContext:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*dict.fromkeys(names)).configure_cert(context)
        context.sni_callback = lambda tls, name, _: self._server_names.update({tls: name})
        self.trust = ssl.create_default_context()
        authority.configure_trust(self.trust)
        return context

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        server_name = self._server_names.pop(writer.get_extra_info("ssl_object"), None)
        try:
            await _Connection(self, reader, writer, self.connections, server_name).talk()
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            self._open.discard(task)

    def take(self, request: Request) -> Step:
        """Records the request and says what to do with it."""
        with self._news:
            self.requests.append(request)
            self._news.notify_all()
            if self.answer is not None:
                return self.answer(request)
            return self.script.pop(0) if self.script else self.default


class _Connection:
    def __init__(
        self,
        receiver: Receiver,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        number: int,
        server_name: str | None,
    ) -> None:
        self.receiver = receiver
        self.reader = reader
        self.writer = writer
        self.number = number
        self.server_name = server_name

    async def talk(self) -> None:
        while await self.act(self.receiver.take(await self.request())):
            pass

    async def request(self) -> Request:
        """Raises IncompleteReadError (an EOFError) when the client has gone."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.strip().lower(): said.strip() for name, _, said in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Request(method, path, headers, body, time.time(), self.number, self.server_name, head)

    async def act(self, step: Step) -> bool:
        """Does the step; whether the connection goes on."""
        match step:
            case Reply():
                return await self.reply(step)
            case Never(seconds):
                await asyncio.sleep(seconds)
            case Reset(reply, after):
                await self.part(reply, after)
                sock = self.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.writer.transport.abort()
            case Drop(reply, after):
                await self.part(reply, after)
            case Raw(data, close):
                await self.write(data)
                return not close
            case Drip(reply, every):
                for octet in b"".join(reply.wire()):
                    await self.write(bytes([octet]))
                    await asyncio.sleep(every)
                return not reply.closes
            case Endless(line, status):
                await self.write(b"HTTP/1.1 %d Yes\r\n" % status)
                while True:
                    await self.write(line * 500)
            case Flood():
                await self.flood(step)
        return False

    async def reply(self, step: Reply) -> bool:
        head, body = step.wire()
        if step.delay:
            await asyncio.sleep(step.delay)
        if step.pause:
            await self.write(head)
            await asyncio.sleep(step.pause)
            head = b""
        await self.write(head + body)
        if step.unasked:
            await asyncio.sleep(0.05)
            await self.write(step.unasked)
        return not step.closes

    async def part(self, reply: Reply | None, after: int) -> None:
        if reply is not None:
            head, body = reply.wire()
            await self.write(head + body[:after])

    async def flood(self, step: Flood) -> None:
        size = 1_000_000
        framing = "Transfer-Encoding: chunked" if step.chunked else f"Content-Length: {step.megabytes * size}"
        await self.write(f"HTTP/1.1 {step.status} Yes\r\n{framing}\r\n\r\n".encode())
        piece = b"%x\r\n%b\r\n" % (size, bytes(size)) if step.chunked else bytes(size)
        for _ in range(step.megabytes):
            await self.write(piece)

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


def _pieces(body: bytes, size: int = 1000) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]
