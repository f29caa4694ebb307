"""Clients that want to wear the relay out: slow, greedy, deaf, guessing."""

import base64
import contextlib
import logging
import smtplib
import socket
import time

import pytest

from messaging.delivery import verp
from messaging.inbound import relay_session, submissions
from messaging.inbound.relay import Guesses
from messaging.models import InboundMail
from tests import builders, world
from tests.inbound.relaying import KIM, client, line, mail

WRONG = "AUTH PLAIN " + base64.b64encode(b"\0a\0sk_live_wrong").decode()


def alone(relay) -> bool:
    return not relay.relay._sessions


def test_who_does_not_read_its_replies_is_cut_off(relay, key, settings, monkeypatch) -> None:
    monkeypatch.setattr(relay_session, "LINGER", 0.2)
    settings.RELAY_IDLE_SECONDS = 0.5
    with line(relay.port) as deaf:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.say("EHLO app.acme.example")
        deaf.say("AUTH PLAIN " + base64.b64encode(b"\0a\0" + key.encode()).decode())
        [session] = relay.relay._sessions
        session.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        deaf.socket.settimeout(1)
        with contextlib.suppress(OSError):
            deaf.socket.sendall(b"RCPT TO:<x>\r\n" * 30_000)
        world.until(lambda: session.transport is None or session.transport.is_closing())
        world.until(lambda: alone(relay))


@pytest.mark.parametrize("opening", ["starttls", "tls", ""])
def test_a_connection_that_stalls_before_or_in_tls_ends(relay, settings, opening: str) -> None:
    settings.RELAY_AUTH_SECONDS = 0.3
    with opened(relay, opening) as stalled:
        stalled.sendall(b"\x16\x03\x01" if opening else b"EH")
        world.until(lambda: not alone(relay))
        world.until(lambda: alone(relay))


