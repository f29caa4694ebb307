"""What the reader makes of reports as mail systems send them. The samples in corpora/ are written for these tests
after the formats of the systems they are named for."""

from pathlib import Path

import pytest

from messaging.delivery.outcomes import Cause
from messaging.inbound.bounces.reading import read
from messaging.inbound.bounces.reports import Action, AutoReply, Bounce, FailedRecipient, Other, ReplyKind

CORPORA = Path(__file__).parent / "corpora"


def bounce(name: str) -> Bounce:
    report = read((CORPORA / f"{name}.eml").read_bytes())
    assert isinstance(report, Bounce), report
    return report


def only(name: str) -> FailedRecipient:
    (recipient,) = bounce(name).recipients
    return recipient


@pytest.mark.parametrize(
    ("name", "address", "cause"),
    [
        ("dsn-postfix", "jan@globex.example", Cause.MAILBOX_UNKNOWN),
        ("dsn-expired", "jan@globex.example", Cause.RETRIES_EXHAUSTED),
        ("dsn-as-text", "jan@globex.example", Cause.MAILBOX_FULL),
        ("dsn-wrapped", "jan@globex.example", Cause.MAILBOX_UNKNOWN),
        ("dsn-international", "김민지@globex.example", Cause.MAILBOX_UNKNOWN),
        ("exim", "jan@globex.example", Cause.AUTH),
        ("sendmail", "jan@globex.example", Cause.DNS),
        ("yahoo", "jan@globex.example", Cause.MAILBOX_DISABLED),
        ("domino", "jan@globex.example", Cause.MAILBOX_UNKNOWN),
        ("exchange-text", "jan@globex.example", Cause.TOO_LARGE),
        ("groupwise", "jan@globex.example", Cause.MAILBOX_FULL),
        ("naver", "minji@naver.example", Cause.MAILBOX_UNKNOWN),
        ("daum", "minji@hanmail.example", Cause.MAILBOX_FULL),
        ("rejected-by-agent", "jan@globex.example", Cause.MAILBOX_FULL),
    ],
)
def test_a_bounce_names_its_recipient_and_cause(name, address, cause):
    recipient = only(name)
    assert (recipient.address, recipient.cause) == (address, cause)
    assert recipient.permanent


def test_a_name_without_host_belongs_to_the_reporting_domain():
    assert only("aol").address == "jan@aol.com"


@pytest.mark.parametrize("name", ["dsn-delayed", "gmail-delay"])
def test_a_delay_is_not_permanent_and_kills_no_mailbox(name):
    recipient = only(name)
    assert recipient.action is Action.DELAYED
    assert not recipient.permanent
    assert not recipient.hard
    assert not recipient.dead_mailbox


def test_a_report_of_success_has_no_cause():
    recipient = only("dsn-delivered")
    assert (recipient.action, recipient.cause, recipient.permanent) == (Action.DELIVERED, None, False)


def test_a_forwarded_mail_bounces_for_the_address_it_was_sent_to():
    recipient = only("dsn-forwarded")
    assert (recipient.address, recipient.final) == ("jan@globex.example", "jan@new.example")


def test_recipients_of_one_report_have_fates_of_their_own():
    first, second = bounce("dsn-two").recipients
    assert (first.address, first.cause, first.permanent) == ("jan@globex.example", Cause.REPUTATION, True)
    assert (second.address, second.cause, second.permanent) == ("kim@globex.example", Cause.MAILBOX_FULL, False)


def test_recipients_of_one_letter_have_fates_of_their_own():
    causes = {one.address: one.cause for one in bounce("qmail").recipients}
    assert causes == {"jan@globex.example": Cause.MAILBOX_UNKNOWN, "kim@globex.example": Cause.MAILBOX_FULL}


def test_codes_text_and_hosts_are_kept():
    recipient = only("dsn-postfix")
    assert (recipient.code, recipient.enhanced, recipient.remote_mta) == (550, "5.1.1", "mail.globex.example")
    assert "User unknown" in recipient.text
    assert bounce("dsn-postfix").reporting_mta == "mx.globex.example"


@pytest.mark.parametrize(
    "name", ["dsn-postfix", "dsn-delivered", "dsn-international", "qmail", "sendmail", "dsn-as-text"]
)
def test_the_returned_mail_tells_its_message_id_and_return_path(name):
    original = bounce(name).original
    assert (original.message_id, original.return_path) == ("<msg_01@acme.example>", "b-1@bounce.acme.example")


def test_an_unknown_mailbox_is_dead_and_a_full_one_is_not():
    assert only("dsn-postfix").dead_mailbox
    assert not only("dsn-forwarded").dead_mailbox


def letter(words: str) -> bytes:
    head = "From: MAILER-DAEMON@globex.example\nTo: b-1@bounce.acme.example\nSubject: failure notice\n"
    return f"{head}\nYour message could not be delivered.\n\n<jan@globex.example>:\n{words}\n".encode()


@pytest.mark.parametrize(
    ("words", "cause", "dead"),
    [
        ("550 5.1.1 User unknown", Cause.MAILBOX_UNKNOWN, True),
        ("Remote host said: 550 User unknown (in reply to RCPT TO command)", Cause.MAILBOX_UNKNOWN, True),
        ("550 User unknown", Cause.MAILBOX_UNKNOWN, False),  # a filter may talk like that
        ("550 User unknown (in reply to end of DATA command)", Cause.POLICY, False),
        ("550 5.2.0 User unknown", Cause.POLICY, False),  # RFC 3463: the mailbox exists
        ("550 5.1.0 - Unknown address error 550-'5.7.1 blocked using zen.spamhaus.org'", Cause.REPUTATION, False),
        ("5.1.0 - Unknown address error 550-'5.7.1 Relay access denied'", Cause.RELAY_DENIED, False),
    ],
)
def test_a_mailbox_is_dead_only_if_nothing_speaks_against_it(words, cause, dead):
    (recipient,) = read(letter(words)).recipients
    assert (recipient.cause, recipient.dead_mailbox) == (cause, dead)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("reply-vacation", ReplyKind.VACATION),
        ("reply-vacation-unmarked", ReplyKind.VACATION),
        ("reply-vacation-korean", ReplyKind.VACATION),
        ("reply-vacation-german", ReplyKind.VACATION),
        ("reply-left", ReplyKind.OTHER),
        ("reply-challenge", ReplyKind.CHALLENGE),
        ("reply-read-receipt", ReplyKind.READ_RECEIPT),
    ],
)
def test_an_automatic_answer_is_no_bounce(name, kind):
    report = read((CORPORA / f"{name}.eml").read_bytes())
    assert isinstance(report, AutoReply), report
    assert report.kind is kind


@pytest.mark.parametrize("name", ["reply-ticket", "reply-person", "reply-parcel", "other-postmaster"])
def test_what_people_and_ticket_systems_write_is_no_bounce(name):
    assert isinstance(read((CORPORA / f"{name}.eml").read_bytes()), Other)


def test_a_redacted_address_leaves_the_cause():
    raw = (CORPORA / "dsn-postfix.eml").read_bytes().replace(b"jan@globex", b"ja...@globex")
    (recipient,) = read(raw).recipients
    assert (recipient.address, recipient.cause) == (None, Cause.MAILBOX_UNKNOWN)
