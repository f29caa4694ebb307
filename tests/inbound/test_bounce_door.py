"""What comes back to a bounce address: kept before its 250, then done to the one message the address names."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from messaging.delivery import verp
from messaging.inbound import bounce_door
from messaging.models import DeadLetter, InboundMail
from suppressions.models import Suppression
from tests import world
from tests.inbound.relaying import KIM, RunningRelay, line

HOST = "bounces.sendarix.test"


def dsn(
    recipient: str = KIM, action: str = "failed", status: str = "5.1.1", text: str = "550 5.1.1 No such user here"
) -> bytes:
    return f"""From: Mail Delivery System <MAILER-DAEMON@mx.hanbit.example>
To: {HOST}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.hanbit.example

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Remote-MTA: dns; inner.hanbit.example
Diagnostic-Code: smtp; {text}

--b--
""".replace("\n", "\r\n").encode()


def arf(kind: str, recipient: str = "") -> bytes:
    named = f"Original-Rcpt-To: {recipient}\n" if recipient else ""
    return f"""From: feedback@hanbit.example
To: {HOST}
Subject: FW: Your order
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is an email abuse report.

--b
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Hanbit-FBL/1.0
Version: 1
{named}
--b
Content-Type: message/rfc822

From: hello@acme.example
Subject: Your order

x

