"""What attackers try, up to the mail server at the other end: nothing is relayed for strangers, one mail in is one mail out, and
no bare CR, bare LF or NUL goes out."""

import base64
import random
import re
import smtplib

import pytest

from messaging.models import InboundMail, Message
from tests import world
from tests.inbound.relaying import KIM, client, line

SIGNED = "b-01m859mcpdddt1hqg2n8ywvrspaaaaaaaaaaaa"
RECIPIENTS = [
    KIM,
    "kim%hanbit.example@relay.sendarix.test",
    "kim%hanbit.example",
    "kim%hanbit.example@[127.0.0.1]",
    "kim@hanbit.example@relay.sendarix.test",
    "kim@relay.sendarix.test@hanbit.example",
    "@relay.sendarix.test:kim@hanbit.example",
    "@relay.sendarix.test,@b.example:kim@hanbit.example",
    "hanbit.example!kim",
    "hanbit.example!kim@relay.sendarix.test",
    "relay.sendarix.test!hanbit.example!kim",
    '"kim@hanbit.example"',
    '"kim@hanbit.example"@relay.sendarix.test',
    '"kim%hanbit.example"@relay.sendarix.test',
    "kim@[127.0.0.1]",
    "kim@127.0.0.1",
    "kim@localhost",
    "root",
    "postmaster",
    "kim@hanbit.example.",
    "kim\x00@hanbit.example",
    "김@한빛.example",
    f"{SIGNED}@bounces.sendarix.test",
    f"{SIGNED}%hanbit.example@bounces.sendarix.test",
    f"{SIGNED}@hanbit.example",
    "kim@bounces.sendarix.test",
    "kim%hanbit.example@bounces.sendarix.test",
    "kim@hanbit.example@bounces.sendarix.test",
    "@bounces.sendarix.test:kim@hanbit.example",
    "bounces.sendarix.test!kim@hanbit.example",
    "kim@bounces.sendarix.test.hanbit.example",
    "b-@hanbit.example",
]
SENDERS = ["", "hello@acme.example", "root@localhost", "hello@relay.sendarix.test", "kim@bounces.sendarix.test"]
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")


@pytest.mark.parametrize("recipient", RECIPIENTS)
def test_no_form_of_address_is_relayed_for_a_stranger(relay, recipient: str) -> None:
    with line(relay.port) as dialogue:
        for sender in SENDERS:
            assert dialogue.begin(recipient, sender)[:3] in ("500", "501", "530", "550", "553")
            assert dialogue.say("DATA")[:3] in ("500", "503")
            dialogue.say("RSET")
    assert (Message.objects.count(), InboundMail.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    "opening",
    [
        "PROXY TCP4 127.0.0.1 127.0.0.1 25 25",
        "XCLIENT ADDR=127.0.0.1 LOGIN=acme",
        "XFORWARD ADDR=127.0.0.1 NAME=localhost",
        "AUTH PLAIN AGEAYg==",
        "AUTH EXTERNAL =",
        "AUTH ANONYMOUS =",
        "HELO localhost",
        "MAIL FROM:<hello@acme.example> AUTH=hello@acme.example",
        "ETRN hanbit.example",
        "TURN",
        "BDAT 10 LAST",
    ],
)
def test_no_command_makes_a_stranger_trusted(relay, opening: str) -> None:
    with line(relay.port) as dialogue:
        dialogue.say("EHLO app.acme.example")
        dialogue.say(opening)
        dialogue.say("RSET")
        dialogue.say("MAIL FROM:<hello@acme.example>")
        assert dialogue.say(f"RCPT TO:<{KIM}>")[:3] in ("503", "530")
        assert dialogue.say("DATA")[:3] == "503"
    assert Message.objects.count() == 0


def test_binary_proxy_headers_are_no_commands(relay) -> None:
    with line(relay.port) as dialogue:
        header = b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11\x00\x0c" + b"\x7f\0\0\1\x7f\0\0\1\0\x19\0\x19" + b"\r\n"
        assert dialogue.say(header).startswith("500")
    with line(relay.port) as dialogue:
        assert dialogue.say(f"RCPT TO:<{KIM}>").startswith("503")


def letter(body: bytes = b"x", *fields: bytes, sender: bytes = b"hello@acme.example", subject: bytes = b"one") -> bytes:
    return b"\r\n".join([b"From: " + sender, b"Subject: " + subject, *fields, b"", body])


