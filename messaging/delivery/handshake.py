"""Getting to the point where mail can be given: connect, greeting, EHLO, STARTTLS, AUTH. A failure is an
Outcome, and never the recipient's fault: it defers the message and lets another host be asked."""

import asyncio
import base64
import functools
import ipaddress
import ssl
from dataclasses import dataclass, field
from enum import StrEnum

from messaging.delivery import replies
from messaging.delivery.outcomes import Cause, Outcome, Phase, Reply, Verdict
from messaging.delivery.wire import Lost, Wire


class TlsPolicy(StrEnum):
    """`opportunistic` encrypts when it can and goes on in clear when it can't; `implicit` is TLS from the
    first byte."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    IMPLICIT = "implicit"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and sizes. `setup` covers greeting to AUTH together; `total` covers MAIL to the last byte
    before the final dot, plus the time the content takes at `slowest` bytes a second; `after_dot` is the wait
    for the verdict (RFC 5321: 10 minutes)."""

    connect: float = 30.0
    setup: float = 60.0
    total: float = 120.0
    after_dot: float = 300.0
    quit: float = 1.0
    slowest: float = 32768.0
    reply_bytes: int = 65536
    reply_lines: int = 100


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to talk to. `address` is the checked address to connect to, `host` the name its certificate must
    have.

    `verify` None means by policy: yes for required and implicit, no for opportunistic, where a certificate
    proves nothing. A password never goes over a line in clear unless the address is loopback or
    `plaintext_auth` says so.
    """

    host: str
    address: str
    port: int = 25
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    tls_context: ssl.SSLContext | None = None
    verify: bool | None = None
    source_address: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    helo: str = "localhost"
    plaintext_auth: bool = False

    @property
    def verifies(self) -> bool:
        if self.verify is None:
            return self.tls in (TlsPolicy.REQUIRED, TlsPolicy.IMPLICIT)
        return self.verify

    def context(self) -> ssl.SSLContext:
        return self.tls_context or shared_context(self.verifies)


@functools.cache
def shared_context(verify: bool) -> ssl.SSLContext:
    """One per process: loading the authorities takes 50 ms."""
    if verify:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(slots=True)
class Line:
    """A connection ready for MAIL. `extensions`: EHLO keyword in capitals to its parameters."""

    wire: Wire
    extensions: dict[str, str]
    tls: str | None


class Refused(Exception):
    """The dialogue can't go on: a reply we can't accept, or none that could be asked for."""

    def __init__(self, cause: Cause, detail: str, reply: Reply | None = None) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail
        self.reply = reply


class HandshakeFailed(Lost):
    """TLS was offered and did not come about, and the connection with it."""


async def connect(peer: Peer, limits: Limits) -> Line | Outcome:
    """A line ready for MAIL, or why there is none.

    When an opportunistic handshake fails and no certificate was asked for, one more connection is tried in
    clear.
    """
    clear = peer.tls is TlsPolicy.OPPORTUNISTIC and not peer.verifies
    try:
        return await _Opening(peer, limits, peer.tls).run(raise_handshake=clear)
    except HandshakeFailed:
        return await _Opening(peer, limits, TlsPolicy.NONE).run()


class _Opening:
    def __init__(self, peer: Peer, limits: Limits, policy: TlsPolicy) -> None:
        self.peer = peer
        self.limits = limits
        self.policy = policy
        self.phase = Phase.CONNECTING
        loop = asyncio.get_running_loop()
        self.wire = Wire(loop, limits.reply_bytes, limits.reply_lines)
        self.loop = loop
        self.extensions: dict[str, str] = {}
        self.tls: str | None = None

    async def run(self, raise_handshake: bool = False) -> Line | Outcome:
        try:
            await self._steps()
        except HandshakeFailed as failed:
            self.wire.abort()
            if raise_handshake:
                raise
            return self._outcome(failed.cause, failed.detail)
        except Refused as refused:
            self.wire.send(b"QUIT\r\n")
            self.wire.abort()
            return self._outcome(refused.cause, refused.detail, refused.reply)
        except Lost as lost:
            return self._outcome(lost.cause, lost.detail)
        except BaseException:
            self.wire.abort()
            raise
        self.wire.deadline(None)
        return Line(self.wire, self.extensions, self.tls)

    async def _steps(self) -> None:
        await self._connect()
        self.wire.deadline(self.limits.setup)
        await self._greeting()
        await self._ehlo()
        if self.policy in (TlsPolicy.OPPORTUNISTIC, TlsPolicy.REQUIRED):
            await self._starttls()
        if self.peer.username is not None:
            await self._auth()

    async def _connect(self) -> None:
        implicit = self.policy is TlsPolicy.IMPLICIT
        try:
            async with asyncio.timeout(self.limits.connect):
                await self.loop.create_connection(
                    lambda: self.wire,
                    self.peer.address,
                    self.peer.port,
                    ssl=self.peer.context() if implicit else None,
                    server_hostname=self._name if implicit else None,
                    local_addr=(self.peer.source_address, 0) if self.peer.source_address else None,
                )
        except TimeoutError:
            raise Lost(Cause.TIMEOUT, f"no connection within {self.limits.connect:g} s") from None
        except ssl.SSLError as error:
            self.phase = Phase.STARTTLS
            raise Lost(Cause.TLS, f"TLS handshake failed: {error}") from None
        except OSError as error:
            raise Lost(Cause.CONNECTION, str(error)) from None
        self.tls = self.wire.tls_version

    @property
    def _name(self) -> str:
        return self.peer.host.rstrip(".") or self.peer.address

    async def _greeting(self) -> None:
        self.phase = Phase.GREETING
        code, raw = await self.wire.reply()
        if code != 220:
            raise self._refused(code, raw)

    async def _ehlo(self) -> None:
        """EHLO, and HELO for a server that does not know it (RFC 5321 section 3.2)."""
        self.phase = Phase.EHLO
        code, raw = await self._ask(f"EHLO {self.peer.helo}")
        if code in (500, 502, 504):
            code, raw = await self._ask(f"HELO {self.peer.helo}")
            raw = b""
        if code != 250:
            raise self._refused(code, raw)
        self.extensions = _extensions(raw)

    async def _starttls(self) -> None:
        self.phase = Phase.STARTTLS
        required = self.policy is TlsPolicy.REQUIRED
        if "STARTTLS" not in self.extensions:
            if required:
                raise Refused(Cause.TLS, "the server offers no STARTTLS, which the route requires")
            return
        try:
            code, raw = await self._ask("STARTTLS")
        except Lost as lost:
            raise HandshakeFailed(lost.cause, lost.detail) from None
        if code != 220:
            if required or code == 421:
                raise self._refused(code, raw, Cause.TLS if required else None)
            return
        await self._encrypt()
        await self._ehlo()

    async def _encrypt(self) -> None:
        try:
            self.tls = await self.wire.start_tls(self.peer.context(), self._name, self.limits.setup)
        except (OSError, TimeoutError) as error:
            raise HandshakeFailed(Cause.TLS, f"TLS handshake failed: {error}") from None
        self.extensions = {}

    async def _auth(self) -> None:
        self.phase = Phase.AUTH
        if self.tls is None and not self.peer.plaintext_auth and not _is_loopback(self.peer.address):
            raise Refused(Cause.AUTH, "the line is not encrypted: the password was not sent")
        offered = self.extensions.get("AUTH", "").upper().split()
        code, raw = 504, b""
        for mechanism, steps in (("PLAIN", self._plain), ("LOGIN", self._login)):
            if mechanism in offered and code == 504:
                code, raw = await steps()
        if not raw:
            raise Refused(Cause.AUTH, f"the server offers neither AUTH PLAIN nor LOGIN: {' '.join(offered) or 'none'}")
        if code != 235:
            raise self._refused(code, raw, Cause.AUTH)

    async def _plain(self) -> tuple[int, bytes]:
        """RFC 4616, with the initial response of RFC 4954, or after a 334 where it makes the line too
        long."""
        secret = _base64(f"\0{self.peer.username}\0{self.peer.password or ''}")
        if len(secret) < 490:
            code, raw = await self._ask(f"AUTH PLAIN {secret}")
        else:
            code, raw = await self._ask("AUTH PLAIN")
        return await self._ask(secret) if code == 334 else (code, raw)

    async def _login(self) -> tuple[int, bytes]:
        code, raw = await self._ask("AUTH LOGIN")
        for secret in (self.peer.username or "", self.peer.password or ""):
            if code != 334:
                break
            code, raw = await self._ask(_base64(secret))
        return code, raw

    async def _ask(self, command: str) -> tuple[int, bytes]:
        if not self.wire.silent:
            await self._unasked()
        self.wire.send(command.encode() + b"\r\n")
        return await self.wire.reply()

    async def _unasked(self) -> None:
        """A server that speaks out of turn: 421 says goodbye, all else leaves replies and commands out of
        step."""
        code, raw = await self.wire.reply()
        raise self._refused(code, raw, None if code == 421 else Cause.PROTOCOL)

    def _refused(self, code: int, raw: bytes, cause: Cause | None = None) -> Refused:
        reply = replies.parse_reply(code, raw)
        return Refused(cause or replies.from_reply(reply, self.phase)[1] or Cause.OTHER, "", reply)

    def _outcome(self, cause: Cause, detail: str, reply: Reply | None = None) -> Outcome:
        return Outcome(
            Verdict.DEFERRED,
            cause,
            self.phase,
            reply,
            detail,
            mx=self.peer.host,
            address=self.peer.address,
            tls=self.tls,
            retry_after=replies.retry_after(reply) if reply else None,
        )


def _extensions(raw: bytes) -> dict[str, str]:
    """Keyword and parameters of each line after the first (RFC 5321 section 4.1.1.1); `AUTH=` is an old
    spelling."""
    found: dict[str, str] = {}
    for line in raw.decode("ascii", "replace").split("\n")[1:]:
        keyword, _, parameters = line[4:].strip().replace("AUTH=", "AUTH ", 1).partition(" ")
        keyword = keyword.upper()
        found[keyword] = f"{found[keyword]} {parameters}" if keyword in found else parameters
    return found


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
