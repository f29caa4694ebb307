"""What must not pass the relay: a second mail inside the first, commands said before TLS, damaged lines."""

import time

import pytest

from messaging.models import Message, MessageContent
from tests.inbound.relaying import KIM, client, crlf, line, mail, trusting

INNER = b"MAIL FROM:<hello@acme.example>\r\nRCPT TO:<lee@hanbit.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
HEAD = b"From: hello@acme.example\r\nSubject: outer\r\n\r\nfirst"
ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\n.\r",
    b"\r\n\x00.\r\n",
    b"\r\r\n.\r\r\n",
]


@pytest.mark.parametrize("end", ENDS)
def test_nothing_but_crlf_dot_crlf_ends_a_mail(relay, key, end: bytes) -> None:
    with client(relay, key) as session:
        session.mail("")
        session.rcpt(KIM)
        session.docmd("DATA")
        session.send(HEAD + end + INNER)
        code, text = session.getreply()
        assert code == 554, text
        assert b"5.6.0" in text
        session.quit()
    assert Message.objects.count() == 0


def test_a_lone_dot_at_once_is_an_empty_mail(relay, key) -> None:
    with client(relay, key) as session:
        session.mail("")
        session.rcpt(KIM)
        session.docmd("DATA")
        session.send(b".\r\n")
        assert session.getreply()[0] == 550
        assert session.noop()[0] == 250


def test_stuffed_dots_are_taken_away_once(relay, key) -> None:
    with client(relay, key) as session:
        session.mail("")
        session.rcpt(KIM)
        session.docmd("DATA")
        session.send(HEAD + b"\r\n..\r\n..two\r\n.one\r\n.\r\n")
        assert session.getreply()[0] == 250
    assert MessageContent.objects.get().text == "first\n.\n.two\none\n"


def test_an_end_cut_anywhere_by_the_network_is_the_end(relay, key) -> None:
    whole = HEAD + b"x" * 200_000 + b"\r\n.\r\n"
    for cut in range(1, 6):
        with client(relay, key) as session:
            session.mail("")
            session.rcpt(KIM)
            session.docmd("DATA")
            session.send(whole[:-cut])
            time.sleep(0.02)
            session.send(whole[-cut:])
            assert session.getreply()[0] == 250


def test_mail_data_before_the_354_ends_the_session(relay, key) -> None:
    with client(relay, key) as session:
        session.mail("")
        session.rcpt(KIM)
        session.send(b"DATA\r\n" + HEAD + b"\r\n.\r\n")
        assert session.getreply()[0] == 503
    assert Message.objects.count() == 0


def test_commands_sent_ahead_are_answered_in_order(relay, key) -> None:
    with client(relay, key) as session:
        session.send(f"MAIL FROM:<>\r\nRCPT TO:<{KIM}>\r\nRCPT TO:<not an address>\r\nDATA\r\n".encode())
        assert [session.getreply()[0] for _ in range(4)] == [250, 250, 501, 354]
        session.send(crlf(mail()) + b"\r\n.\r\n")
        assert session.getreply()[0] == 250


def test_what_was_said_before_tls_counts_for_nothing(relay) -> None:
    with line(relay.port) as dialogue:
        dialogue.say("EHLO app.acme.example")
        assert dialogue.say(b"STARTTLS\r\nMAIL FROM:<hello@acme.example>\r\n").startswith("220")
        wrapped = trusting().wrap_socket(dialogue.socket)
        wrapped.sendall(b"NOOP\r\n")
        assert wrapped.recv(100).startswith(b"250 2.0.0")
        wrapped.sendall(b"RCPT TO:<kim@hanbit.example>\r\n")
        assert wrapped.recv(100).startswith(b"503")
        wrapped.close()


@pytest.mark.parametrize(
    "command",
    [
        "MAIL FROM:<a@b.example>\x00",
        "MAIL FROM:<a@b.example",
        "MAIL FROM:a@b.example",
        "MAIL FROM:<a b@c.example>",
        "MAIL",
        "x" * 9000,
    ],
)
def test_a_damaged_command_is_refused_and_the_session_goes_on(relay, command: str) -> None:
    with line(relay.port) as dialogue:
        dialogue.say("EHLO app.acme.example")
        assert dialogue.say(command)[:3] in ("500", "501")
        assert dialogue.say("NOOP") == "250 2.0.0 Ok"


def test_every_reply_carries_a_status_code(relay) -> None:
    with line(relay.port) as dialogue:
        dialogue.say("EHLO app.acme.example")
        for command in (
            "NOPE",
            "",
            "EXPN all",
            "VRFY kim",
            "HELP",
            "RSET",
            "STARTTLS now",
            "DATA",
            "MAIL FROM:<> X=1",
            "QUIT",
        ):
            reply = dialogue.say(command)
            assert reply[4:6] in (f"{reply[0]}.",), (command, reply)
