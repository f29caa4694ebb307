"""Connections that break, hang or babble: the outcome says how far it got, and nothing is delivered twice or
by accident."""

import asyncio
import socket
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from messaging.delivery.outcomes import Cause, Outcome, Phase, Verdict
from messaging.delivery.smtp import Peer, Session, TlsPolicy
from tests.delivery.smtp_sink import Drop, Endless, Hang, Later, Raw, Reset, SmtpSink
from tests.delivery.talking import LIMITS, TEXT, letter, peer, talk, yes

BIG = b"Subject: big\r\n\r\n" + b"x" * 76 + b"\r\n" + (b"y" * 76 + b"\r\n") * 60_000
EARLIER = {later: tuple(Phase)[: tuple(Phase).index(later)] for later in Phase}


def slow_mark(sink: SmtpSink) -> Callable[[], Awaitable[bool]]:
    """A mark that takes until the server has seen of the content, and what it does then has arrived."""

    async def mark() -> bool:
        while not (any(one.wire for one in sink.transactions) or sink.sessions[0].ended):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.15)
        return True

    return mark


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("breakage", [Drop(), Reset()])
@pytest.mark.parametrize(
    ("stage", "phase"),
    [
        ("connect", Phase.GREETING),
        ("ehlo", Phase.EHLO),
        ("mail", Phase.MAIL),
        ("rcpt", Phase.RCPT),
        ("data", Phase.DATA),
    ],
)
def test_a_drop_before_the_content_defers_with_its_phase(stage, phase, breakage, pipelining):
    with SmtpSink({stage: breakage}, extensions=("PIPELINING",) if pipelining else ()) as sink:
        [outcome] = talk(sink)
        assert (outcome.verdict, outcome.cause) == (Verdict.DEFERRED, Cause.CONNECTION)
        # a reset may overtake what was said before it
        assert outcome.phase is phase or (isinstance(breakage, Reset) and outcome.phase in EARLIER[phase])
        assert outcome.elsewhere
        assert sink.dots == 0


@pytest.mark.parametrize("breakage", [Drop(after=1), Reset(after=1)])
def test_a_drop_inside_a_small_content_defers(breakage):
    with SmtpSink({"body": breakage}) as sink:
        [outcome] = talk(sink, before_dot=slow_mark(sink))
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DEFERRED, Cause.CONNECTION, Phase.BODY)
        assert sink.dots == 0


@pytest.mark.parametrize("breakage", [Drop(after=1_000_000), Reset(after=1_000_000)])
def test_a_drop_inside_a_large_content_defers_and_never_asks_for_the_mark(breakage):
    asked = []

    async def mark() -> bool:
        asked.append(True)
        return True

    with SmtpSink({"body": breakage}, slow_read=0.01) as sink:
        [outcome] = talk(sink, letter(BIG * 3), before_dot=mark, limits=replace(LIMITS, total=100))
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DEFERRED, Cause.CONNECTION, Phase.BODY)
        assert (sink.dots, asked) == (0, [])


@pytest.mark.parametrize(
    "breakage", [Drop(), Reset(), Raw(b"250 2.0.0 Ok: que", close=True), Raw(b"250-Ok\r\n", close=True)]
)
def test_a_drop_after_the_dot_without_a_whole_reply_is_uncertain(breakage):
    with SmtpSink({"dot": breakage}) as sink:
        [outcome] = talk(sink)
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.UNCERTAIN, Cause.UNCERTAIN, Phase.DOT)
        assert not outcome.elsewhere
        assert sink.dots == 1


def test_silence_after_the_dot_is_uncertain_too():
    with SmtpSink({"dot": Hang()}) as sink:
        [outcome] = talk(sink, limits=replace(LIMITS, after_dot=0.4))
        assert (outcome.verdict, outcome.phase) == (Verdict.UNCERTAIN, Phase.DOT)
        assert "too long" in outcome.detail


def test_the_verdict_may_take_longer_than_the_dialogue():
    with SmtpSink({"dot": Later(1.2)}) as sink:
        [outcome] = talk(sink, limits=replace(LIMITS, total=1.0))
        assert outcome.verdict is Verdict.DELIVERED


@pytest.mark.parametrize(
    ("stage", "phase", "limit"),
    [
        ("connect", Phase.GREETING, "setup"),
        ("ehlo", Phase.EHLO, "setup"),
        ("mail", Phase.MAIL, "total"),
        ("rcpt", Phase.RCPT, "total"),
        ("data", Phase.DATA, "total"),
    ],
)
def test_a_server_that_falls_silent_is_given_up_in_time(stage, phase, limit):
    with SmtpSink({stage: Hang()}, extensions=()) as sink:
        start = time.monotonic()
        [outcome] = talk(sink, limits=replace(LIMITS, **{limit: 1.0}))
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DEFERRED, Cause.TIMEOUT, phase)
        assert time.monotonic() - start < 20


def test_one_deadline_holds_for_the_whole_message_not_for_each_reply():
    script = {"mail": Later(0.6), "rcpt": Later(0.6), "data": Later(0.6)}
    with SmtpSink(script, extensions=()) as sink:
        [outcome] = talk(sink, limits=replace(LIMITS, total=1.0))
        assert (outcome.cause, outcome.phase) == (Cause.TIMEOUT, Phase.RCPT)


