"""The relay's side of acceptance: who hands a mail in, and one message for each of its recipients, committed together. Runs in
the relay's threads, each with a connection of its own; knows no sockets."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from messaging import acceptance, capacity
from messaging.content import StorageUnavailable
from messaging.inbound import relay_replies, submissions
from messaging.inbound.submissions import Refused, Submission
from messaging.preparation import File, Prepared, prepare
from sendarix.accounts import keys, rate, request_log
from sendarix.accounts.keys import Caller
from sendarix.accounts.rate import Standing
from sendarix.accounts.request_log import Made
from sendarix.core import addresses, errors, ids
from sendarix.core.errors import (
    ApiError,
    FieldError,
    Forbidden,
    RateLimited,
    Unauthorized,
    Unavailable,
    ValidationFailed,
)

SCOPE = "messages:send"
RELAY = "relay"
"""What the request log calls the door; mails that share a commit share its entry, as they share the request id."""

FANOUT = 128 * 1024 * 1024
"""Octets of a mail times its recipients: each of them gets, and stores, a mail of its own."""

PAID = 10.0
"""Seconds for which the request counted at AUTH is that of the session's first mail."""


@dataclass(slots=True)
class Login:
    """A session's key. It is looked up again with each mail, so that a revoked one sends no more."""

    digest: str
    address: str
    caller: Caller
    paid_until: float


@dataclass(frozen=True, slots=True)
class Mail:
    """One handed in: by whom, for whom, and what came of it from CRLF to CRLF . CRLF, its dots still stuffed."""

    who: Login
    recipients: Sequence[str]
    chunks: list[bytes]
    came: float = field(default_factory=monotonic)


@dataclass(frozen=True, slots=True)
class _Ready:
    """What a mail becomes: a message for each of its recipients. `number` is its place among those taken with it."""

    number: int
    mail: Mail
    caller: Caller
    messages: list[Prepared]
    ticket: acceptance.Ticket | None


def login(password: bytes, address: str) -> Login | str:
    """The login of an API key shown as a password, or the reply that refuses it."""
    close_old_connections()
    try:
        digest = keys.digest_of_header(f"Bearer {password.decode('ascii', 'replace')}") or ""
        caller = _admit(digest, address)
        return Login(digest, address, caller, monotonic() + PAID)
    except RateLimited:
        return "454 4.7.0 This minute's requests are used up; try again later"
    except Forbidden as error:
        return relay_replies.line("535 5.7.8", error.message)
    except Exception as exception:
        reply = _told(exception)
        return reply if reply.startswith("535") else "454 4.7.0 Keys can't be looked up now; try again later"


def _admit(digest: str, address: str) -> Caller:
    admission = rate.admit(digest or None, address)
    if admission.window.over:
        raise RateLimited(admission.window.seconds_left)
    if admission.standing == Standing.ELSEWHERE:
        raise ApiError(code="source_ip_not_allowed")
    if admission.caller is None:
        raise Unauthorized("The password is no valid API key.")
    if SCOPE not in admission.caller.scopes:
        raise Forbidden(SCOPE)
    return admission.caller


def take(mails: Sequence[Mail]) -> list[str]:
    """Accept mails that came in together; a reply for each, which says 250 only after the commit. Those of one API key share one,
    but a mail with an idempotency key has its own, because its answer may be that of an earlier one. Raises nothing."""
    close_old_connections()
    shares: dict[object, list[_Ready]] = {}
    replies: dict[int, str] = {}
    for number, mail in enumerate(mails):
        found = _read(number, mail)
        if isinstance(found, _Ready):
            shares.setdefault(number if found.ticket else found.caller, []).append(found)
        else:
            replies[number] = found
    for ready in shares.values():
        replies |= _committed(ready)
    return [replies[number] for number in range(len(mails))]


def _read(number: int, mail: Mail) -> _Ready | str:
    """What is to be committed of the mail, or the reply that needs no commit."""
    try:
        found = _ready(number, mail, submissions.unstuffed(mail.chunks))
        if isinstance(found, str):
            _note(mail, found, made=Made(None, 0, replayed=True))
        return found
    except Refused as refused:
        return _note(mail, relay_replies.of_refused(refused))
    except Exception as exception:
        return _note(mail, _told(exception), errors.of(exception))


def _note(mail: Mail, reply: str, error: ApiError | None = None, request_id: str = "", made: Made | None = None) -> str:
    """Put a mail into the request log; the reply as it was."""
    if request_log.kept():
        caller = mail.who.caller
        request_log.note(
            request_log.Entry(
                id=request_id or ids.new("req"),
                at=datetime.now(UTC),
                account_id=caller.account_id,
                livemode=caller.livemode,
                key_id=caller.key_id,
                method=request_log.SMTP,
                route=RELAY,
                path=f"/{RELAY}",
                status=int(reply[:3]),
                code=error.code if error else None,
                faults=tuple((fault.field, fault.code) for fault in error.errors) if error else (),
                duration_ms=round((monotonic() - mail.came) * 1000, 1),
                source=mail.who.address,
                made=made,
            )
        )
    return reply


