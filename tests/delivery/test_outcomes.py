"""What replies of real servers mean: verdict, cause, and the wait they ask for."""

import time

import pytest

from messaging.delivery.outcomes import Cause, Outcome, Phase, Reply, Verdict
from messaging.delivery.replies import from_reply, parse_reply, retry_after

# (reply as sent, phase, verdict, cause)
REPLIES = [
    # mailboxes that do not exist
    (
        "550 5.1.1 <ghost@example.com>: Recipient address rejected: User unknown in local recipient table",
        "rcpt",
        "bounced",
        "mailbox_unknown",
    ),
    (
        "550-5.1.1 The email account that you tried to reach does not exist. Please try\n550 5.1.1 double-checking the address. https://support.google.com/mail/?p=NoSuchUser a1-2 - gsmtp",
        "rcpt",
        "bounced",
        "mailbox_unknown",
    ),
    (
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient ghost@example.com not found by SMTP address lookup",
        "rcpt",
        "bounced",
        "mailbox_unknown",
    ),
    (
        "550 5.4.1 Recipient address rejected: Access denied. [AM0EUR02FT012.eop-EUR02.prod.protection.outlook.com]",
        "rcpt",
        "bounced",
        "mailbox_unknown",
    ),
    ("550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", "rcpt", "bounced", "mailbox_unknown"),
    (
        "554 delivery error: dd This user doesn't have a yahoo.com account (ghost@yahoo.com) [0] - mta1234.mail.bf1.yahoo.com",
        "dot",
        "bounced",
        "mailbox_unknown",
    ),
    ("552 1 Requested mail action aborted, mailbox not found", "rcpt", "bounced", "mailbox_unknown"),
    ("550 5.1.1 RUSR 192.0.2.1: No such user: <ghost@hanmail.net>", "rcpt", "bounced", "mailbox_unknown"),
    ("550 5.1.1 No such user ghost@naver.com - nsmtp", "rcpt", "bounced", "mailbox_unknown"),
    ("550 No such user here", "rcpt", "bounced", "mailbox_unknown"),
    ("550 Mailbox not found. http://service.mail.qq.com/cgi-bin/help?subtype=1", "rcpt", "bounced", "mailbox_unknown"),
    (
        "550 Message was not accepted -- invalid mailbox. Local mailbox ghost@mail.ru is unavailable: user not found",
        "rcpt",
        "bounced",
        "mailbox_unknown",
    ),
    (
        "550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]",
        "rcpt",
        "bounced",
        "mailbox_unknown",
    ),
    ("551 5.1.6 recipient no longer on server", "rcpt", "bounced", "mailbox_unknown"),
    ("501 5.1.3 Bad recipient address syntax", "rcpt", "bounced", "mailbox_unknown"),
    ("550 5.7.1 550 User Unknown", "rcpt", "bounced", "mailbox_unknown"),
    ("551 not our customer", "rcpt", "bounced", "mailbox_unknown"),
    (
        "450 4.1.1 <ghost@example.com>: Recipient address rejected: unverified address: user unknown",
        "rcpt",
        "deferred",
        "mailbox_unknown",
    ),
    # mailboxes that are closed
    (
        "550-5.2.1 The email account that you tried to reach is disabled. Learn more at\n550 5.2.1 https://support.google.com/mail/?p=DisabledUser x - gsmtp",
        "rcpt",
        "bounced",
        "mailbox_disabled",
    ),
    ("550 5.1.1 <old@icloud.com>: inactive email address", "rcpt", "bounced", "mailbox_disabled"),
    ("550 5.1.1 Suspended user", "rcpt", "bounced", "mailbox_disabled"),
    ("550 Mailbox is frozen. See http://mail.i.ua/err/3/", "rcpt", "bounced", "mailbox_disabled"),
    ("554 5.2.1 Mailbox disabled, not accepting messages", "dot", "bounced", "mailbox_disabled"),
    # mailboxes that are full: permanent or not, the address stays good
    (
        "452-4.2.2 The email account that you tried to reach is over quota. Please direct\n452 4.2.2 the recipient to https://support.google.com/mail/?p=OverQuotaTemp - gsmtp",
        "rcpt",
        "deferred",
        "mailbox_full",
    ),
    (
        "552-5.2.2 The email account that you tried to reach is over quota and inactive.\n552 5.2.2 https://support.google.com/mail/?p=OverQuotaPerm - gsmtp",
        "rcpt",
        "bounced",
        "mailbox_full",
    ),
    ("550 5.2.2 <full@example.com>... Mailbox Full", "rcpt", "bounced", "mailbox_full"),
    ("522 5.2.0 Delivery failed: Over quota", "dot", "bounced", "mailbox_full"),
    ("552 Requested mail action aborted: exceeded storage allocation", "rcpt", "bounced", "mailbox_full"),
    # too large
    ("552 5.3.4 Message size exceeds fixed maximum message size", "mail", "bounced", "too_large"),
    (
        "552-5.3.4 Your message exceeded Google's message size limits. Please visit\n552 5.3.4 https://support.google.com/mail/?p=MaxSizeError - gsmtp",
        "dot",
        "bounced",
        "too_large",
    ),
    ("550 5.2.3 RESOLVER.RST.RecipSizeLimit; message too large for this recipient", "dot", "bounced", "too_large"),
    ("552 5.2.3 Message length exceeds limit set by recipient", "dot", "bounced", "too_large"),
    # too much, too fast
    (
        "421-4.7.28 Our system has detected an unusual rate of unsolicited mail originating\n421 4.7.28 from your IP address. - gsmtp",
        "dot",
        "deferred",
        "rate_limited",
    ),
    (
        "450-4.2.1 The user you are trying to contact is receiving mail too quickly.\n450 4.2.1 Please resend your message at a later time. - gsmtp",
        "rcpt",
        "deferred",
        "rate_limited",
    ),
    (
        "550 5.4.5 Daily user sending limit exceeded. https://support.google.com/mail/?p=UserSendingLimitExceeded - gsmtp",
        "dot",
        "bounced",
        "rate_limited",
    ),
    (
        "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1",
        "mail",
        "deferred",
        "rate_limited",
    ),
    (
        "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS77712344)",
        "mail",
        "deferred",
        "rate_limited",
    ),
    (
        "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. (S775)",
        "mail",
        "deferred",
        "rate_limited",
    ),
    ("432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded", "dot", "deferred", "rate_limited"),
    ("421 4.3.1 You send too many messages.", "mail", "deferred", "rate_limited"),
    ("421 4.4.5 CCRT 192.0.2.1: Connection refused. Server is busy(RT)", "mail", "deferred", "rate_limited"),
    ("452 4.5.3 Too many recipients", "rcpt", "deferred", "rate_limited"),
    (
        "421 4.1.0 192.0.2.1 Throttled - try again later. Please see http://postmaster.comcast.net/smtp-error-codes.php#RL000003",
        "mail",
        "deferred",
        "rate_limited",
    ),
    (
        "550 5.1.1 <kim@example.com> - 192.0.2.1 has sent to too many recipients this hour. IB607",
        "rcpt",
        "bounced",
        "rate_limited",
    ),
    # come back later
    (
        "450 4.2.0 <kim@example.com>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/example.com.html",
        "rcpt",
        "deferred",
        "greylisted",
    ),
    ("451 4.7.1 Greylisting in action, please come back in 00:05:00", "rcpt", "deferred", "greylisted"),
    ("421 4.7.0 [GL01] Message from (192.0.2.1) temporarily deferred", "mail", "deferred", "greylisted"),
    (
        "451 Internal resources are temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451",
        "rcpt",
        "deferred",
        "greylisted",
    ),
    # who we are
    (
        "550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal from this list please visit https://sender.office.com/",
        "rcpt",
        "bounced",
        "reputation",
    ),
    (
        "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150).",
        "mail",
        "bounced",
        "reputation",
    ),
    (
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
        "rcpt",
        "bounced",
        "reputation",
    ),
    (
        "550-5.7.1 [192.0.2.1 12] Our system has detected that this message is likely\n550 5.7.1 unsolicited mail. - gsmtp",
        "dot",
        "bounced",
        "reputation",
    ),
    (
        "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list",
        "mail",
        "bounced",
        "reputation",
    ),
    (
        "421 4.3.2 Your IP(192.0.2.1) is filtered and this connection will be closed. You must register your IP to http://realip.naver.com",
        "mail",
        "deferred",
        "reputation",
    ),
    ("421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred", "mail", "deferred", "reputation"),
    # authentication of the mail
    (
        "550-5.7.26 This mail has been blocked because the sender is unauthenticated. Gmail requires all\n550 5.7.26 senders to authenticate with either SPF or DKIM. - gsmtp",
        "dot",
        "bounced",
        "auth",
    ),
    ("550 5.7.25 The IP address sending this message does not have a PTR record setup", "dot", "bounced", "auth"),
    (
        "550 5.7.509 Access denied, sending domain example.com does not pass DMARC verification",
        "dot",
        "bounced",
        "auth",
    ),
    ("550 DMARC check failed. http://service.mail.qq.com/cgi-bin/help?subtype=1&&no=1001508", "dot", "bounced", "auth"),
    # what is in it
    (
        "552-5.7.0 This message was blocked because its content presents a potential\n552 5.7.0 security issue. - gsmtp",
        "dot",
        "bounced",
        "content",
    ),
    ("554 5.7.1 Message rejected as spam by Content Filtering.", "dot", "bounced", "content"),
    ("550 5.7.1 Message content rejected, UBE, id=00000-00-000", "dot", "bounced", "content"),
    (
        "554 DT:SPM 163 smtp12,EMCowABnT0, please see http://mail.163.com/help/help_spam_16.htm",
        "dot",
        "bounced",
        "content",
    ),
    ("552 5.6.0 Headers too large (3 max)", "dot", "bounced", "too_large"),
    ("554 5.6.1 Body type not supported by remote host", "dot", "bounced", "content"),
    # rules of the house
    (
        "554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes",
        "dot",
        "bounced",
        "policy",
    ),
    ("554 5.7.1 [CS01] Message rejected due to local policy.", "dot", "bounced", "policy"),
    ("550 5.7.1 RESOLVER.RST.AuthRequired; authentication required", "dot", "bounced", "policy"),
    ("554 5.7.1 <kim@example.com>: Recipient address rejected: Access denied", "rcpt", "bounced", "policy"),
    ("450 4.1.8 <hanbit@nowhere.example>: Sender address rejected: Domain not found", "rcpt", "deferred", "policy"),
    ("554 5.7.1 <kim@example.com>: Relay access denied", "rcpt", "bounced", "relay_denied"),
    ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "rcpt", "bounced", "relay_denied"),
    ("550 5.7.64 TenantAttribution; Relay Access Denied", "rcpt", "bounced", "relay_denied"),
    # our own credentials and line: never the recipient's fault
    ("530 5.7.0 Must issue a STARTTLS command first.", "mail", "deferred", "tls"),
    ("530 5.7.57 Client not authenticated to send mail.", "mail", "deferred", "auth"),
    ("535 5.7.8 Error: authentication failed", "auth", "deferred", "auth"),
    ("538 5.7.11 Encryption required for requested authentication mechanism", "auth", "deferred", "tls"),
    ("421 4.7.0 TLS required for RCPT domain, closing connection.", "rcpt", "deferred", "tls"),
    # machines in trouble
    ("451 4.3.0 Temporary system failure. Please try again later.", "dot", "deferred", "system"),
    ("452 4.3.1 Insufficient system storage", "mail", "deferred", "system"),
    ("451 4.3.5 Server configuration problem", "mail", "deferred", "system"),
    ("421 4.4.2 mx.example.com Error: timeout exceeded", "data", "deferred", "timeout"),
    ("421 mx.example.com Service not available, closing transmission channel", "mail", "deferred", "connection"),
    ("451 4.4.7 Delivery time expired", "dot", "deferred", "timeout"),
    ("554 5.4.6 Too many hops", "dot", "bounced", "protocol"),
    ("550 Host unknown", "rcpt", "bounced", "dns"),
    ("556 5.1.10 Recipient address has null MX", "rcpt", "bounced", "mailbox_unknown"),
    ("500 5.5.2 Error: bad syntax", "mail", "bounced", "protocol"),
    ("555 5.5.4 Unsupported option: SIZE", "mail", "bounced", "protocol"),
    (
        "553 5.6.7 Non-ASCII addresses not permitted for that sender/recipient",
        "mail",
        "bounced",
        "smtputf8_unsupported",
    ),
    ("550 no", "rcpt", "bounced", "other"),
    ("450 busy", "rcpt", "deferred", "other"),
]


