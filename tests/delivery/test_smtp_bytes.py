"""The bytes of a message on the wire: CRLF only, dots doubled, an end that nobody else can see (promise
7)."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messaging.delivery.outcomes import Cause, Phase, Verdict
from messaging.delivery.wire import Stuffer, Unsafe, stuffed
from tests.delivery.smtp_sink import SmtpSink
from tests.delivery.talking import letter, talk


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"", b""),
        (b"a\r\n", b"a\r\n"),
        (b"a", b"a\r\n"),
        (b".", b"..\r\n"),
        (b".\r\n", b"..\r\n"),
        (b"a\r\n.b\r\n..\r\n", b"a\r\n..b\r\n...\r\n"),
        (b"a.b\r\n c.\r\n", b"a.b\r\n c.\r\n"),
        (b"a\n.\nb\n", b"a\r\n..\r\nb\r\n"),
        (b"a\r.\rb\r", b"a\r\n..\r\nb\r\n"),
        (b"a\r\n.\n.\r.\r\n", b"a\r\n..\r\n..\r\n..\r\n"),
        (b"a\n\r\n", b"a\r\n\r\n"),
        (b"a\r\r\n", b"a\r\n\r\n"),
        (b"end\r", b"end\r\n"),
    ],
)
def test_content_in_wire_form(content: bytes, wire: bytes):
    assert stuffed(content) == wire
    pieces = Stuffer()
    assert b"".join([pieces.feed(content[at : at + 1]) for at in range(len(content))]) + pieces.end() == wire


pieces_of_mail = st.lists(
    st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"a", b"..", b"\r\n.\r\n", b"text"]), max_size=30
)


@settings(max_examples=400, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(pieces_of_mail, st.integers(1, 7))
def test_however_it_is_cut_no_end_of_data_appears_inside(pieces: list[bytes], cut: int):
    content = b"".join(pieces)
    stuffer = Stuffer()
    wire = b"".join([stuffer.feed(content[at : at + cut]) for at in range(0, len(content), cut)]) + stuffer.end()
    assert wire == stuffed(content)
    lines = wire.split(b"\r\n")
    assert lines[-1] == b""
    assert b"." not in lines
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert all(line.startswith(b"..") for line in lines if line.startswith(b"."))


@pytest.mark.parametrize("content", [b"a\0b\r\n", b"\0"])
def test_a_nul_is_refused(content: bytes):
    with pytest.raises(Unsafe):
        stuffed(content)
    with SmtpSink() as sink:
        [outcome] = talk(sink, letter(content))
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.BOUNCED, Cause.CONTENT, Phase.BODY)
        assert sink.wait_for(lambda sink: sink.sessions[0].ended)
        assert sink.dots == 0


def test_smuggled_commands_arrive_as_content():
    evil = (
        b"hello\r\n.\nMAIL FROM:<evil@example.com>\r\n\n.\r\nDATA\r.\r\nQUIT\r\n.\r\nMAIL FROM:<evil@example.com>\r\n"
    )
    with SmtpSink() as sink:
        [outcome] = talk(sink, letter(evil))
        assert outcome.verdict is Verdict.DELIVERED
        assert (sink.dots, len(sink.transactions)) == (1, 1)
        assert sink.transactions[0].content.count(b"evil@example.com") == 2
        assert sum(command.startswith("MAIL") for command in sink.sessions[0].commands) == 1


def test_a_stream_arrives_as_it_was_sent_whatever_the_chunks():
    content = b"".join(b"%d.\r\n.dot\r\n%s\r\n" % (n, b"x" * (n % 70)) for n in range(20_000))

    async def chunks():
        for at in range(0, len(content), 4097):
            yield content[at : at + 4097]

    with SmtpSink() as sink:
        [streamed, whole] = talk(sink, letter(chunks, size=len(content)), letter(content))
        assert (streamed.verdict, whole.verdict) == (Verdict.DELIVERED, Verdict.DELIVERED)
        assert sink.transactions[0].content == content
        assert sink.transactions[1].content == content


def test_korean_in_utf8_passes_unchanged():
    content = "Subject: 한빛 영수증\r\n\r\n감사합니다.\r\n.끝\r\n".encode()
    with SmtpSink() as sink:
        talk(sink, letter(content, eight_bit=True))
        assert sink.transactions[0].content == content