def encoded(raw: bytes, kind: bytes, *fields: bytes) -> bytes:
    return letter(base64.encodebytes(raw).replace(b"\n", b"\r\n"), b"Content-Type: " + kind,
                  b"Content-Transfer-Encoding: base64", *fields)  # fmt: skip


INNER = (
    b"\r\n.\r\nMAIL FROM:<hello@acme.example>\r\nRCPT TO:<lee@hanbit.example>\r\nDATA\r\nSubject: two\r\n\r\nx\r\n.\r\n"
)
SLY = INNER + INNER.replace(b"\r\n", b"\n") + INNER.replace(b"\r\n", b"\r") + b"\0\r\r\n\n\r"
WORD = b"=?utf-8?b?" + base64.b64encode(SLY) + b"?="
HIDDEN = [
    letter(b"".join(b"=%02X" % octet for octet in SLY), b"Content-Transfer-Encoding: quoted-printable"),
    encoded(SLY, b"text/plain"),
    encoded(SLY, b"text/html; charset=utf-8"),
    encoded(SLY.decode().encode("utf-16"), b"text/plain; charset=utf-16"),
    encoded(SLY, b"application/octet-stream"),
    encoded(SLY, b"message/rfc822"),
    encoded(SLY, b'text/plain; name="x"', b"Content-Disposition: attachment; filename*=utf-8''a%0D%0A.%0D%0Ab%00.txt"),
    letter(b"+AA0ACgAuAA0ACg-QUIT", b"Content-Type: text/plain; charset=utf-7"),
    letter(b"x", sender=WORD + b" <hello@acme.example>"),
    letter(b"x", subject=WORD),
    letter(b"x", b"To: " + WORD + b" <kim@hanbit.example>"),
    letter(b"x", b"Reply-To: " + WORD + b" <office@acme.example>"),
    letter(b"x", b"X-Shop: " + WORD),
    letter(b"x", b"Content-Type: application/pdf; name=\"" + WORD + b'"'),
    letter(b"..\r\n...\r\n..QUIT\r\n"),
]  # fmt: skip


@pytest.mark.parametrize("raw", HIDDEN, ids=range(len(HIDDEN)))
def test_line_ends_hidden_in_encodings_start_nothing(relay, key, sink, raw: bytes) -> None:
    with client(relay, key) as session:
        assert hand_in(session, raw + b"\r\n.\r\n") == 250
        assert session.noop()[0] == 250
    world.drain()
    assert len(sink.accepted) == Message.objects.count() == 1
    assert_clean(sink)


def test_any_mixture_of_dots_and_line_ends_is_one_whole_mail_or_none(relay, key, acme, sink) -> None:
    world.sql("UPDATE accounts SET rate_limit = 100000 WHERE id = %s", acme.account.pk)
    dice, taken = random.Random(4711), 0
    pieces = [b"\r\n", b"\r\n", b"\r\n.", b".", b"x", b"QUIT", b"\r\nSubject: two\r\n\r\n"]
    with client(relay, key) as session:
        for number in range(200):
            spoilt = [b"\r", b"\n", b"\0"] if number % 2 else []
            raw = letter(b"first" + b"".join(dice.choices(pieces + spoilt, k=12)))
            code = hand_in(session, raw.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
            assert code == (554 if BARE.search(raw) else 250), raw
            taken += code == 250
    world.drain()
    assert len(sink.accepted) == Message.objects.count() == taken >= 100
    assert_clean(sink)


def hand_in(session: smtplib.SMTP, wire: bytes) -> int:
    """The reply to a mail whose octets go out as they are."""
    session.mail("bounce@acme.example")
    assert session.rcpt(KIM)[0] == 250
    assert session.docmd("DATA")[0] == 354
    session.send(wire)
    return session.getreply()[0]


def assert_clean(sink) -> None:
    for one in sink.transactions:
        assert not BARE.search(one.wire)
        assert one.recipients == [KIM]
        head = one.content.partition(b"\r\n\r\n")[0].lower()
        assert (head.count(b"\r\nsubject:"), head.count(b"\r\nbcc:")) == (1, 0)
        assert b"\r\nsubject: two" not in head
    said = [command for session in sink.sessions for command in session.commands]
    assert all(command.isprintable() for command in said)