def parsed(text: str) -> Reply:
    return parse_reply(int(text[:3]), text.encode())


@pytest.mark.parametrize("text", ["550 5.1.1 no such user", "550 mailbox unavailable", "553 5.2.1 account disabled"])
def test_what_is_said_of_a_mailbox_in_answer_to_mail_is_about_the_sender(text: str):
    assert from_reply(parsed(text), Phase.MAIL) == (Verdict.BOUNCED, Cause.POLICY)


@pytest.mark.parametrize(("text", "phase", "verdict", "cause"), REPLIES)
def test_a_reply_is_understood(text: str, phase: str, verdict: str, cause: str):
    assert from_reply(parsed(text), Phase(phase)) == (Verdict(verdict), Cause(cause))


@pytest.mark.parametrize("phase", [Phase.GREETING, Phase.EHLO, Phase.STARTTLS, Phase.AUTH])
def test_before_mail_even_a_permanent_refusal_only_defers(phase: Phase):
    refused = parsed("554 5.7.1 mx.example.com: you are blocked using zen.spamhaus.org")
    assert from_reply(refused, phase) == (Verdict.DEFERRED, Cause.REPUTATION)
    assert Outcome(Verdict.DEFERRED, Cause.REPUTATION, phase, refused).elsewhere


def test_a_good_reply_delivers_only_after_the_dot():
    assert from_reply(parsed("250 2.0.0 Ok: queued as 4F2B"), Phase.DOT) == (Verdict.DELIVERED, None)
    assert from_reply(parsed("250 2.1.0 Ok"), Phase.BODY) == (Verdict.DEFERRED, Cause.PROTOCOL)


