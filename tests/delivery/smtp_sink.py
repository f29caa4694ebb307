"""A real SMTP server for tests, told at every stage what to do: answer, drop, reset, hang, drip, babble.

In a test: `with SmtpSink({"rcpt": "550 5.1.1 no such user"}) as sink: ...`; from a shell: `python -m
tests.delivery.smtp_sink --port 2525 --reply rcpt="550 5.1.1 no" --drop body:1000 --record seen.jsonl`.
Stages: connect, ehlo, helo, starttls, auth, mail, rcpt, data, body (inside the content), dot (after it),
rset, quit.
"""

import argparse
import asyncio
import base64
import json
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Drop:
    """Close; in `body` once that many bytes of content have come."""

    after: int = 0


@dataclass(frozen=True)
class Reset(Drop):
    """Close with a TCP reset."""


@dataclass(frozen=True)
class Hang:
    """Say nothing and read nothing for so long, then close."""

    seconds: float = 3600.0
    after: int = 0


@dataclass(frozen=True)
class Later:
    """Answer, but only after so many seconds."""

    seconds: float
    reply: str | None = None


@dataclass(frozen=True)
class Held:
    """Answer once the test has set `until`."""

    until: threading.Event
    reply: str | None = None


@dataclass(frozen=True)
class Raw:
    """Exactly these bytes instead of an answer; `pause` seconds between single bytes; `close` afterwards."""

    data: bytes
    pause: float = 0.0
    close: bool = False


@dataclass(frozen=True)
class Endless:
    """One line over and over, until the client leaves."""

    line: bytes = b"220-welcome to the endless banner\r\n"


Step = str | Drop | Hang | Later | Held | Raw | Endless | None
Script = dict[str, "Step | list[Step] | Callable[[str], Step]"]


@dataclass
class Transaction:
    """One message: the commands as sent, the content exactly as it came (dots still doubled, without the
    final one)."""

    mail: str = ""
    rcpt: list[str] = field(default_factory=list)
    wire: bytes | bytearray = b""
    ended: bool = False
    reply: str = ""
    tls: str | None = None
    session: int = 0

    @property
    def content(self) -> bytes:
        text = bytes(self.wire).replace(b"\r\n..", b"\r\n.")
        return text[1:] if text.startswith(b"..") else text

    @property
    def sender(self) -> str:
        return self.mail.partition("<")[2].partition(">")[0]

    @property
    def recipients(self) -> list[str]:
        return [line.partition("<")[2].partition(">")[0] for line in self.rcpt]

    def shown(self) -> dict:
        return {
            "mail": self.mail,
            "rcpt": self.rcpt,
            "content": self.content.decode("utf-8", "replace"),
            "dot": self.ended,
            "reply": self.reply,
            "tls": self.tls,
            "session": self.session,
        }


