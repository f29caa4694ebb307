"""The relay's side of acceptance: who hands a mail in, and one message for each of its recipients, committed together. Runs in
the relay's threads, each with a connection of its own; knows no sockets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connection

from messaging import acceptance, capacity
from messaging.content import StorageUnavailable
from messaging.inbound import relay_replies, submissions
from messaging.inbound.submissions import Refused, Submission
from messaging.preparation import File, Prepared, prepare
from sendarix.accounts import keys, rate
from sendarix.accounts.keys import Caller
from sendarix.accounts.rate import Standing
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


def take(who: Login, recipients: Sequence[str], chunks: list[bytes]) -> str:
    """Accept a mail as received, with its dots still stuffed, for these recipients; the reply says 250 only after the commit.
    Raises nothing."""
    close_old_connections()
    try:
        return relay_replies.queued(_accepted(who, recipients, submissions.unstuffed(chunks)))
    except Refused as refused:
        return relay_replies.of_refused(refused)
    except Exception as exception:
        return _told(exception)


def _told(exception: Exception) -> str:
    error = errors.of(exception)
    if error.status >= 500 and error is not exception:
        errors.log(exception, ids.new("req"))
    if error.code == "database_unavailable":
        connection.close()
    return relay_replies.of_error(error)


def _accepted(who: Login, recipients: Sequence[str], raw: bytes) -> list[str]:
    if monotonic() < who.paid_until:
        who.paid_until = 0.0
    else:
        who.caller = _admit(who.digest, who.address)
    if len(recipients) > 1 and len(raw) * len(recipients) > FANOUT:
        raise ApiError(f"A mail of this size can't go to {len(recipients)} recipients at once.", code="too_large")
    submission = submissions.read(raw)
    ticket = acceptance.ticket(_key(submission), submission.payload | {"recipients": sorted(recipients)})
    answer = acceptance.earlier(who.caller, ticket) if capacity.full() else _work(who, recipients, submission, ticket)
    if answer is None:
        raise Unavailable(30, code="queue_full")
    return answer.body["message_ids"]


def _work(
    who: Login, recipients: Sequence[str], submission: Submission, ticket: acceptance.Ticket | None
) -> acceptance.Answer:
    try:
        messages = _prepared(who.caller, recipients, submission)
        return acceptance.accept(who.caller, messages, ticket, ids.new("req"), body_of=_body_of)
    except StorageUnavailable as error:
        raise Unavailable(30, code="storage_unavailable") from error
    except ValidationFailed:
        twin = acceptance.earlier(who.caller, ticket)  # what was accepted once is answered as then
        if twin is None:
            raise
        return twin


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