@pytest.mark.parametrize("opening", ["starttls", "tls"])
@pytest.mark.parametrize("octets", [b"", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_handshake_that_comes_to_nothing_leaves_no_session(relay, opening: str, octets: bytes) -> None:
    for _ in range(3):
        with opened(relay, opening) as peer:
            world.until(lambda: not alone(relay))
            peer.sendall(octets)
            with contextlib.suppress(OSError):
                while octets and peer.recv(1000):
                    pass
        world.until(lambda: alone(relay))
    assert not relay.relay._per_address


def opened(relay, opening: str) -> socket.socket:
    """A connection on which TLS has to begin."""
    peer = socket.create_connection(("127.0.0.1", relay.tls_port if opening == "tls" else relay.port), timeout=10)
    if opening == "starttls":
        peer.sendall(b"EHLO x\r\nSTARTTLS\r\n")
        said = b""
        while b"220 2.0.0" not in said:
            said += peer.recv(1000)
    return peer


def test_a_stranger_who_was_busy_when_its_time_ended_is_ended_later(relay, acme, settings) -> None:
    settings.RELAY_AUTH_SECONDS = 0.4
    number = world.send(acme.live)
    with line(relay.port) as stranger:
        assert stranger.begin(verp.address(number, "bounces.sendarix.test")).startswith("354")
        time.sleep(0.6)
        assert stranger.say(b"Subject: x\r\n\r\nx\r\n.\r\n").startswith("250")
        assert stranger.reply().startswith("421 4.7.0 Too slow")
    assert InboundMail.objects.count() == 1


def test_too_many_mistakes_end_a_strangers_session(relay) -> None:
    with line(relay.port) as stranger:
        stranger.say("EHLO x")
        stranger.say("MAIL FROM:<>")
        told = [stranger.say(f"RCPT TO:<b-{number}@bounces.sendarix.test>") for number in range(20)]
        assert {reply[:9] for reply in told} == {"550 5.1.1"}
        assert stranger.reply().startswith("421 4.7.0 Too many mistakes")


def test_nothing_said_after_the_last_word_is_heard(relay) -> None:
    with line(relay.port) as stranger:
        stranger.say("EHLO x")
        stranger.send((WRONG + "\r\n").encode() * 8)
        told = []
        while reply := stranger.reply():
            told.append(reply[:9])
        assert told == ["535 5.7.8"] * 3 + ["421 4.7.0"]


def test_guessing_is_slowed_by_address_over_all_sessions(relay, monkeypatch) -> None:
    waits: list[int] = []
    add = relay.relay.guesses.add
    monkeypatch.setattr(relay.relay.guesses, "add", lambda address: waits.append(add(address)) or waits[-1])
    for _ in range(4):
        with line(relay.port) as guesser:
            guesser.say("EHLO x")
            assert [guesser.say(WRONG)[:3] for _ in range(2)] == ["535", "535"]
    assert waits == [1, 2, 3, 4, 5, 6, 6, 6]


def test_addresses_that_guess_are_forgotten(monkeypatch) -> None:
    guesses = Guesses()
    monkeypatch.setattr(Guesses, "ADDRESSES", 2)
    assert [guesses.add(one) for one in ("::1", "::2", "192.0.2.1", "192.0.2.1", "192.0.2.2")] == [1, 2, 1, 2, 1]
    assert guesses.add("::1") == 1
    monkeypatch.setattr(Guesses, "LIFE", -1.0)
    assert [guesses.add("192.0.2.9"), guesses.add("192.0.2.9")] == [1, 1]


def test_the_right_key_is_not_kept_waiting_by_others_guesses(relay, key, settings) -> None:
    for _ in range(10):
        relay.relay.guesses.add("127.0.0.1")
    settings.RELAY_AUTH_DELAY = 60.0
    with client(relay, key) as session:
        assert session.noop()[0] == 250


def test_a_flood_of_wrong_keys_is_told_to_come_later(relay, settings) -> None:
    settings.RATE_LIMIT_UNKNOWN = 3
    told = []
    for _ in range(3):
        with line(relay.port) as guesser:
            guesser.say("EHLO x")
            told += [guesser.say(WRONG)[:9] for _ in range(2)]
    assert told == ["535 5.7.8"] * 3 + ["454 4.7.0"] * 3


def test_one_accounts_slow_mails_leave_the_others_room(relay, key, globex, settings) -> None:
    settings.RELAY_HELD_BYTES = 400_000
    theirs = builders.api_key(globex.account)
    with client(relay, key) as greedy, client(relay, key) as more, client(relay, theirs) as other:
        begin(greedy).send(b"x" * 190_000)
        world.until(lambda: relay.relay._held.total() > 60_000)
        assert begin(more).send(b"x" * 150_000 + b"\r\n.\r\n") is None
        assert more.getreply() == (452, b"4.3.1 Too many mails are being received; try again later")
        letter = mail(From="hello@globex.example").as_bytes().replace(b"\n", b"\r\n") + b"x" * 100_000
        assert begin(other).send(letter + b"\r\n.\r\n") is None
        assert other.getreply()[0] == 250
        greedy.close()  # its QUIT would be more of its mail


def begin(session: smtplib.SMTP) -> smtplib.SMTP:
    session.mail("")
    session.rcpt(KIM)
    assert session.docmd("DATA")[0] == 354
    return session


def test_a_refused_mail_holds_nothing_while_the_rest_of_it_comes(relay, key, settings, monkeypatch) -> None:
    monkeypatch.setattr(relay_session, "SIZE", 200_000)
    with client(relay, key) as session:
        begin(session).send(b"x" * 300_000)
        time.sleep(0.2)
        world.until(lambda: relay.relay._held.total() == 0)
        session.send(b"\r\n.\r\n")
        assert session.getreply()[0] == 552


def test_a_password_line_without_end_is_refused_and_logs_nothing(relay, caplog) -> None:
    with line(relay.port) as stranger, caplog.at_level(logging.WARNING):
        stranger.say("EHLO x")
        assert stranger.say("AUTH PLAIN").startswith("334")
        assert stranger.say(b"A" * 200_000 + b"\r\n").startswith("500 5.5.6")
    assert caplog.records == []


@pytest.mark.parametrize("octets", [b"\xff@x.example", b"a@\xed\xa0\x80.example"])
def test_octets_that_are_no_utf8_are_no_address(relay, acme, octets: bytes, caplog) -> None:
    number = world.send(acme.live)
    with line(relay.port) as stranger:
        stranger.say("EHLO x")
        assert stranger.say(b"MAIL FROM:<" + octets + b"> SMTPUTF8\r\n").startswith("501")
        assert stranger.say("MAIL FROM:<김@한빛.example> SMTPUTF8").startswith("250")
        assert stranger.say(b"RCPT TO:<" + octets + b">\r\n").startswith("501")
        assert stranger.say(f"RCPT TO:<{verp.address(number, 'bounces.sendarix.test')}>").startswith("250")
        assert stranger.say("DATA").startswith("354")
        assert stranger.say(b"Subject: x\r\n\r\nx\r\n.\r\n").startswith("250")


def test_an_unknown_command_is_not_repeated(relay) -> None:
    with line(relay.port) as stranger:
        assert stranger.say(b"A\r\x1b[2JB C\r\n") == "500 5.5.2 There is no such command"


PARTS = b"From: a@acme.example\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"From: a@acme.example\r\n" + b"a:\r\n" * 6_000 + b"\r\nx",
        PARTS + b"--b\r\n" + b"a:b\r\n" * 900_000 + b"\r\nx\r\n--b--\r\n",
        PARTS + b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + b"a:b\r\n" * 6_000 + b"\r\nx\r\n--b--\r\n",
    ],
    ids=["header", "part", "attached mail"],
)
def test_header_fields_are_counted_before_they_are_read(raw: bytes) -> None:
    with pytest.raises(submissions.Refused, match="5,000 header fields"):
        submissions.read(raw)
