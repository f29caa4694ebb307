"""One SMTP dialogue of the relay: aiosmtpd's connection, TLS and command loop, with commands of our own, because its own answer
without status codes, refuse long lines and count no octets over all sessions. It decides nothing about
mails: the database's side is asked in threads (submitting.py, bounce_door.py)."""

import asyncio
import base64
import binascii
import re
from asyncio import protocols, sslproto
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import MISSING, SMTP, Envelope, TLSSetupException
from django.conf import settings

from messaging.inbound import bounce_door, submitting
from messaging.inbound.relay_replies import line
from messaging.inbound.submitting import Login, Mail
from sendarix.core import addresses, errors, ids

if TYPE_CHECKING:
    from messaging.inbound.relay import Relay

SIZE = settings.MAX_BODY_BYTES
"""Octets of one mail (RFC 1870)."""
COMMAND = 2048
"""Octets of a command line."""
BLOCK = 64 * 1024
CALLS = {"*": 100, "MAIL": 100_000, "RCPT": 1_000_000, "DATA": 100_000, "RSET": 100_000, "AUTH": 10, "NOOP": 1_000}
FAILURES = 3
"""Refused passwords after which a session ends."""
MISTAKES = 20
"""Refused commands of one who has no key, after which a session ends."""
REPORTS = 20
"""Recipients of one mail to the bounce domain."""
WORK_SECONDS = 120.0
LINGER = 10.0
"""Seconds that a peer has to read our last word."""
TLS_FAREWELL = 2.0
"""Seconds that a peer has to answer the end of TLS."""

_PATH = re.compile(r"(FROM|TO):[ ]?<(?:@[^<>:\x00-\x20]+:)?([^<>\x00-\x20]*)>(?: +(.*))?", re.IGNORECASE)
_HALVES = re.compile("[\ud800-\udfff]")
"""What stands for octets that are not UTF-8."""
_STATUS = re.compile(r"[245]\d\d[ -][245]\.\d{1,3}\.\d{1,3} ")
_PLAIN_STATUS = {"250": "2.0.0", "500": "5.5.2", "501": "5.5.4", "502": "5.5.1", "503": "5.5.1", "554": "5.5.0"}


