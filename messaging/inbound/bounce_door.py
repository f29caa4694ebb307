"""The door for what comes back to our bounce addresses: each mail is kept before its 250, then read, and done to the one message
its signed address names, in one transaction. A forged address changes nothing; a repeated or late report does no harm."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connection, transaction

from messaging import lifecycle
from messaging.delivery import verp
from messaging.inbound.bounces import parts, reading
from messaging.inbound.bounces.reports import AutoReply, Bounce, Complaint, FailedRecipient, FeedbackType, Report
from messaging.inbound.relay_replies import of_error
from messaging.inbound.submissions import unstuffed
from messaging.lifecycle import MOVES, Change
from messaging.models import DeadLetter, InboundMail, Message, Status
from sendarix.core import addresses, errors, ids
from suppressions import services as suppressions
from suppressions.models import Reason

logger = logging.getLogger(__name__)

LOOKED_AT = parts.LOOKED_AT
"""Octets of a mail that are kept; none further are ever read."""

MOST_REPORTS = 50
"""Mails kept about one message: whoever has its address has no more to say."""

KEPT = timedelta(days=30)
PATIENCE = timedelta(days=6)
"""How long a report waits for its message's delivery to be recorded: longer than any retry ladder of an uncertain one."""

BATCH = 100
ACTOR = "bounces"
_FIRST_LOOK = timedelta(seconds=10)
_LONGEST_WAIT = timedelta(hours=1)
_UNDER_WAY = (Status.SCHEDULED, Status.QUEUED, Status.ACCEPTED, Status.DEFERRED)
_COMPLAINTS = (FeedbackType.ABUSE, FeedbackType.FRAUD)


def message_of(address: str) -> str | None:
    """The message a bounce address of ours names; None for any other address and for a forged one."""
    return verp.read(address) if address.isascii() and len(address) <= addresses.MAX_ADDRESS else None


def looks_ours(address: str) -> bool:
    """Whether it is at the bounce domain, or made as our addresses are: unknown here rather than a relay attempt."""
    local, _, host = address.lower().rpartition("@")
    return local.startswith("b-") or (bool(settings.BOUNCE_DOMAIN) and host == settings.BOUNCE_DOMAIN)


def take(sender: str, message_ids: Sequence[str], chunks: list[bytes]) -> str:
    """Keep a mail about these messages; the reply says 250 only after the commit. Raises nothing."""
    close_old_connections()
    try:
        return _kept(sender, list(dict.fromkeys(message_ids)), unstuffed(chunks)[:LOOKED_AT])
    except Exception as exception:
        error = errors.of(exception)
        if error is not exception:
            errors.log(exception, ids.new("req"))
        connection.close()
        return of_error(error)


def _kept(sender: str, message_ids: list[str], raw: bytes) -> str:
    now = datetime.now(UTC)
    with transaction.atomic():
        for message_id in message_ids:
            if InboundMail.objects.filter(message_id=message_id).count() >= MOST_REPORTS:
                return "550 5.7.1 Enough has been said about this message"
        rows = [
            InboundMail(message_id=one, sender=sender[:320], raw=raw, received_at=now, due_at=now + _FIRST_LOOK)
            for one in message_ids
        ]
        InboundMail.objects.bulk_create(rows)
    return f"250 2.0.0 Ok: kept as {' '.join(str(row.pk) for row in rows)}"


@dataclass(frozen=True, slots=True)
class Step:
    """What a report means for its message: a `status` it gets if that may follow, a `suppression`, and what the row keeps."""

    kind: str
    verdict: str
    status: Status | None = None
    suppression: Reason | None = None
    reason: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


def handle_waiting() -> int:
    """Look at the mails whose time has come; returns how many were looked at. Several processes may do it at once."""
    now = datetime.now(UTC)
    waiting = InboundMail.objects.filter(due_at__lte=now).order_by("due_at").values_list("pk", flat=True)[:BATCH]
    looked_at = list(waiting)
    for pk in looked_at:
        handle(pk, now)
    return len(looked_at)


def handle_new(message_ids: Sequence[str]) -> None:
    """Look at what was just kept, without waiting for its time. Raises nothing: what fails here is looked at again."""
    close_old_connections()
    try:
        known = InboundMail.objects.filter(message_id__in=message_ids, looks=0).exclude(due_at=None)
        for pk in list(known.values_list("pk", flat=True)):
            handle(pk, datetime.now(UTC))
    except Exception as exception:
        errors.log(exception, ids.new("req"))
        connection.close()


def handle(pk: int, now: datetime) -> None:
    """Read one kept mail and do what it says, in one transaction; nothing if another process does it or has done it."""
    with transaction.atomic():
        found = InboundMail.objects.select_for_update(skip_locked=True).filter(pk=pk).exclude(due_at=None)
        mail = found.first()
        if mail is None:
            return
        step, waits = _look(mail, now)
        mail.looks, mail.kind = min(mail.looks + 1, 30_000), step.kind
        mail.result = {"verdict": "waits" if waits else step.verdict, **step.data}
        mail.due_at = now + min(_FIRST_LOOK * 2 ** min(mail.looks, 10), _LONGEST_WAIT) if waits else None
        mail.handled_at = None if waits else now
        mail.save(update_fields=["looks", "kind", "result", "due_at", "handled_at"])


