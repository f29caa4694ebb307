"""Builders for the SMTP tests: a peer, a letter, and one dialogue with a sink from start to end."""

import asyncio
from collections.abc import Awaitable, Callable

from messaging.delivery.outcomes import Outcome
from messaging.delivery.smtp import Letter, Limits, Peer, Session, TlsPolicy
from tests.delivery.smtp_sink import SmtpSink

LIMITS = Limits(connect=30.0, setup=30.0, total=30.0, after_dot=30.0, quit=0.2)
TEXT = b"From: Hanbit <no-reply@hanbit.example>\r\nSubject: Your code\r\n\r\n482913\r\n"


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


def peer(sink: SmtpSink, **changes) -> Peer:
    options = {"tls": TlsPolicy.NONE, "helo": "out.hanbit.example"} | changes
    return Peer(host="sink.test", address=sink.host, port=sink.port, **options)


def letter(content: bytes | Callable = TEXT, **changes) -> Letter:
    options = {
        "sender": "no-reply@hanbit.example",
        "recipient": "kim@example.com",
        "size": len(content) if isinstance(content, bytes) else 0,
        "smtputf8": False,
        "eight_bit": False,
    } | changes
    return Letter(chunks=content, **options)


async def deliver_all(
    to: Peer,
    letters: tuple[Letter, ...],
    limits: Limits = LIMITS,
    before_dot: Callable[[], Awaitable[bool]] = yes,
) -> list[Outcome]:
    """The outcomes over one connection; when it can't be opened, that outcome alone."""
    session = await Session.open(to, limits)
    if isinstance(session, Outcome):
        return [session]
    try:
        return [await session.deliver(one, before_dot) for one in letters]
    finally:
        await session.quit()


def talk(sink: SmtpSink, *letters: Letter, limits: Limits = LIMITS, before_dot=yes, **changes) -> list[Outcome]:
    return asyncio.run(deliver_all(peer(sink, **changes), letters or (letter(),), limits, before_dot))
