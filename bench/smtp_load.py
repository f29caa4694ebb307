"""The SMTP client of the relay part: a few sessions at once, with a connection for each mail as smtp-source opens them, or kept.
Unlike smtp-source it speaks AUTH. Run as a program, so that it shares no interpreter: python -m bench.smtp_load PORT COUNT"""

import argparse
import asyncio
import base64
import json
import os
import resource
import sys
import time
from collections.abc import Generator
from functools import partial

import uvloop

LINE = b"Your order is on its way, thank you for it. We will write again.\r\n"


def mail(size: int) -> bytes:
    """One of `size` octets, with the lone dot that ends it."""
    head = (
        b"From: Bench <no-reply@bench.test>\r\nTo: reader@example.test\r\nSubject: Your order 4711\r\n"
        b"Date: Sun, 19 Apr 2026 14:30:00 +0000\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    return head + LINE * ((size - len(head)) // len(LINE)) + b".\r\n"


class Run:
    """`count` mails over `sessions` connections at a time."""

    def __init__(self, port: int, count: int, password: str, kept: bool) -> None:
        self.port, self.left, self.kept = port, count, kept
        self.login = b"AUTH PLAIN %s\r\n" % base64.b64encode(b"\0key\0" + password.encode()) if password else b""
        self.mail = mail(5_000)
        self.times: list[float] = []

    def dialogue(self) -> Generator[bytes, None, None]:
        """What is said, each after the good reply to the one before."""
        yield b"EHLO load.test\r\n"
        if self.login:
            yield self.login
        while self.left:
            self.left -= 1
            began = time.perf_counter()
            yield b"MAIL FROM:<no-reply@bench.test>\r\n"
            yield b"RCPT TO:<reader@example.test>\r\n"
            yield b"DATA\r\n"
            yield self.mail
            self.times.append(time.perf_counter() - began)
            if not self.kept:
                break
        yield b"QUIT\r\n"

    async def session(self) -> None:
        while self.left:
            over = asyncio.get_running_loop().create_future()
            await asyncio.get_running_loop().create_connection(
                partial(Connection, self.dialogue(), over), "127.0.0.1", self.port
            )
            await over


class Connection(asyncio.Protocol):
    def __init__(self, dialogue: Generator[bytes, None, None], over: asyncio.Future) -> None:
        self.dialogue, self.over = dialogue, over
        self.received = b""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.received.endswith(b"\n"):
            return
        last = self.received[self.received.rfind(b"\n", 0, -1) + 1 :]
        if last[3:4] == b"-":
            return
        self.received = b""
        if last[:1] not in (b"2", b"3"):
            self.over.set_exception(RuntimeError(f"refused: {last!r}"))
            self.transport.abort()
            return
        step = next(self.dialogue, None)
        if step is None:
            self.transport.close()
        else:
            self.transport.write(step)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--kept", action="store_true", help="send all mails of a session over one connection")
    asked = parser.parse_args()
    run = Run(asked.port, asked.count, os.environ.get("LOAD_PASSWORD", ""), asked.kept)
    began = time.perf_counter()
    async with asyncio.timeout(600):
        await asyncio.gather(*(run.session() for _ in range(asked.sessions)))
    took = time.perf_counter() - began
    if len(run.times) != asked.count:
        sys.exit(f"{len(run.times)} of {asked.count} mails were accepted")
    times, used = sorted(run.times), resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "per_second": asked.count / took,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000,
        "client_cpu_us": (used.ru_utime + used.ru_stime) / asked.count * 1e6,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    uvloop.run(main())