def test_slow_single_bytes_do_not_stretch_the_deadline():
    with SmtpSink({"mail": Raw(b"250 2.1.0 " + b"o" * 500, pause=0.05)}) as sink:
        start = time.monotonic()
        [outcome] = talk(sink, limits=replace(LIMITS, total=0.4))
        assert (outcome.cause, outcome.phase) == (Cause.TIMEOUT, Phase.MAIL)
        assert time.monotonic() - start < 20


def test_a_reply_in_single_bytes_is_read_whole():
    with SmtpSink({"ehlo": Raw(b"250-sink.test\r\n250-PIPELINING\r\n250 SIZE 9999\r\n", pause=0.002)}) as sink:
        [outcome] = talk(sink)
        assert outcome.verdict is Verdict.DELIVERED
        assert sink.transactions[0].mail.endswith(f"SIZE={len(TEXT)}")


def test_a_receiver_that_stops_reading_is_given_up():
    with SmtpSink({"body": Hang(after=1)}) as sink:
        [outcome] = talk(sink, letter(BIG * 3, size=0), limits=replace(LIMITS, total=1.0))
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DEFERRED, Cause.TIMEOUT, Phase.BODY)


@pytest.mark.parametrize("content", [TEXT, BIG * 2])
def test_a_server_that_answers_inside_the_content_gets_no_dot(content):
    with SmtpSink({"body": "552 5.3.4 too much"}) as sink:
        [outcome] = talk(sink, letter(content), before_dot=slow_mark(sink))
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.BOUNCED, Cause.TOO_LARGE, Phase.BODY)
        assert sink.dots == 0


def test_an_answer_of_ok_before_the_dot_is_not_believed():
    with SmtpSink({"body": "250 2.0.0 thanks already"}) as sink:
        [outcome] = talk(sink, before_dot=slow_mark(sink))
        assert (outcome.verdict, outcome.cause) == (Verdict.DEFERRED, Cause.PROTOCOL)
        assert sink.dots == 0


@pytest.mark.parametrize(
    "babble",
    [
        Endless(),
        Endless(b"220-" + b"x" * 3000 + b"\r\n"),
        Endless(b"x" * 1000),
        Endless(b"220 welcome\r\n"),
        Raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        Raw(b"\r\n"),
        Raw(b"22\r\n"),
        Raw(b"\x00\xff\xfe\r\n"),
    ],
)
def test_a_banner_that_is_endless_or_no_smtp_is_left_quickly_and_costs_no_memory(babble):
    with SmtpSink({"connect": babble}) as sink:
        tracemalloc.start()
        start = time.monotonic()
        [outcome] = talk(sink)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (outcome.verdict, outcome.cause) == (Verdict.DEFERRED, Cause.PROTOCOL)
        assert time.monotonic() - start < 20
        assert peak < 4_000_000


def test_a_long_but_bounded_reply_is_fine():
    lines = "\n".join(["220 hello", *(f"line {n}" for n in range(98))])
    with SmtpSink({"connect": lines}) as sink:
        [outcome] = talk(sink)
        assert outcome.verdict is Verdict.DELIVERED


def test_a_server_that_speaks_before_it_is_asked_is_left():
    with SmtpSink({"connect": Raw(b"220 hello\r\n250 and then some\r\n")}) as sink:
        [outcome] = talk(sink)
        assert (outcome.verdict, outcome.cause) == (Verdict.DEFERRED, Cause.PROTOCOL)


@pytest.mark.parametrize(
    ("greeting", "cause"),
    [
        ("554 5.7.1 blocked using zen.spamhaus.org", Cause.REPUTATION),
        ("421 4.7.0 too many connections from your host", Cause.RATE_LIMITED),
        ("554 no SMTP service here", Cause.OTHER),
        ("250 hello", Cause.PROTOCOL),
    ],
)
def test_a_host_that_turns_us_away_at_the_door_only_defers(greeting, cause):
    with SmtpSink({"connect": greeting}) as sink:
        [outcome] = talk(sink)
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DEFERRED, cause, Phase.GREETING)
        assert outcome.elsewhere


def test_a_port_nobody_listens_on_defers():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    outcome = asyncio.run(Session.open(Peer("nobody.test", "127.0.0.1", port, TlsPolicy.NONE), LIMITS))
    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DEFERRED, Cause.CONNECTION, Phase.CONNECTING)
    assert outcome.mx == "nobody.test"


def test_an_address_that_never_answers_defers():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        outcome = asyncio.run(
            Session.open(Peer("deaf.test", "127.0.0.1", port, TlsPolicy.NONE), replace(LIMITS, connect=0.4))
        )
        for filler in fillers:
            filler.close()
    assert (outcome.verdict, outcome.cause) == (Verdict.DEFERRED, Cause.TIMEOUT)


def test_a_stream_that_fails_goes_through_and_leaves_no_dot():
    async def torn():
        yield TEXT
        raise OSError("the attachment is gone")

    with SmtpSink() as sink:
        with pytest.raises(OSError, match="attachment is gone"):
            talk(sink, letter(torn))
        assert sink.wait_for(lambda sink: sink.sessions[0].ended)
        assert sink.dots == 0


def test_after_a_failure_the_session_is_not_offered_again():
    async def story(to) -> bool:
        session = await Session.open(to, LIMITS)
        await session.deliver(letter(), yes)
        usable = session.reusable
        await session.quit()
        return usable

    with SmtpSink({"dot": Drop()}) as sink:
        assert not asyncio.run(story(peer(sink)))