@dataclass
class SessionRecord:
    """One connection: commands in order, and which of them came in one piece (`groups`)."""

    commands: list[str] = field(default_factory=list)
    groups: list[list[str]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    dots: int = 0
    tls: str | None = None
    ended: bool = False


class Closed(Exception):
    pass


class SmtpSink:
    """The server, in a thread of its own. `script` may be changed between messages; a list is used up one
    step a time."""

    def __init__(
        self,
        script: Script | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8"),
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        login: tuple[str, str] | None = None,
        mechanisms: str = "PLAIN LOGIN",
        slow_read: float = 0.0,
        on_transaction: Callable[[Transaction], None] | None = None,
    ) -> None:
        self.script: Script = dict(script or {})
        self.host, self.port = host, port
        self.extensions = extensions
        self.tls, self.implicit = tls, implicit
        self.login, self.mechanisms = login, mechanisms
        self.slow_read = slow_read
        self.on_transaction = on_transaction
        self.transactions: list[Transaction] = []
        self.sessions: list[SessionRecord] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task] = set()
        self._changed = threading.Condition()

    @property
    def dots(self) -> int:
        """Final dots seen, over all connections."""
        return sum(session.dots for session in self.sessions)

    @property
    def accepted(self) -> list[Transaction]:
        return [seen for seen in self.transactions if seen.ended and seen.reply.startswith("2")]

    def start(self) -> "SmtpSink":
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="smtp-sink", daemon=True)
        self._thread.start()
        ready.wait(10)
        return self

    def stop(self) -> None:
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._halt.set)
        self._thread.join(10)
        self._thread = None

    def __enter__(self) -> "SmtpSink":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_for(self, condition: Callable[["SmtpSink"], bool], seconds: float = 60.0) -> bool:
        """Until the condition holds; it is looked at after each thing that happens."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), seconds)

    def _run(self, ready: threading.Event) -> None:
        asyncio.run(self.serve(ready))

    async def serve(self, ready: threading.Event | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._halt = asyncio.Event()
        server = await asyncio.start_server(
            self._accept, self.host, self.port, ssl=self.tls if self.implicit else None, backlog=1024
        )
        self.port = server.sockets[0].getsockname()[1]
        if self.slow_read:  # or the kernel reads ahead up to 32 MB, a whole letter
            server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        if ready is not None:
            ready.set()
        await self._halt.wait()
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        record = SessionRecord()
        self.sessions.append(record)
        dialogue = _Dialogue(self, reader, writer, record, len(self.sessions))
        try:
            await dialogue.run()
        except (Closed, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            record.ended = True
            writer.close()
            self._tasks.discard(task)
            self.notify()

    def notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def step(self, stage: str, argument: str = "") -> Step:
        found = self.script.get(stage)
        if isinstance(found, list):
            return found.pop(0) if found else None
        return found(argument) if callable(found) else found


class _Dialogue:
    def __init__(
        self,
        sink: SmtpSink,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        record: SessionRecord,
        number: int,
    ) -> None:
        self.sink, self.reader, self.writer = sink, reader, writer
        self.record, self.number = record, number
        self.buffer = b""
        self.out: list[bytes] = []
        self.now = Transaction(session=number)
        self.record.tls = self._tls_version()

    def _tls_version(self) -> str | None:
        found = self.writer.get_extra_info("ssl_object")
        return found.version() if found else None

    async def run(self) -> None:
        await self.act("connect", "220 sink.test ESMTP")
        while True:
            line = await self.line()
            verb, _, rest = line.partition(" ")
            handler = getattr(self, f"on_{verb.lower()}", None)
            if handler is None:
                await self.say("502 5.5.2 unknown command")
            elif await handler(rest, line):
                return

    async def line(self) -> str:
        while b"\r\n" not in self.buffer:
            await self.flush()
            await self.more()
            self.record.groups.append([])
        raw, _, self.buffer = self.buffer.partition(b"\r\n")
        text = raw.decode("utf-8", "surrogateescape")
        self.record.commands.append(text)
        if self.record.groups:
            self.record.groups[-1].append(text)
        self.sink.notify()
        return text

    async def more(self) -> None:
        if self.sink.slow_read:
            await asyncio.sleep(self.sink.slow_read)
        data = await self.reader.read(65536)
        if not data:
            raise Closed
        self.buffer += data

    async def say(self, text: str) -> None:
        """Queued until the buffer is empty, as servers that pipeline do."""
        lines = text.split("\n")
        code = lines[0][:3]
        for at, line in enumerate(lines):
            body = line if at == 0 else f"{code} {line}"
            self.out.append((body if at == len(lines) - 1 else f"{code}-{body[4:]}").encode() + b"\r\n")

    async def flush(self) -> None:
        if self.out:
            data, self.out = b"".join(self.out), []
            self.writer.write(data)
            await self.writer.drain()

    async def act(self, stage: str, usual: str, argument: str = "") -> str:
        """Does what the script says for this stage; answers the reply that was given."""
        step = self.sink.step(stage, argument)
        match step:
            case None:
                await self.say(usual)
            case str():
                await self.say(step)
                usual = step
            case Later(seconds, reply):
                await self.flush()
                await asyncio.sleep(seconds)
                usual = reply or usual
                await self.say(usual)
            case Held(until, reply):
                await self.flush()
                while not until.is_set():
                    await asyncio.sleep(0.005)
                usual = reply or usual
                await self.say(usual)
            case _:
                await self.misbehave(step)
                return usual
        if stage == "dot" or usual.startswith("421"):
            await self.flush()
        if usual.startswith("421"):
            raise Closed
        return usual

    async def misbehave(self, step: Step) -> None:
        await self.flush()
        match step:
            case Reset():
                sock = self.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.writer.transport.abort()
                raise Closed
            case Drop():
                raise Closed
            case Hang(seconds):
                await asyncio.sleep(seconds)
                raise Closed
            case Endless(line):
                while True:
                    self.writer.write(line * 500)
                    await self.writer.drain()
            case Raw(data, pause, close):
                await self.drip(data, pause)
                if close:
                    raise Closed

    async def drip(self, data: bytes, pause: float) -> None:
        pieces = [data[at : at + 1] for at in range(len(data))] if pause else [data]
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(pause)

    async def on_ehlo(self, rest: str, line: str) -> None:
        offers = ["sink.test", *self.sink.extensions]
        if self.sink.tls is not None and self.record.tls is None:
            offers.append("STARTTLS")
        if self.sink.login is not None:
            offers.append(f"AUTH {self.sink.mechanisms}")
        await self.act("ehlo", "\n".join([f"250 {offers[0]}", *offers[1:]]), rest)

    async def on_helo(self, rest: str, line: str) -> None:
        await self.act("helo", "250 sink.test", rest)

    async def on_starttls(self, rest: str, line: str) -> None:
        if self.sink.tls is None:
            await self.say("502 5.5.1 no TLS here")
            return
        answer = await self.act("starttls", "220 2.0.0 go ahead")
        await self.flush()
        if answer.startswith("220"):
            await self.writer.start_tls(self.sink.tls)
            self.buffer = b""
            self.record.tls = self._tls_version()

    async def on_auth(self, rest: str, line: str) -> None:
        mechanism, _, initial = rest.partition(" ")
        if mechanism.upper() == "LOGIN":
            found = (await self.ask("VXNlcm5hbWU6"), await self.ask("UGFzc3dvcmQ6"))
        else:
            fields = (base64.b64decode(initial).decode() if initial else await self.ask("")).split("\0")
            found = (fields[1], fields[2])
        self.record.logins.append(found)
        usual = "235 2.7.0 welcome" if found == self.sink.login else "535 5.7.8 wrong name or password"
        await self.act("auth", usual, mechanism)

    async def ask(self, prompt: str) -> str:
        await self.say(f"334 {prompt}")
        return base64.b64decode(await self.line()).decode()

    async def on_mail(self, rest: str, line: str) -> None:
        self.now = Transaction(session=self.number, tls=self.record.tls)
        if (await self.act("mail", "250 2.1.0 ok", line)).startswith("2"):
            self.now.mail = line

    async def on_rcpt(self, rest: str, line: str) -> None:
        usual = "250 2.1.5 ok" if self.now.mail else "503 5.5.1 MAIL first"
        if (await self.act("rcpt", usual, line)).startswith("2"):
            self.now.rcpt.append(line)

    async def on_data(self, rest: str, line: str) -> None:
        usual = "354 end with a dot" if self.now.rcpt else "503 5.5.1 no valid recipients"
        if not (await self.act("data", usual)).startswith("3"):
            return
        await self.flush()
        self.sink.transactions.append(self.now)
        self.sink.notify()
        await self.content()
        self.now.reply = "(none)"
        self.now.ended = True
        self.record.dots += 1
        self.sink.notify()
        self.now.reply = await self.act("dot", f"250 2.0.0 taken as {len(self.sink.transactions)}")
        if self.sink.on_transaction:
            self.sink.on_transaction(self.now)
        self.sink.notify()
        self.now = Transaction(session=self.number)

    async def content(self) -> None:
        """Until the exact CRLF . CRLF; a lone LF ends nothing here. What has come can be watched as it grows."""
        step = self.sink.step("body")
        after = getattr(step, "after", 0)
        seen = self.now.wire = bytearray()
        while True:
            looked_at = max(0, len(seen) - 4)
            seen += self.buffer
            self.buffer = b""
            if step is not None and (len(seen) > after or not after):
                if isinstance(step, str):
                    await self.say(step)
                    await self.flush()
                else:
                    await self.misbehave(step)
                step = None
            end = -2 if seen.startswith(b".\r\n") else seen.find(b"\r\n.\r\n", looked_at)
            if end != -1:
                self.buffer = bytes(seen[end + 5 :])
                self.now.wire = bytes(seen[: end + 2])
                return
            await self.more()

    async def on_rset(self, rest: str, line: str) -> None:
        self.now = Transaction(session=self.number)
        await self.act("rset", "250 2.0.0 ok")

    async def on_noop(self, rest: str, line: str) -> None:
        await self.say("250 2.0.0 ok")

    async def on_quit(self, rest: str, line: str) -> bool:
        await self.act("quit", "221 2.0.0 bye")
        await self.flush()
        return True


def _script(options: argparse.Namespace) -> Script:
    script: Script = {}
    for given in options.reply:
        stage, _, text = given.partition("=")
        script[stage] = text
    for name, kind in (("drop", Drop), ("reset", Reset)):
        for given in getattr(options, name):
            stage, _, after = given.partition(":")
            script[stage] = kind(int(after or 0))
    for given in options.hang:
        stage, _, seconds = given.partition(":")
        script[stage] = Hang(float(seconds or 3600))
    for given in options.later:
        stage, _, seconds = given.partition(":")
        script[stage] = Later(float(seconds or 1))
    return script


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2525)
    parser.add_argument("--reply", action="append", default=[], metavar="STAGE=TEXT")
    parser.add_argument("--drop", action="append", default=[], metavar="STAGE[:BYTES]")
    parser.add_argument("--reset", action="append", default=[], metavar="STAGE[:BYTES]")
    parser.add_argument("--hang", action="append", default=[], metavar="STAGE[:SECONDS]")
    parser.add_argument("--later", action="append", default=[], metavar="STAGE[:SECONDS]")
    parser.add_argument("--no-pipelining", action="store_true")
    parser.add_argument("--size", type=int, help="largest message offered in EHLO")
    parser.add_argument("--record", help="file that gets one JSON line per message (default: standard output)")
    options = parser.parse_args(arguments)
    offers = ["8BITMIME", "SMTPUTF8"]
    if not options.no_pipelining:
        offers.insert(0, "PIPELINING")
    if options.size:
        offers.append(f"SIZE {options.size}")
    with open(options.record, "a", encoding="utf-8") if options.record else sys.stdout as out:

        def write(seen: Transaction) -> None:
            out.write(json.dumps(seen.shown()) + "\n")
            out.flush()

        sink = SmtpSink(
            _script(options),
            host=options.host,
            port=options.port,
            extensions=tuple(offers),
            on_transaction=write,
        )
        asyncio.run(sink.serve())


if __name__ == "__main__":
    main()
