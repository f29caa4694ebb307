"""What came of one attempt: the vocabulary every transport answers in. Pure values:
nothing here opens a socket, knows a clock or decides when to try again."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    UNCERTAIN = "uncertain"


class Phase(StrEnum):
    """How far the attempt got, in order. `dot`: the final dot is written and its reply not read."""

    CLAIMED = "claimed"
    RESOLVING = "resolving"
    CONNECTING = "connecting"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"
    DONE = "done"


class Cause(StrEnum):
    MAILBOX_UNKNOWN = "mailbox_unknown"
    MAILBOX_FULL = "mailbox_full"
    MAILBOX_DISABLED = "mailbox_disabled"
    POLICY = "policy"
    SENDER_DOMAIN_LOST = "sender_domain_lost"
    REPUTATION = "reputation"
    RATE_LIMITED = "rate_limited"
    GREYLISTED = "greylisted"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    TLS = "tls"
    AUTH = "auth"
    DNS = "dns"
    CONTENT = "content"
    TOO_LARGE = "too_large"
    PROTOCOL = "protocol"
    SMTPUTF8_UNSUPPORTED = "smtputf8_unsupported"
    RELAY_DENIED = "relay_denied"
    UNCERTAIN = "uncertain"
    RETRIES_EXHAUSTED = "retries_exhausted"
    SYSTEM = "system"
    OTHER = "other"


BEFORE_MAIL = frozenset(
    (
        Phase.CLAIMED,
        Phase.RESOLVING,
        Phase.CONNECTING,
        Phase.GREETING,
        Phase.EHLO,
        Phase.STARTTLS,
        Phase.AUTH,
    )
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer. `text` holds its lines without codes, joined by newlines, printable, at most 4,000
    characters."""

    code: int
    enhanced: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt's end. `stale`: a kept connection had died before this mail began, so the try on a fresh
    one that should follow at once is not another attempt. `retry_after`: seconds the server asked for.
    `provider`: whose API was called (the reply is then its HTTP status and body); `reference`: its id of the mail."""

    verdict: Verdict
    cause: Cause | None
    phase: Phase
    reply: Reply | None = None
    detail: str = ""
    mx: str | None = None
    address: str | None = None
    tls: str | None = None
    retry_after: float | None = None
    aftermath: str | None = None
    stale: bool = False
    provider: str | None = None
    reference: str | None = None

    @property
    def dead_mailbox(self) -> bool:
        """The address itself is bad for good: suppress it."""
        return self.verdict is Verdict.BOUNCED and self.cause in (
            Cause.MAILBOX_UNKNOWN,
            Cause.MAILBOX_DISABLED,
        )

    @property
    def elsewhere(self) -> bool:
        """The host failed, not the mail: another host of the same destination may be asked within this
        attempt."""
        if self.verdict is not Verdict.DEFERRED or (self.cause is Cause.SYSTEM and self.reply is None):
            return False
        if self.phase in (Phase.CLAIMED, Phase.RESOLVING):
            return False
        return self.phase in BEFORE_MAIL or self.reply is None or self.reply.code == 421
