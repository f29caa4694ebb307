"""Mail handed in over SMTP: with a key, under TLS, and with the API's own acceptance behind it."""

import smtplib
import time
from email.message import EmailMessage
from functools import partial

import pytest
from django.db import DataError, connection

from messaging import acceptance
from messaging.inbound import submitting
from messaging.inbound.submitting import Mail
from messaging.models import Message
from tests import builders, world
from tests.inbound.relaying import KIM, LEE, client, crlf, line, mail, trusting


def ids_in(reply: bytes) -> list[str]:
    return [word for word in reply.decode().split() if word.startswith("msg_")]


def hand_in(session: smtplib.SMTP, letter: EmailMessage | bytes, *recipients: str) -> tuple[int, bytes]:
    """The reply to a whole mail."""
    session.mail("bounce@acme.example")
    for recipient in recipients or (KIM,):
        assert session.rcpt(recipient)[0] == 250
    return session.data(letter if isinstance(letter, bytes) else crlf(letter))


def handed_in_alone(relay, key: str, letter: EmailMessage) -> tuple[int, bytes]:
    """The reply to a mail handed in over a connection of its own."""
    with client(relay, key) as session:
        return hand_in(session, letter)


def refused(relay, key: str, letter: EmailMessage) -> str:
    with client(relay, key) as session:
        code, text = hand_in(session, letter)
    assert Message.objects.count() == 0
    return f"{code} {text.decode()}"


def test_a_mail_handed_in_under_tls_is_delivered(relay, key, acme, sink) -> None:
    with client(relay, key) as session:
        code, reply = hand_in(session, mail())
    assert (code, reply[:24]) == (250, b"2.0.0 Ok: queued as msg_")
    world.drain()
    assert world.status(acme.live, ids_in(reply)[0]) == "delivered"
    delivered = sink.accepted[0]
    assert delivered.recipients == [KIM]
    assert b"Subject: Your order\r\n" in delivered.content
    assert b"It is on its way." in delivered.content
    assert f"To: Kim <{KIM}>\r\n".encode() in delivered.content


def test_a_port_that_speaks_tls_at_once_takes_mail(relay, key) -> None:
    with smtplib.SMTP_SSL("127.0.0.1", relay.tls_port, context=trusting(), timeout=20) as session:
        session.login("anything", key)
        assert not session.has_extn("starttls")
        assert hand_in(session, mail())[0] == 250


def test_no_handshake_is_lost_however_soon_it_begins(relay) -> None:
    def hello() -> int:
        with smtplib.SMTP_SSL("127.0.0.1", relay.tls_port, context=trusting(), timeout=20) as session:
            return session.ehlo()[0]

    for _ in range(12):
        assert world.together([hello] * 10) == [250] * 10


def test_each_recipient_of_the_envelope_gets_a_mail_and_bcc_stays_secret(relay, key, acme, sink) -> None:
    letter = mail(Cc=f"Lee <{LEE}>", Bcc="secret@hanbit.example")
    with client(relay, key) as session:
        code, reply = hand_in(session, letter, KIM, LEE, "secret@hanbit.example")
    assert (code, len(ids_in(reply))) == (250, 3)
    world.drain()
    assert sorted(one.recipients[0] for one in sink.accepted) == [KIM, LEE, "secret@hanbit.example"]
    kept = [one for one in sink.accepted if one.recipients != ["secret@hanbit.example"]]
    assert not any(b"secret" in one.content or b"bcc" in one.content.lower() for one in kept)


def test_a_mail_with_one_fault_leaves_nothing_for_any_recipient(relay, key) -> None:
    with client(relay, key) as session:
        code, text = hand_in(session, mail(X_Sendarix_Priority="urgent"), KIM, LEE)
    assert code == 550
    assert b"X-Sendarix-Priority: " in text
    assert Message.objects.count() == 0


def test_headers_of_ours_are_read_and_removed(relay, key, acme, sink) -> None:
    letter = mail(
        X_Sendarix_Metadata='{"order": "4711"}',
        X_Sendarix_Tag="orders, shop",
        X_Sendarix_Priority="high",
        X_Shop="Seoul",
    )
    with client(relay, key) as session:
        _, reply = hand_in(session, letter)
    shown = world.message(acme.live, ids_in(reply)[0])
    assert shown["metadata"] == {"order": "4711"}
    assert (shown["tags"], shown["priority"]) == (["orders", "shop"], "high")
    world.drain()
    assert b"X-Shop: Seoul\r\n" in sink.accepted[0].content
    assert b"x-sendarix" not in sink.accepted[0].content.lower()


def test_a_template_takes_the_place_of_the_mails_own_text(relay, key, acme, sink) -> None:
    acme.template()
    letter = mail(X_Sendarix_Template="otp-code", X_Sendarix_Data='{"code": "482913", "expires_in": "5 minutes"}')
    with client(relay, key) as session:
        assert hand_in(session, letter)[0] == 250
    world.drain()
    assert b"482913" in sink.accepted[0].content
    assert b"on its way" not in sink.accepted[0].content


