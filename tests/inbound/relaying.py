"""A relay on loopback for tests: the product's own, in a thread with a loop of its own, on ports the system chose."""

import asyncio
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage, Message
from typing import Any

import uvloop

from messaging.inbound import certificates
from messaging.inbound.relay import Relay

KIM, LEE = "kim@hanbit.example", "lee@hanbit.example"


class RunningRelay:
    """`port` speaks plain and STARTTLS, `tls_port` TLS."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.relay = self.call(self._made())
        self.call(self.relay.start("127.0.0.1", 0, 0))
        self.port, self.tls_port = self.relay.ports

    async def _made(self) -> Relay:
        return Relay("relay.sendarix.test", certificates.context())

    def call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def stop(self) -> None:
        """As SIGTERM ends it."""
        if not self.relay.ending:
            self.call(self.relay.stop())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def relaying() -> Iterator[RunningRelay]:
    relay = RunningRelay()
    try:
        yield relay
    finally:
        relay.close()


def mail(**headers: str) -> EmailMessage:
    """An ordinary mail of Acme's; underscores in names stand for hyphens."""
    made = EmailMessage()
    fields = {"From": "Acme <hello@acme.example>", "To": f"Kim <{KIM}>", "Subject": "Your order"}
    for name, value in (fields | {key.replace("_", "-"): value for key, value in headers.items()}).items():
        made[name] = value
    made.set_content("It is on its way.\n")
    return made


def crlf(letter: Message) -> bytes:
    """The mail as it goes over the wire."""
    return letter.as_bytes(policy=letter.policy.clone(linesep="\r\n"))


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextmanager
def client(relay: RunningRelay, key: str | None, starttls: bool = True) -> Iterator[smtplib.SMTP]:
    """Python's own client, logged in with an API key."""
    with smtplib.SMTP("127.0.0.1", relay.port, local_hostname="app.acme.example", timeout=20) as session:
        if starttls:
            session.starttls(context=trusting())
        if key is not None:
            session.login("anything", key)
        yield session


class Line:
    """A raw dialogue: octets out, replies in."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()

    def reply(self) -> str:
        """The next reply, whole; empty at the end of the connection."""
        lines = []
        while True:
            line = self.file.readline().decode()
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, octets: bytes | str) -> str:
        """A line, or octets as they are, and the reply to it."""
        self.send(octets)
        return self.reply()

    def send(self, octets: bytes | str) -> None:
        self.socket.sendall(octets.encode() + b"\r\n" if isinstance(octets, str) else octets)

    def begin(self, recipient: str, sender: str = "") -> str:
        """Up to the 354 of DATA; what was said to the last command."""
        self.say("EHLO mx.hanbit.example")
        self.say(f"MAIL FROM:<{sender}>")
        told = self.say(f"RCPT TO:<{recipient}>")
        return self.say("DATA") if told.startswith("250") else told

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@contextmanager
def line(port: int) -> Iterator[Line]:
    dialogue = Line(port)
    try:
        yield dialogue
    finally:
        dialogue.close()