@pytest.mark.parametrize("local", ["no-such-user", "spam", "mailbox-full", "over.quota", "greylisted", "user-unknown"])
def test_words_inside_an_address_are_not_taken_for_the_reason(local: str):
    reply = parsed(f"550 5.7.1 <{local}@example.com>: rejected, see {local}@example.com")
    assert from_reply(reply, Phase.RCPT) == (Verdict.BOUNCED, Cause.POLICY)


def test_only_a_mailbox_that_is_bad_for_good_is_dead():
    def dead(verdict: Verdict, cause: Cause) -> bool:
        return Outcome(verdict, cause, Phase.RCPT).dead_mailbox

    assert dead(Verdict.BOUNCED, Cause.MAILBOX_UNKNOWN)
    assert dead(Verdict.BOUNCED, Cause.MAILBOX_DISABLED)
    assert not dead(Verdict.BOUNCED, Cause.MAILBOX_FULL)
    assert not dead(Verdict.DEFERRED, Cause.MAILBOX_UNKNOWN)
    assert not dead(Verdict.BOUNCED, Cause.POLICY)


def test_every_line_of_a_reply_is_kept_without_its_codes():
    reply = parsed("550-5.1.1 The account does not exist.\n550-5.1.1\n550 5.1.1 Check the address.")
    assert reply == Reply(550, "5.1.1", "The account does not exist.\n\nCheck the address.")