def _told(exception: Exception) -> str:
    error = errors.of(exception)
    if error.status >= 500 and error is not exception:
        errors.log(exception, ids.new("req"))
    if error.code == "database_unavailable":
        connection.close()
    return relay_replies.of_error(error)


def _ready(number: int, mail: Mail, raw: bytes) -> _Ready | str:
    who, recipients = mail.who, mail.recipients
    if monotonic() < who.paid_until:
        who.paid_until = 0.0
    else:
        who.caller = _admit(who.digest, who.address)
    if len(recipients) > 1 and len(raw) * len(recipients) > FANOUT:
        raise ApiError(f"A mail of this size can't go to {len(recipients)} recipients at once.", code="too_large")
    submission = submissions.read(raw)
    ticket = acceptance.ticket(_key(submission), submission.payload | {"recipients": sorted(recipients)})
    if capacity.full():
        return _as_before(who.caller, ticket, Unavailable(30, code="queue_full"))
    try:
        return _Ready(number, mail, who.caller, _prepared(who.caller, recipients, submission), ticket)
    except ValidationFailed as error:
        return _as_before(who.caller, ticket, error)


def _as_before(caller: Caller, ticket: acceptance.Ticket | None, error: ApiError) -> str:
    """What was accepted once is answered as then, whatever stands against it now. Raises the error for all others."""
    twin = acceptance.earlier(caller, ticket)
    if twin is None:
        raise error
    return relay_replies.queued(twin.body["message_ids"])


def _committed(ready: list[_Ready]) -> dict[int, str]:
    """Replies by number. When a shared commit fails by one of its mails, each is tried alone."""
    try:
        return _accepted(ready)
    except (OperationalError, InterfaceError) as error:
        reply = _told(error)
        return {one.number: _note(one.mail, reply, errors.of(error)) for one in ready}
    except Exception as exception:
        if len(ready) == 1:
            return {ready[0].number: _note(ready[0].mail, _told(exception), errors.of(exception))}
        return {number: reply for one in ready for number, reply in _committed([one]).items()}


def _accepted(ready: list[_Ready]) -> dict[int, str]:
    messages, request_id = [message for one in ready for message in one.messages], ids.new("req")
    try:
        answer = acceptance.accept(ready[0].caller, messages, ready[0].ticket, request_id, body_of=_body_of)
    except StorageUnavailable as error:
        raise Unavailable(30, code="storage_unavailable") from error
    except ValidationFailed as error:
        return {ready[0].number: _as_before(ready[0].caller, ready[0].ticket, error)}
    made = answer.body["message_ids"]
    reply = relay_replies.queued(made)
    _note(ready[0].mail, reply, None, request_id, Made(made[0], len(made), answer.replayed))
    if ready[0].ticket:
        return {ready[0].number: reply}
    return {one.number: relay_replies.queued([message.id for message in one.messages]) for one in ready}


def _body_of(bodies: list[dict[str, Any]]) -> dict[str, Any]:
    return {"message_ids": [body["message_id"] for body in bodies]}


def _prepared(caller: Caller, recipients: Sequence[str], submission: Submission) -> list[Prepared]:
    """One message for each recipient. All but the recipient is read once, whatever their number."""
    now, shown = datetime.now(UTC), [submission.mailboxes.get(one.lower(), one) for one in recipients]
    first = prepare(submission.payload | {"recipient": shown[0]}, caller, now)
    return [first, *(_copy(first, text) for text in shown[1:])]


def _copy(message: Prepared, recipient: str) -> Prepared:
    files = [File(file.filename, file.content_type, file.content_id, file.data) for file in message.files]
    return replace(
        message, id=ids.new("msg"), recipient=addresses.parse(recipient), recipient_text=recipient, files=files
    )


def _key(submission: Submission) -> str | None:
    key = submission.idempotency_key
    if key is not None and not (1 <= len(key) <= 255 and key.isascii() and key.isprintable() and " " not in key):
        fault = FieldError("Idempotency-Key", "invalid_value", "Must be 1 to 255 visible ASCII characters.")
        raise ValidationFailed([fault])
    return key


def trusts_plaintext(address: str) -> bool:
    """Whether AUTH may go in clear: from this machine, where RELAY_PLAINTEXT_AUTH says `loopback`."""
    return settings.RELAY_PLAINTEXT_AUTH == "loopback" and (address == "::1" or address.startswith("127."))