class RelayEnvelope(Envelope):
    """Beside recipients, the messages whose bounce addresses were named."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[str] = []


class RelaySession(SMTP):
    command_size_limit = COMMAND
    command_size_limits = defaultdict(lambda: COMMAND)  # aiosmtpd's grows with each EHLO of any session
    line_length_limit = BLOCK
    envelope: RelayEnvelope
    login: Login | None = None
    busy = False
    _entered = False

    def __init__(self, house: "Relay", implicit_tls: bool) -> None:
        super().__init__(
            house,
            data_size_limit=SIZE,
            enable_SMTPUTF8=True,
            hostname=house.name,
            ident="ESMTP Sendarix",
            tls_context=house.tls,
            timeout=settings.RELAY_IDLE_SECONDS,
            command_call_limit=CALLS,
            loop=asyncio.get_running_loop(),
        )
        self.house, self.implicit_tls = house, implicit_tls
        self.address = ""
        self._failures = self._mistakes = 0
        self._ends: list[asyncio.TimerHandle] = []

    def __dir__(self) -> list[str]:
        """The commands. aiosmtpd looks every attribute of a new session over for them, which took a seventh of a mail's time."""
        return _COMMANDS

    # connection

    def connection_made(self, transport: Any) -> None:
        if not self._entered:
            self.address = _plain((transport.get_extra_info("peername") or ("",))[0])
            if refusal := self.house.enter(self):
                transport.write(refusal.encode() + b"\r\n")
                transport.close()
                return
            self._entered = True
            self._ends = [
                self.loop.call_later(settings.RELAY_AUTH_SECONDS, self._end_strangers),
                self.loop.call_later(settings.RELAY_SESSION_SECONDS, self._timeout_cb),
            ]
        self.login = None  # what was said before TLS counts for nothing (RFC 3207 section 4.2)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._entered:
            self._entered = False
            self.house.leave(self)
            for timer in self._ends:
                timer.cancel()
            self._ends.clear()
            super().connection_lost(error)

    def eof_received(self) -> bool | None:
        return super().eof_received() if self._entered else False

    def _timeout_cb(self) -> None:
        self.farewell("421 4.4.2 Timeout, closing the connection")

    def _end_strangers(self) -> None:
        if self.login is not None:
            return
        if self.busy:
            self._ends.append(self.loop.call_later(settings.RELAY_AUTH_SECONDS, self._end_strangers))
        else:
            self.farewell("421 4.7.0 Too slow to authenticate, closing the connection")

    def farewell(self, reply: str) -> None:
        """Say a last word and close; what was said ahead is not heard, and who does not read is not waited for."""
        if self.transport is not None and not self.transport.is_closing():
            if not self.implicit_tls or self._tls_protocol is not None:
                self._writer.write(reply.encode() + b"\r\n")
            self._reader._buffer.clear()  # type: ignore[attr-defined]  # StreamReader has no public way to drop what it holds
            plain = self._original_transport or self.transport
            self._ends.append(self.loop.call_later(LINGER, plain.abort))  # type: ignore[attr-defined]
            self.transport.close()

    async def _handle_client(self) -> None:
        if self.implicit_tls:
            try:
                await self._upgrade(bytes(self._reader._buffer))  # type: ignore[attr-defined]
            except TLSSetupException as error:
                if self._original_transport is not None:
                    self._original_transport.abort()  # type: ignore[attr-defined]
                self.connection_lost(error)  # asyncio tells only of connections whose handshake was done
                return
        await super()._handle_client()

    async def _upgrade(self, begun: bytes = b"") -> None:
        """TLS over this connection; what came in clear and was not read is forgotten by `connection_made`. `begun`: what belongs
        to the handshake already, since uvloop may read before this runs."""
        assert self.tls_context
        assert self.transport
        waiter = self.loop.create_future()
        self._tls_protocol = sslproto.SSLProtocol(
            self.loop, self, self.tls_context, waiter, server_side=True, ssl_shutdown_timeout=TLS_FAREWELL
        )
        self._original_transport = plain = self.transport
        plain.set_protocol(self._tls_protocol)
        self.transport = self._tls_protocol._app_transport
        self._tls_protocol.connection_made(plain)
        if begun:
            protocols._feed_data_to_buffered_proto(self._tls_protocol, begun)  # type: ignore[attr-defined]  # as asyncio itself hands over what was read
        try:
            await waiter
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise TLSSetupException from error
        if plain.is_closing():  # given up meanwhile, which asyncio does not call a fault
            raise TLSSetupException

    def _create_envelope(self) -> Envelope:
        return RelayEnvelope()

    async def push(self, status: Any) -> None:
        """With a status code, which aiosmtpd's own replies lack, and without the command, which those repeat."""
        if isinstance(status, str) and status.startswith("500 Error: command"):
            status = "500 5.5.2 There is no such command"
        if isinstance(status, str) and (code := _PLAIN_STATUS.get(status[:3])) and status[3:4] == " ":
            status = status if _STATUS.match(status) else f"{status[:3]} {code} {status[4:]}"
        await super().push(status)
        if self.login is None and isinstance(status, str) and status.startswith("5"):
            self._mistakes += 1
            if self._mistakes >= MISTAKES:
                self.farewell("421 4.7.0 Too many mistakes, closing the connection")

    async def handle_exception(self, error: Exception) -> str:
        if not isinstance(error, TLSSetupException):
            errors.log(error, ids.new("req"))
        return "451 4.3.0 The fault is ours; try again later"

    # commands

    async def smtp_HELO(self, hostname: str) -> None:
        await self._greet(hostname, extended=False)

    async def smtp_EHLO(self, hostname: str) -> None:
        await self._greet(hostname, extended=True)

    async def _greet(self, hostname: str, extended: bool) -> None:
        if not hostname:
            await self.push("501 5.5.4 Syntax: EHLO hostname")
            return
        self._set_rset_state()
        self.session.extended_smtp, self.session.host_name = extended, hostname  # type: ignore[union-attr]
        lines = [self.hostname]
        if extended:
            lines += [f"SIZE {SIZE}", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES"]
            lines += ["STARTTLS"] if self.tls_context and not self._tls_protocol else []
            lines += ["AUTH PLAIN LOGIN"] if self._private else []
        *heads, last = lines
        await self.push("\r\n".join([*(f"250-{head}" for head in heads), f"250 {last}"]).encode())

    @property
    def _private(self) -> bool:
        """Whether a password may be said here."""
        return self._tls_protocol is not None or submitting.trusts_plaintext(self.address)

    async def smtp_STARTTLS(self, arg: str) -> None:
        if arg:
            await self.push("501 5.5.4 Syntax: STARTTLS")
        elif self.tls_context is None:
            await self.push("454 4.7.0 TLS not available")
        elif self._tls_protocol is not None:
            await self.push("503 5.5.1 TLS is active already")
        else:
            await self.push("220 2.0.0 Ready to start TLS")
            await self._upgrade()

    async def smtp_AUTH(self, arg: str) -> None:
        mechanism, _, initial = (arg or "").partition(" ")
        if not self.session.extended_smtp or not self.session.host_name:  # type: ignore[union-attr]
            await self.push("503 5.5.1 Send EHLO first")
        elif not self._private:
            await self.push("538 5.7.11 AUTH needs TLS: send STARTTLS first")
        elif self.login is not None or self.envelope.mail_from is not None:
            await self.push("503 5.5.1 Not now")
        elif mechanism.upper() not in ("PLAIN", "LOGIN"):
            await self.push("504 5.5.4 Known mechanisms are PLAIN and LOGIN")
        else:
            password = await self._password(mechanism.upper(), initial.strip())
            if password is not None:
                await self._authenticate_with(password)

    async def _password(self, mechanism: str, initial: str) -> bytes | None:
        """What the client gives as its password (RFC 4616, and LOGIN as everybody does it); None once a fault is told."""
        if mechanism == "LOGIN":
            if not initial and await self.challenge_auth("Username:") is MISSING:
                return None
            given = await self.challenge_auth("Password:")
            return given if isinstance(given, bytes) else None
        if initial:
            try:
                blob = base64.b64decode(initial, validate=True)
            except (binascii.Error, ValueError):
                await self.push("501 5.5.2 Not base64")
                return None
        else:
            told = await self.challenge_auth("")
            if not isinstance(told, bytes):
                return None
            blob = told
        parts = blob.split(b"\0")
        if len(parts) != 3:
            await self.push("501 5.5.2 Expected identity NUL user NUL password")
            return None
        return parts[2]

    async def challenge_auth(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().challenge_auth(*arguments, **options)
        except ValueError:  # asyncio's, of a line over its limit
            await self.push("500 5.5.6 The line is too long")
            return MISSING

    async def _authenticate_with(self, password: bytes) -> None:
        found = await self.house.work(submitting.login, password, self.address)
        if isinstance(found, Login):
            self.login = found
            await self.push("235 2.7.0 Authentication successful")
            return
        self._failures += 1
        await asyncio.sleep(settings.RELAY_AUTH_DELAY * 2 ** self.house.guesses.add(self.address))
        await self.push(found)
        if self._failures >= FAILURES:
            self.farewell("421 4.7.0 Too many refused passwords, closing the connection")

    async def smtp_MAIL(self, arg: str | None) -> None:
        refusal = self._refusal_of_mail()
        path = _path("FROM", arg)
        if refusal or path is None:
            await self.push(refusal or "501 5.5.4 Syntax: MAIL FROM:<address>")
            return
        address, parameters = path
        if fault := _parameter_fault(parameters):
            await self.push(fault)
            return
        self.envelope.mail_from = address
        await self.push("250 2.1.0 Ok")

    def _refusal_of_mail(self) -> str | None:
        if not self.session.host_name:  # type: ignore[union-attr]
            return "503 5.5.1 Send EHLO first"
        if self.envelope.mail_from is not None:
            return "503 5.5.1 Nested MAIL command"
        return None

    async def smtp_RCPT(self, arg: str | None) -> None:
        path = _path("TO", arg)
        if self.envelope.mail_from is None:
            await self.push("503 5.5.1 Send MAIL first")
        elif path is None or not path[0]:
            await self.push("501 5.5.4 Syntax: RCPT TO:<address>")
        elif path[1]:
            await self.push("555 5.5.4 RCPT parameters are not known here")
        elif self.login is not None:
            await self.push(self._recipient(path[0]))
        else:
            await self.push(self._report(path[0]))

    def _recipient(self, address: str) -> str:
        known = self.envelope.rcpt_tos
        if len(known) >= settings.RELAY_RECIPIENTS:
            return f"452 4.5.3 At most {settings.RELAY_RECIPIENTS} recipients of one mail"
        try:
            addresses.parse(address)
        except addresses.AddressError as error:
            return line("553 5.1.3", error.message)
        if address not in known:
            known.append(address)
        return "250 2.1.5 Ok"

    def _report(self, address: str) -> str:
        """Whoever has no key may mail to our bounce addresses and nowhere else."""
        message_id = bounce_door.message_of(address)
        if message_id is None:
            if bounce_door.looks_ours(address):
                return "550 5.1.1 There is no such bounce address"
            return "530 5.7.0 Authentication required"
        if len(self.envelope.reports) >= REPORTS:
            return "452 4.5.3 Too many recipients"
        self.envelope.reports.append(message_id)
        return "250 2.1.5 Ok"

    async def smtp_DATA(self, arg: str) -> None:
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
        elif not self.envelope.rcpt_tos and not self.envelope.reports:
            await self.push("503 5.5.1 No valid recipients")
        elif self._reader._buffer:  # type: ignore[attr-defined]
            self.farewell("503 5.5.0 Mail data before the 354: closing the connection")
        else:
            self.busy = True
            try:
                await self._mail()
            finally:
                self.busy = False
                self._set_rset_state()
            if self.house.ending:
                self.farewell("421 4.3.2 Shutting down, closing the connection")

    async def _mail(self) -> None:
        """Receive a mail and answer for it."""
        whole = None if self.login is not None else bounce_door.LOOKED_AT
        owner = f"account:{self.login.caller.account_id}" if self.login is not None else "strangers"
        with self.house.holding(owner) as held:
            received = _Received(held, whole)
            self._reset_timeout(settings.RELAY_DATA_SECONDS)
            self._reader.feed_data(
                b"\r\n"
            )  # ends the line before the first, so that a lone dot there is the end as well
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self._receive(received)
            self._reset_timeout(WORK_SECONDS)
            reply = received.refusal or await self._handled(received)
        self._reset_timeout()
        await self.push(reply)

    async def _receive(self, received: "_Received") -> None:
        """Up to and with CRLF . CRLF and nothing else that looks like it."""
        reader = self._reader
        while not received.hopeless:
            try:
                received.add(await reader.readuntil(b"\r\n.\r\n"))
                return
            except asyncio.LimitOverrunError as over:
                received.add(await reader.readexactly(over.consumed))
        self.farewell(received.refusal or "")
        raise asyncio.CancelledError

    async def _handled(self, received: "_Received") -> str:
        sender, reports = self.envelope.mail_from or "", self.envelope.reports
        if self.login is None:
            reply = await self.house.work(bounce_door.take, sender, reports, received.chunks)
            if reply.startswith("250"):
                self.house.later(bounce_door.handle_new, reports)
            return reply
        mail = Mail(self.login, list(self.envelope.rcpt_tos), received.chunks)
        return await self.house.take(mail, received.octets)

    async def smtp_NOOP(self, arg: str) -> None:
        await self.push("250 2.0.0 Ok")

    async def smtp_RSET(self, arg: str) -> None:
        self._set_rset_state()
        await self.push("250 2.0.0 Ok")

    async def smtp_VRFY(self, arg: str) -> None:
        await self.push("252 2.5.2 Send some mail and see")

    async def smtp_EXPN(self, arg: str) -> None:
        await self.push("502 5.5.1 EXPN is not known here")

    async def smtp_HELP(self, arg: str) -> None:
        await self.push("214 2.0.0 RFC 5321; the password of AUTH is an API key")

    async def smtp_QUIT(self, arg: str) -> None:
        self.farewell("221 2.0.0 Bye")


_COMMANDS = [name for name in vars(RelaySession) if name.startswith("smtp_")]


class _Received:
    """The octets of one mail, and why it is refused if it is. Of a refused one nothing is kept."""

    def __init__(self, held: Any, looked_at: int | None) -> None:
        self.held, self.looked_at = held, looked_at
        self.chunks: list[bytes] = []
        self.octets = 0
        self.refusal: str | None = None

    def add(self, chunk: bytes) -> None:
        self.octets += len(chunk)
        if self.octets > SIZE:
            self._refuse(f"552 5.3.4 The mail has more than {SIZE} octets")
        if self.refusal is None and (self.looked_at is None or self.octets - len(chunk) <= self.looked_at):
            self.chunks.append(chunk)
            if not self.held.add(len(chunk)):
                self._refuse("452 4.3.1 Too many mails are being received; try again later")

    def _refuse(self, reply: str) -> None:
        self.chunks.clear()
        self.held.release()
        self.refusal = self.refusal or reply

    @property
    def hopeless(self) -> bool:
        """So far beyond the limit that the end is not waited for."""
        return self.octets > 2 * SIZE


def _path(keyword: str, arg: str | None) -> tuple[str, str] | None:
    """(address, parameters) of `FROM:<address> parameters`; None when it is something else."""
    found = _PATH.fullmatch(arg or "")
    if found is None or found[1].upper() != keyword or _HALVES.search(found[2]):
        return None
    return found[2], found[3] or ""


def _parameter_fault(parameters: str) -> str | None:
    """What is wrong with the parameters of MAIL (RFC 1870, 4954, 6152, 6531), as a reply."""
    for parameter in parameters.split():
        name, _, value = parameter.upper().partition("=")
        if name == "SIZE":
            if not (value.isascii() and value.isdecimal() and len(value) <= 20):
                return "501 5.5.4 SIZE is a number of octets"
            if int(value) > SIZE:
                return f"552 5.3.4 A mail has at most {SIZE} octets"
        elif name == "BODY":
            if value not in ("7BIT", "8BITMIME"):
                return "501 5.5.4 BODY is 7BIT or 8BITMIME"
        elif name not in ("SMTPUTF8", "AUTH"):
            return "555 5.5.4 A MAIL parameter is not known here"
    return None


def _plain(address: str) -> str:
    return address.removeprefix("::ffff:").partition("%")[0]
