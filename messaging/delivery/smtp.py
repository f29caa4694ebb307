"""Our side of an SMTP dialogue (RFC 5321, 2920 PIPELINING): one connection, one message after the other. It
always knows how far it got, so a drop before the final dot is never mistaken for one after it. Answers are
Outcomes, not exceptions."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from messaging.delivery import handshake, replies
from messaging.delivery.handshake import Limits, Peer, TlsPolicy
from messaging.delivery.outcomes import Cause, Outcome, Phase, Reply, Verdict
from messaging.delivery.wire import SLICE, Lost, Stuffer, Unsafe, stuffed

__all__ = ["Letter", "Limits", "Peer", "Session", "TlsPolicy"]

BeforeDot = Callable[[], Awaitable[bool]]
_DEFAULT_LIMITS = Limits()
_PLAIN = (Phase.MAIL, Phase.RCPT, Phase.DATA)
_AFTER_RESET = (Phase.MAIL, *_PLAIN)
_UNSAFE_ADDRESS = re.compile(r"[\x00-\x20<>\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Letter:
    """One message for one recipient. `chunks` is the content with CRLF line ends, not dot-stuffed; `size` its
    octets."""

    sender: str
    recipient: str
    size: int
    smtputf8: bool
    eight_bit: bool
    chunks: Callable[[], AsyncIterator[bytes]] | bytes


class Session:
    """A connection on which MAIL may be said. Use it from one task at a time; end it with `quit()` or
    `abort()`."""

    def __init__(self, peer: Peer, limits: Limits, line: handshake.Line) -> None:
        self.peer = peer
        self.limits = limits
        self.tls = line.tls
        self.extensions = line.extensions
        self.delivered = 0
        self._wire = line.wire
        self._pipelining = "PIPELINING" in line.extensions
        self._says_size = "SIZE" in line.extensions
        limit = line.extensions.get("SIZE", "")
        self._largest = int(limit) if limit.isdecimal() and int(limit) else None
        self._phase = Phase.MAIL
        self._tried = 0
        self._reset_due = False

    @classmethod
    async def open(cls, peer: Peer, limits: Limits = _DEFAULT_LIMITS) -> "Session | Outcome":
        """Connects, greets, encrypts and logs in as `peer` says. Never raises for what the network or the
        server does."""
        line = await handshake.connect(peer, limits)
        return line if isinstance(line, Outcome) else cls(peer, limits, line)

    @property
    def reusable(self) -> bool:
        """The next message may go over this connection: it is up, in step, and the server has not said
        goodbye."""
        return self._wire.silent

    async def deliver(self, letter: Letter, before_dot: BeforeDot) -> Outcome:
        """Offers one message. The content goes out first, then `before_dot` is awaited, then the final dot is
        written.

        When `before_dot` answers False the connection is closed without the dot; what it raises goes through,
        likewise after closing. Without a reply to the dot the outcome is UNCERTAIN; every earlier loss is
        DEFERRED.
        """
        refusal = self._refusal(letter)
        if refusal is not None:
            return refusal
        self._phase = Phase.MAIL
        self._tried += 1
        self._wire.deadline(self.limits.total + letter.size / self.limits.slowest)
        try:
            outcome = await self._envelope(letter)
            if outcome is None:
                outcome = await self._content(letter)
            return await self._finish(before_dot) if outcome is None else outcome
        except Lost as lost:
            return self._lost(lost)
        except BaseException:
            self.abort()
            raise
        finally:
            self._wire.deadline(None)

    async def quit(self) -> None:
        """Says goodbye, waits `limits.quit` seconds for the answer at most, and closes."""
        if self._wire.lost is None:
            self._wire.deadline(self.limits.quit)
            self._wire.send(b"QUIT\r\n")
            await self._wire.replies(1)
        self._wire.abort()
        await self._wire.closed()

    def abort(self) -> None:
        """Closes at once. Whatever had no final dot yet is not delivered."""
        self._wire.abort()

    def _refusal(self, letter: Letter) -> Outcome | None:
        """What needs no question: the server has told its limits in EHLO. The connection stays as it is."""
        if self._largest is not None and letter.size > self._largest:
            return self._bounced(Cause.TOO_LARGE, f"{letter.size} bytes; the server takes at most {self._largest}")
        addresses = letter.sender + letter.recipient
        if _UNSAFE_ADDRESS.search(addresses):
            return self._bounced(Cause.CONTENT, "an address with a character that no SMTP command may carry")
        if not letter.smtputf8 and not addresses.isascii():
            return self._bounced(Cause.CONTENT, "an address outside ASCII needs SMTPUTF8")
        if letter.smtputf8 and "SMTPUTF8" not in self.extensions:
            return self._bounced(Cause.SMTPUTF8_UNSUPPORTED, "the server takes no internationalised addresses")
        if letter.eight_bit and "8BITMIME" not in self.extensions:
            return self._bounced(Cause.CONTENT, "8-bit content, and the server offers no 8BITMIME")
        return None

    async def _envelope(self, letter: Letter) -> Outcome | None:
        """RSET where the last transaction failed, MAIL, RCPT, DATA: one write where the server pipelines.
        None: 354."""
        phases: tuple[Phase, ...] = _PLAIN
        commands = [self._mail(letter), f"RCPT TO:<{letter.recipient}>\r\n", "DATA\r\n"]
        if self._reset_due:
            phases, commands = _AFTER_RESET, ["RSET\r\n", *commands]
        if self._pipelining:
            return await self._together(phases, "".join(commands))
        for phase, command in zip(phases, commands, strict=True):
            self._phase = phase
            self._wire.send(command.encode())
            code, raw = await self._reply()
            if code // 100 != (3 if phase is Phase.DATA else 2):
                return self._refused(code, raw, data_accepted=False)
        return None

    async def _together(self, phases: tuple[Phase, ...], commands: str) -> Outcome | None:
        self._wire.send(commands.encode())
        answers = await self._wire.replies(len(phases))
        for phase, (code, raw) in zip(phases, answers, strict=False):
            if code // 100 != (3 if phase is Phase.DATA else 2):
                self._phase = phase
                return self._refused(code, raw, data_accepted=answers[-1][0] == 354)
        if len(answers) < len(phases):
            self._phase = phases[len(answers)]
            raise self._gone(stale=self._tried > 1 and not answers)
        return None

    def _mail(self, letter: Letter) -> str:
        command = f"MAIL FROM:<{letter.sender}>"
        if self._says_size:
            command += f" SIZE={letter.size}"
        if letter.eight_bit:
            command += " BODY=8BITMIME"
        if letter.smtputf8:
            command += " SMTPUTF8"
        return command + "\r\n"

    async def _reply(self) -> tuple[int, bytes]:
        for answer in await self._wire.replies(1):
            return answer
        raise self._gone(stale=self._tried > 1 and self._phase is Phase.MAIL)

    def _refused(self, code: int, raw: bytes, *, data_accepted: bool) -> Outcome:
        """The verdict of a reply before the content.

        A server that refused the envelope and still said 354 waits for content. RFC 2920 section 3.1 suggests
        a lone dot; we close instead, since a server as confused as that might take the dot for an empty
        message and deliver it.
        """
        if code == 421 or data_accepted or code < 400:
            self.abort()
        self._reset_due = True
        return self._judged(code, raw)

    async def _content(self, letter: Letter) -> Outcome | None:
        self._phase = Phase.BODY
        try:
            if isinstance(letter.chunks, bytes) and len(letter.chunks) <= SLICE:
                self._wire.send(stuffed(letter.chunks))
            else:
                await self._stream(letter.chunks)
            if self._wire.full:
                await self._wire.flushed()
        except Unsafe as unsafe:
            self.abort()
            return self._bounced(Cause.CONTENT, str(unsafe))
        return self._interrupted()

    async def _stream(self, chunks: Callable[[], AsyncIterator[bytes]] | bytes) -> None:
        stuffer = Stuffer()
        async for chunk in _slices(chunks) if isinstance(chunks, bytes) else chunks():
            self._wire.send(stuffer.feed(chunk))
            await self._wire.flushed()
            if self._wire.spoken:
                return
        self._wire.send(stuffer.end())

    def _interrupted(self) -> Outcome | None:
        """The verdict of a server that answered before the final dot: it won't get the dot any more."""
        if self._wire.spoken:
            code, raw = self._wire.take()
            self.abort()
            return self._judged(code, raw)
        if self._wire.lost is not None:
            raise self._gone()
        return None

    async def _finish(self, before_dot: BeforeDot) -> Outcome:
        self._wire.deadline(None)
        if not await before_dot():
            self.abort()
            return self._outcome(Verdict.DEFERRED, Cause.SYSTEM, detail="given up before the final dot")
        interrupted = self._interrupted()
        if interrupted is not None:
            return interrupted
        self._phase = Phase.DOT
        self._wire.deadline(self.limits.after_dot)
        self._wire.send(b".\r\n")
        code, raw = await self._reply()
        return self._verdict(code, raw)

    def _verdict(self, code: int, raw: bytes) -> Outcome:
        if 200 <= code < 300:
            self.delivered += 1
            self._reset_due = False
            self._phase = Phase.DONE
            return self._outcome(Verdict.DELIVERED, None, replies.parse_reply(code, raw))
        if code < 400:
            self.abort()
            return self._outcome(
                Verdict.UNCERTAIN,
                Cause.UNCERTAIN,
                replies.parse_reply(code, raw),
                "not an answer to the final dot",
            )
        if code == 421:
            self.abort()
        self._reset_due = True
        return self._judged(code, raw)

    def _judged(self, code: int, raw: bytes) -> Outcome:
        reply = replies.parse_reply(code, raw)
        verdict, cause = replies.from_reply(reply, self._phase)
        return self._outcome(verdict, cause, reply, stale=code == 421 and self._tried > 1 and self._phase is Phase.MAIL)

    def _gone(self, *, stale: bool = False) -> Lost:
        lost = self._wire.lost or Lost(Cause.CONNECTION, "connection lost")
        return (
            _Stale(lost.cause, lost.detail)
            if stale and lost.cause is Cause.CONNECTION
            else Lost(lost.cause, lost.detail)
        )

    def _lost(self, lost: Lost) -> Outcome:
        if self._phase is Phase.DOT:
            return self._outcome(
                Verdict.UNCERTAIN, Cause.UNCERTAIN, detail=f"no answer to the final dot: {lost.detail}"
            )
        return self._outcome(Verdict.DEFERRED, lost.cause, detail=lost.detail, stale=isinstance(lost, _Stale))

    def _bounced(self, cause: Cause, detail: str) -> Outcome:
        return self._outcome(Verdict.BOUNCED, cause, detail=detail)

    def _outcome(
        self,
        verdict: Verdict,
        cause: Cause | None,
        reply: Reply | None = None,
        detail: str = "",
        *,
        stale: bool = False,
    ) -> Outcome:
        return Outcome(
            verdict,
            cause,
            self._phase,
            reply,
            detail,
            self.peer.host,
            self.peer.address,
            self.tls,
            replies.retry_after(reply) if reply is not None and verdict is Verdict.DEFERRED else None,
            None,
            stale,
        )


class _Stale(Lost):
    """A kept connection that had ended before this message began."""


async def _slices(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), SLICE):
        yield data[start : start + SLICE]