def _look(mail: InboundMail, now: datetime) -> tuple[Step, bool]:
    """What was done, and whether it has to be tried again because the message's delivery is not recorded yet."""
    locked = Message.objects.select_for_update(of=("self",)).select_related("content")
    message = locked.filter(id=mail.message_id).first()
    report = reading.read(b"Return-Path: <" + mail.sender.encode() + b">\r\n" + bytes(mail.raw))
    if message is None:
        return Step(_kind(report), "unknown_message"), False
    step = judge(report, message.content.recipient_key)
    status = Status(message.status)
    acts = step.status is not None or step.suppression is not None
    if acts and status in _UNDER_WAY and now - mail.received_at < PATIENCE:
        return step, True
    if acts:
        _do(step, message, status)
    return step, False


def _do(step: Step, message: Message, status: Status) -> None:
    """A message that has bounced already keeps its record, so that a repeated report undoes no operator's removal."""
    repeated = step.status == status
    if step.suppression is not None and not repeated:
        content = message.content
        suppressions.suppress(
            message.account_id, message.livemode, content.recipient, content.recipient_key, step.suppression, message.id,
            actor=ACTOR,
        )  # fmt: skip
    if step.status is None or step.status not in MOVES[status] or status in _UNDER_WAY:
        return
    change = Change(
        message.id, status, step.status, message.fence, message.attempt, reason=step.reason, data=dict(step.data)
    )
    if lifecycle.record([change]) and step.status is Status.BOUNCED:
        cause = step.reason or "other"
        letter = {"account_id": message.account_id, "livemode": message.livemode, "cause": cause}
        DeadLetter.objects.get_or_create(message_id=message.id, defaults=letter | {"at": datetime.now(UTC)})


def judge(report: Report, recipient_key: str) -> Step:
    """What a report means for a message to `recipient_key`. Pure. Only what it says of this recipient counts."""
    kind = _kind(report)
    if isinstance(report, Bounce):
        return _of_bounce(kind, report, recipient_key)
    if isinstance(report, Complaint):
        return _of_complaint(kind, report, recipient_key)
    return Step(kind, "nothing")


def _of_bounce(kind: str, report: Bounce, recipient_key: str) -> Step:
    about = next((one for one in report.recipients if recipient_key in _keys(one.address, one.final)), None)
    if about is None and len(report.recipients) == 1 and not _keys(*_named(report.recipients[0])):
        about = report.recipients[0]  # the address it came to says whom it is about
    if about is None:
        return Step(kind, "other_recipient")
    if not about.permanent:
        return Step(kind, "soft" if about.cause else "nothing", data=_data(about, report))
    suppression = Reason.HARD_BOUNCE if about.dead_mailbox else None
    verdict = "hard_bounce" if suppression else "bounce"
    cause = str(about.cause or "other")
    return Step(kind, verdict, Status.BOUNCED, suppression, cause, _data(about, report))


def _of_complaint(kind: str, report: Complaint, recipient_key: str) -> Step:
    named = _keys(*report.recipients)
    if named and recipient_key not in named:
        return Step(kind, "other_recipient")
    data = {"detail": f"feedback report: {report.feedback_type}"}
    if report.feedback_type is FeedbackType.OPT_OUT:
        return Step(kind, "opt_out", Status.UNSUBSCRIBED, Reason.USER_UNSUBSCRIBED, data=data)
    if report.feedback_type in _COMPLAINTS:
        return Step(kind, "complaint", Status.COMPLAINED, Reason.SPAM_COMPLAINT, data=data)
    return Step(kind, "nothing", data=data)


def _named(recipient: FailedRecipient) -> tuple[str | None, str | None]:
    return recipient.address, recipient.final


def _keys(*texts: str | None) -> set[str]:
    """The addresses as they are matched; what can't be read as one is no address."""
    found = set()
    for text in texts:
        try:
            found.add(addresses.parse(text or "").key)
        except addresses.AddressError:
            continue
    return found


def _data(about: FailedRecipient, report: Bounce) -> dict[str, Any]:
    """What the event and the row tell: the reason, and the server's answer as far as the report has it."""
    data: dict[str, Any] = {"reason": str(about.cause or "other")}
    text = " ".join(about.text.replace("\0", "").split())[:1000]
    if about.code is not None:
        mx = about.remote_mta or report.reporting_mta
        data["smtp"] = {"code": about.code, "enhanced": about.enhanced, "text": text, "mx": mx}
    elif text:
        data["detail"] = text
    return data


def _kind(report: Report) -> str:
    match report:
        case Bounce():
            return "bounce"
        case Complaint():
            return "complaint"
        case AutoReply():
            return "auto_reply"
    return "other"


def forget_old() -> int:
    """Delete what was handled long ago; returns how many. For the housekeeping of one process."""
    with connection.cursor() as cursor:
        old = datetime.now(UTC) - KEPT
        cursor.execute("DELETE FROM inbound_mail WHERE due_at IS NULL AND received_at < %s", [old])
        return cursor.rowcount