def test_the_text_of_a_reply_is_safe_to_keep():
    reply = parse_reply(550, b"550 5.1.1 \x00bad\x1b[31m \xff\xfe \xec\x98\xa4\xeb\xa5\x98\t" + b"x" * 9000)
    assert reply.text.isprintable()
    assert "오류" in reply.text
    assert len(reply.text) == 4000


@pytest.mark.parametrize("piece", ["a", "user ", "<", "mailbox x ", "too many ", "1:", "ip ", "@", "not a "])
def test_a_hostile_reply_takes_no_time_to_read(piece: str):
    reply = parse_reply(450, b"450 " + (piece * 4000).encode())
    start = time.process_time()
    from_reply(reply, Phase.RCPT)
    retry_after(reply)
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("450 4.2.0 Greylisted, try again in 300 seconds", 300),
        ("450 4.7.1 Greylisted for 5 minutes", 300),
        ("451 4.7.1 Greylisting in action, please come back in 00:04:30", 270),
        ("451 please retry in 1 hour", 3600),
        ("421 4.7.0 Too many messages, try again after 90s", 90),
        ("450 4.2.0 please wait at least 2 min before the next try", 120),
        ("451 try again in 900 hours", 86400),
        ("451 4.3.0 try again later", None),
        ("450 4.2.0 queued in 5 slots for 192.0.2.1", None),
        ("550 5.7.1 try again in 5 minutes", None),
    ],
)
def test_the_wait_a_server_asks_for_is_read(text: str, seconds: float | None):
    assert retry_after(parsed(text)) == seconds
