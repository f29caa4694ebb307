"""What a mail to the bounce domain is: the order in which its readers are asked. Pure; takes any bytes, raises
nothing, and is done in bounded time."""

from messaging.inbound.bounces import arf, autoreply, dsn, freeform, naming, notifications, parts, reasons, wording
from messaging.inbound.bounces.parts import Mail
from messaging.inbound.bounces.reports import Bounce, Other, Report
from messaging.inbound.bounces.wording import Reading


def read(raw: bytes) -> Report:
    """What `raw`, a whole mail in octets, reports.

    It is no proof of anything: whether the mail speaks of one of ours is told by the address it was sent to. Reads at most
    `parts.LOOKED_AT` octets. The envelope's sender counts if it is put first as `Return-Path:` (RFC 5321 section 4.4).
    """
    return read_mail(parts.cut(raw))


def read_mail(mail: Mail) -> Report:
    """As `read`, of a mail that is cut already."""
    news = notifications.read(mail) or arf.read(mail)
    if news:
        return news
    reading = wording.read(mail)
    status = dsn.read_status(mail)
    if status:
        return _notification(status, reading)
    if answer := autoreply.read(mail, reading.words):
        return answer
    if within := _within(mail):
        return within
    if _is_bounce(mail, reading):
        return Bounce(freeform.read(mail, reading), reading.original)
    if _may_be_bounce(mail) and (guessed := freeform.guess(mail, reading)):
        return Bounce(guessed, reading.original)
    return Other(mail.headers.words("subject")[:998])


def _notification(status: dsn.Status, reading: Reading) -> Bounce:
    delayed = wording.tells_delay(reading.words)
    alone = len(status.recipients) == 1
    failed = []
    for fields in status.recipients:
        words = reasons.about(dsn.final_address(fields), reading.words, alone)
        failed.append(dsn.recipient(fields, words, delayed))
    return Bounce(
        recipients=tuple(failed),
        original=reading.original,
        reporting_mta=status.message.first("reporting-mta").partition(";")[2].strip()[:255] or None,
        envelope_id=status.message.first("original-envelope-id")[:255] or None,
    )


def _is_bounce(mail: Mail, reading: Reading) -> bool:
    """Several signs must agree: people quote bounces, and mail systems send other mail too."""
    if mail.headers.first("x-failed-recipients"):
        return True
    words, subject = wording.tells_failure(reading.words), wording.subject_fails(mail)
    if wording.from_daemon(mail):
        if words or wording.tells_delay(reading.words):
            return True
        returned = reading.original.message_id is not None or naming.lists_recipients(reading.words)
        return returned and (subject or wording.from_named_daemon(mail))
    if not words or wording.is_answer(mail):
        return False
    return (subject or wording.from_nobody(mail)) and bool(naming.named(mail, reasons.lines_of(reading.words), reading))


def _may_be_bounce(mail: Mail) -> bool:
    return wording.from_daemon(mail) and wording.hints_failure(mail)


def _within(mail: Mail) -> Report | None:
    """A report forwarded as an attachment."""
    for part in mail.parts:
        if part.kind == "message/rfc822":
            inner = parts.cut(part.decoded())
            if inner.kind == "multipart/report" and inner.report_type == "delivery-status":
                status = dsn.read_status(inner)
                return _notification(status, wording.read(inner)) if status else None
    return None