def test_the_same_idempotency_key_gets_the_same_ids(relay, key) -> None:
    letter = mail(X_Idempotency_Key="order-4711")
    with client(relay, key) as session:
        first, again = hand_in(session, letter, KIM, LEE), hand_in(session, letter, LEE, KIM)
        other = hand_in(session, mail(X_Idempotency_Key="order-4711", X_Shop="other"), KIM, LEE)
    assert first == again
    assert Message.objects.count() == 2
    assert (other[0], b"This key was used for another payload" in other[1]) == (550, True)


def test_mails_that_come_together_are_answered_each_for_itself(relay, key, acme) -> None:
    letters = [mail(Subject=f"Order {number}") for number in range(12)] + [mail(From="a@elsewhere.example")] * 4
    sessions = [partial(handed_in_alone, relay, key, letter) for letter in letters]
    replies = world.together(sessions)
    assert [code for code, _ in replies] == [250] * 12 + [550] * 4
    kept = [Message.objects.get(id=ids_in(text)[0]).content.subject for _, text in replies[:12]]
    assert kept == [f"Order {number}" for number in range(12)]
    assert Message.objects.count() == 12


def test_a_mail_that_spoils_a_shared_commit_is_refused_alone(relay, key, acme, monkeypatch) -> None:
    accept = acceptance.accept

    def picky(caller, messages, *rest, **named):
        if any(message.subject == "Spoiled" for message in messages):
            raise DataError("no such text")
        return accept(caller, messages, *rest, **named)

    monkeypatch.setattr(acceptance, "accept", picky)
    who = submitting.login(key.encode(), "127.0.0.1")
    mails = [crlf(mail(Subject=subject)) for subject in ("First", "Spoiled", "Third")]
    replies = submitting.take([Mail(who, [KIM], [b"\r\n" + octets + b".\r\n"]) for octets in mails])
    assert [reply[:9] for reply in replies] == ["250 2.0.0", "451 4.3.0", "250 2.0.0"]
    assert Message.objects.count() == 2


def test_a_foreign_sender_domain_is_refused(relay, key, globex) -> None:
    assert refused(relay, key, mail(From="hello@globex.example")).startswith("550 5.7.1 From: globex.example is not")


def test_the_keys_own_domains_are_all_it_may_send_from(relay, acme) -> None:
    key = builders.api_key(acme.account, sender_domains=["shop.acme.example"])
    assert refused(relay, key, mail()).startswith("550 5.7.1 From: This key may not send from acme.example")


def test_a_key_without_the_scope_or_from_elsewhere_does_not_log_in(relay, acme) -> None:
    reader = builders.api_key(acme.account, scopes=["messages:read"])
    office = builders.api_key(acme.account, source_ips=["192.0.2.0/24"])
    for key in (reader, office, "sk_live_" + "x" * 40, ""):
        with client(relay, None) as session, pytest.raises(smtplib.SMTPAuthenticationError) as failure:
            session.login("anything", key)
        assert failure.value.smtp_code == 535


def test_a_key_revoked_in_the_middle_of_a_session_sends_no_more(relay, acme) -> None:
    key = builders.api_key(acme.account)
    with client(relay, key) as session:
        assert hand_in(session, mail())[0] == 250
        world.sql("UPDATE api_keys SET revoked_at = now() WHERE last4 = %s", key[-4:])
        assert hand_in(session, mail())[0] == 535


def test_each_mail_counts_as_a_request(relay, acme) -> None:
    world.sql("UPDATE accounts SET rate_limit = 3 WHERE id = %s", acme.account.pk)
    with client(relay, builders.api_key(acme.account)) as session:
        replies = [hand_in(session, mail())[0] for _ in range(4)]
    assert replies == [250, 250, 250, 451]


def test_guessing_ends_the_session(relay) -> None:
    with line(relay.port) as dialogue:
        dialogue.say("EHLO guesser.example")
        for _ in range(3):
            assert dialogue.say("AUTH PLAIN AGEAc2tfbGl2ZV94").startswith("535 5.7.8")
        assert dialogue.reply().startswith("421 4.7.0")


def test_a_password_is_taken_in_clear_only_where_the_setting_says_so(relay, key, settings) -> None:
    with client(relay, key, starttls=False) as session:
        assert hand_in(session, mail())[0] == 250
    settings.RELAY_PLAINTEXT_AUTH = "never"
    with line(relay.port) as dialogue:
        assert "AUTH" not in dialogue.say("EHLO app.acme.example")
        assert dialogue.say("AUTH PLAIN AGEAYg==").startswith("538 5.7.11")