--b--
""".replace("\n", "\r\n").encode()


VACATION = (
    b"From: kim@hanbit.example\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\n"
    b"I am away; delivery failed permanently is what nobody says here.\r\n"
)


@pytest.fixture
def sent(acme, sink) -> str:
    """A delivered message to Kim."""
    message_id = world.send(acme.live, recipient=KIM)
    world.drain()
    assert world.status(acme.live, message_id) == "delivered"
    return message_id


@pytest.fixture
def report(relay: RunningRelay) -> Callable[..., str]:
    """Hands a mail in as another mail server does; the reply to its data, or to what was refused before. When it was taken,
    it has been looked at once."""

    def hand_in(message_id: str, raw: bytes, address: str = "", sender: str = "") -> str:
        with line(relay.port) as dialogue:
            told = dialogue.begin(address or verp.address(message_id, HOST), sender)
            if not told.startswith("354"):
                return told
            reply = dialogue.say(raw.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        if reply.startswith("250"):
            world.until(lambda: InboundMail.objects.order_by("pk").last().looks > 0)
        return reply

    return hand_in


def reasons() -> list[str]:
    return list(Suppression.objects.values_list("reason", flat=True))


def verdict() -> str:
    return InboundMail.objects.latest("pk").result["verdict"]


def test_a_hard_bounce_moves_the_message_and_suppresses_its_recipient(report, acme, sent: str) -> None:
    assert report(sent, dsn()).startswith("250 2.0.0 Ok: kept as ")
    shown = world.message(acme.live, sent)
    assert shown["status"] == "bounced"
    event = shown["events"][-1]
    assert (event["type"], event["data"]["reason"]) == ("message.bounced", "mailbox_unknown")
    assert event["data"]["smtp"] == {
        "code": 550, "enhanced": "5.1.1", "text": "550 5.1.1 No such user here", "mx": "inner.hanbit.example",
    }  # fmt: skip
    assert reasons() == ["hard_bounce"]
    assert DeadLetter.objects.get().cause == "mailbox_unknown"


def test_a_full_mailbox_bounces_the_message_only(report, acme, sent: str) -> None:
    report(sent, dsn(status="5.2.2", text="552 5.2.2 Mailbox full, over quota"))
    assert world.status(acme.live, sent) == "bounced"
    assert reasons() == []


def test_a_delay_changes_nothing(report, acme, sent: str) -> None:
    report(sent, dsn(action="delayed", status="4.4.1", text="451 4.4.1 connection timed out"))
    assert world.status(acme.live, sent) == "delivered"
    assert (verdict(), reasons()) == ("soft", [])


def test_a_bounce_of_somebody_else_changes_nothing(report, acme, sent: str) -> None:
    report(sent, dsn(recipient="lee@elsewhere.example"))
    assert world.status(acme.live, sent) == "delivered"
    assert (verdict(), reasons()) == ("other_recipient", [])


@pytest.mark.parametrize(
    ("raw", "status", "reason"),
    [
        (arf("abuse"), "complained", "spam_complaint"),
        (arf("abuse", KIM), "complained", "spam_complaint"),
        (arf("opt-out"), "unsubscribed", "user_unsubscribed"),
        (arf("not-spam"), "delivered", None),
        (arf("auth-failure"), "delivered", None),
        (arf("abuse", "lee@elsewhere.example"), "delivered", None),
        (VACATION, "delivered", None),
        (b"From: kim@hanbit.example\r\nSubject: Re: Your order\r\n\r\nThank you\r\n", "delivered", None),
    ],
)
def test_complaints_and_answers(report, acme, sent: str, raw: bytes, status: str, reason: str | None) -> None:
    assert report(sent, raw, sender="feedback@hanbit.example").startswith("250")
    assert world.status(acme.live, sent) == status
    assert reasons() == ([reason] if reason else [])


def test_a_forged_or_unknown_address_is_refused_and_keeps_nothing(report, acme, sent: str) -> None:
    address = verp.address(sent, HOST)
    place = address.index("@") - 1
    forged = address[:place] + ("a" if address[place] != "a" else "b") + address[place + 1 :]
    for wrong in (forged, f"b-{sent}@{HOST}", f"postmaster@{HOST}"):
        assert report(sent, dsn(), address=wrong).startswith("550 5.1.1")
    assert InboundMail.objects.count() == 0
    assert world.status(acme.live, sent) == "delivered"


def test_a_return_path_of_a_customers_domain_is_ours_too(report, acme, sent: str) -> None:
    assert report(sent, dsn(), address=verp.address(sent, "bounces.acme.example").upper()).startswith("250")
    assert world.status(acme.live, sent) == "bounced"


def test_the_same_bounce_again_does_not_undo_an_operators_word(report, acme, sent: str) -> None:
    report(sent, dsn())
    Suppression.objects.all().delete()
    report(sent, dsn())
    assert world.story(acme.live, sent).count("bounced") == 1
    assert reasons() == []


def test_a_bounce_after_a_complaint_suppresses_and_moves_nothing(report, acme, sent: str) -> None:
    report(sent, arf("abuse"))
    report(sent, dsn())
    assert world.status(acme.live, sent) == "complained"
    assert reasons() == ["spam_complaint"]


def test_a_bounce_that_overtakes_its_delivery_waits_for_it(report, acme, sink) -> None:
    message_id = world.send(acme.live, recipient=KIM)
    report(message_id, dsn())
    assert (world.status(acme.live, message_id), verdict(), reasons()) == ("queued", "waits", [])
    world.drain()
    world.sql("UPDATE inbound_mail SET due_at = now() - interval '1 second'")
    assert bounce_door.handle_waiting() == 1
    assert world.status(acme.live, message_id) == "bounced"
    assert bounce_door.handle_waiting() == 0


def test_what_the_relay_did_not_get_to_is_handled_later(acme, sent: str) -> None:
    early = datetime.now(UTC) - timedelta(minutes=1)
    InboundMail.objects.create(message_id=sent, sender="", raw=dsn(), received_at=early, due_at=early)
    both = world.together([bounce_door.handle_waiting] * 2)
    assert sum(both) >= 1
    assert world.story(acme.live, sent).count("bounced") == 1


def test_a_report_on_a_test_message_stays_in_its_environment(report, acme, sent: str) -> None:
    message_id = world.send(acme.test, recipient=KIM)
    world.drain()
    report(message_id, dsn())
    assert world.status(acme.test, message_id) == "bounced"
    assert world.status(acme.live, sent) == "delivered"
    assert list(Suppression.objects.values_list("livemode", flat=True)) == [False]


def test_somebody_who_repeats_a_bounce_fills_no_disk(report, sent: str, monkeypatch) -> None:
    monkeypatch.setattr(bounce_door, "MOST_REPORTS", 2)
    replies = [report(sent, dsn())[:9] for _ in range(3)]
    assert replies == ["250 2.0.0", "250 2.0.0", "550 5.7.1"]


def test_only_the_part_of_a_bounce_that_is_read_is_kept(report, acme, sent: str) -> None:
    assert report(sent, dsn() + b"x" * 2_000_000 + b"\r\n").startswith("250")
    assert len(InboundMail.objects.get().raw) == bounce_door.LOOKED_AT
    assert world.status(acme.live, sent) == "bounced"


def test_a_bounce_of_a_message_that_is_gone_is_kept_and_done(report, sent: str) -> None:
    world.sql("DELETE FROM messages")
    assert report(sent, dsn()).startswith("250")
    assert (verdict(), InboundMail.objects.get().due_at) == ("unknown_message", None)


def test_handled_mail_is_thrown_away_after_its_time(report, sent: str) -> None:
    report(sent, dsn())
    assert bounce_door.forget_old() == 0
    world.sql("UPDATE inbound_mail SET received_at = now() - interval '31 days'")
    assert bounce_door.forget_old() == 1