def test_both_mechanisms_log_in_with_and_without_an_initial_answer(relay, key) -> None:
    for mechanism in ("PLAIN", "LOGIN"):
        for initial in (True, False):
            with client(relay, None) as session:
                session.ehlo()
                session.user, session.password = "anything", key
                method = session.auth_plain if mechanism == "PLAIN" else session.auth_login
                assert session.auth(mechanism, method, initial_response_ok=initial)[0] == 235


@pytest.mark.parametrize(
    "recipient", [KIM, "kim%hanbit.example@relay.sendarix.test", "@a.example:kim@hanbit.example", "root"]
)
def test_whoever_has_no_key_relays_nothing(relay, recipient: str) -> None:
    with line(relay.port) as dialogue:
        assert dialogue.begin(recipient, "hello@acme.example") == "530 5.7.0 Authentication required"
        assert dialogue.say("DATA").startswith("503 5.5.1")


def test_too_large_is_told_before_and_while_it_comes(relay, key, monkeypatch) -> None:
    monkeypatch.setattr("messaging.inbound.relay_session.SIZE", 100_000)
    with client(relay, key) as session:
        assert session.docmd("MAIL FROM:<> SIZE=100001")[0] == 552
        assert hand_in(session, crlf(mail()) + b"x" * 110_000)[:2] == (
            552,
            b"5.3.4 The mail has more than 100000 octets",
        )
        assert hand_in(session, mail())[0] == 250


def test_too_many_recipients_are_put_off(relay, key, settings) -> None:
    settings.RELAY_RECIPIENTS = 2
    with client(relay, key) as session:
        session.mail("")
        codes = [session.rcpt(f"user{number}@hanbit.example")[0] for number in range(3)]
    assert codes == [250, 250, 452]


def test_many_ids_are_counted_where_the_line_has_no_room(relay, key) -> None:
    with client(relay, key) as session:
        code, reply = hand_in(session, mail(), *(f"user{number}@hanbit.example" for number in range(40)))
    assert (code, len(ids_in(reply)), b"40 queued as" in reply, reply[-11:]) == (250, 14, True, b"and 26 more")
    assert Message.objects.count() == 40


def test_connections_have_a_limit_by_address_and_in_all(relay, settings) -> None:
    settings.RELAY_CONNECTIONS_PER_ADDRESS = 1
    with line(relay.port) as first:
        with line(relay.port) as second:
            assert second.greeting.startswith("421 4.7.0")
        settings.RELAY_CONNECTIONS = 1
        with line(relay.port) as third:
            assert third.greeting.startswith("421 4.3.2")
        assert first.say("NOOP").startswith("250")
    settings.RELAY_CONNECTIONS = 500
    world.until(lambda: not relay.relay._sessions)
    with line(relay.port) as again:
        assert again.greeting.startswith("220")


def test_a_silent_client_is_sent_away_while_others_are_served(relay, key, settings) -> None:
    settings.RELAY_AUTH_SECONDS = 0.3
    with line(relay.port) as silent:
        with client(relay, key) as session:
            assert hand_in(session, mail())[0] == 250
        assert silent.reply().startswith("421 4.7.0 Too slow")


def test_mails_being_received_have_a_limit_together(relay, key, settings) -> None:
    settings.RELAY_HELD_BYTES = 50_000
    with client(relay, key) as session:
        assert hand_in(session, crlf(mail()) + b"x" * 60_000)[0] == 452
        assert hand_in(session, mail())[0] == 250


def test_a_database_that_is_away_is_a_451_and_nothing_is_stored(relay, key, tmp_path) -> None:
    server = connection.settings_dict["HOST"], connection.settings_dict["PORT"]
    with client(relay, key) as session:
        assert hand_in(session, mail())[0] == 250
        connection.settings_dict.update(HOST=str(tmp_path), PORT="")
        world.cut_connections()
        try:
            code, text = hand_in(session, mail())
        finally:
            connection.settings_dict.update(HOST=server[0], PORT=server[1])
        assert (code, text[:6]) == (451, b"4.3.0 ")
        assert Message.objects.count() == 1
        assert hand_in(session, mail())[0] == 250


def test_a_full_queue_is_a_452(relay, key, monkeypatch) -> None:
    monkeypatch.setattr("messaging.capacity.full", lambda: True)
    assert refused(relay, key, mail()).startswith("452 4.3.1 ")


def test_a_mail_under_way_is_answered_when_the_relay_is_told_to_end(relay, key) -> None:
    with client(relay, key) as session, line(relay.port) as idle:
        session.mail("")
        session.rcpt(KIM)
        session.docmd("DATA")
        session.send(crlf(mail()))
        ending = world.in_background(relay.stop)
        assert idle.reply().startswith("421 4.3.2")
        time.sleep(0.1)
        session.send(b"\r\n.\r\n")
        code, reply = session.getreply()
        assert session.getreply()[0] == 421
        ending.result()
    assert code == 250
    assert Message.objects.filter(id__in=ids_in(reply)).count() == 1
