"""The one family of refusals and the one JSON body of every 4xx and 5xx answer.

CODES is the whole vocabulary: an error with a code outside it can't be made, and /docs/errors shows it to customers."""

import logging
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404
from rest_framework.exceptions import APIException

RETRY_AFTER = 5
"""Seconds a caller is asked to wait when the database is away."""

READ_ONLY = "25006"
"""SQLSTATE of a write on a standby: the primary has moved."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Code:
    """One error code: its HTTP status, what it means, and what the caller can do."""

    status: int
    meaning: str
    remedy: str


CODES: dict[str, Code] = {
    "bad_request": Code(400, "The request could not be read.", "Correct what the message names."),
    "bad_json": Code(400, "The body is not a JSON object.", "Send one JSON object in UTF-8 (RFC 8259)."),
    "bad_query": Code(400, "The query string can't be read.", "Percent-encode values as UTF-8."),
    "bad_cursor": Code(400, "No list of ours gave this cursor.", "Pass next_cursor on unchanged."),
    "bad_host": Code(400, "The Host header names no host of ours.", "Use the published address."),
    "unauthorized": Code(401, "No valid API key was given.", "Send Authorization: Bearer with a valid key."),
    "forbidden": Code(403, "The request is not allowed.", "Ask the owner of the account."),
    "insufficient_scope": Code(403, "The key lacks a scope.", "Use a key with the scope the message names."),
    "live_key_required": Code(
        403,
        "The call changes what live mail depends on; a test key may only read it.",
        "Use a live key: domains, templates and routing are shared by both environments.",
    ),
    "source_ip_not_allowed": Code(
        403, "The key may not be used from this address.", "Call from an address on the key's list."
    ),
    "not_found": Code(
        404, "There is no such thing in this account and environment.", "Check the id, and live or test key."
    ),
    "not_cancelable": Code(404, "The message is being sent or has ended.", "Read the message for its status."),
    "method_not_allowed": Code(405, "The path has no such method.", "Use a method of the Allow header."),
    "conflict": Code(409, "The state of the thing is in the way.", "Read it again, then decide."),
    "idempotency_in_flight": Code(
        409, "The first request with this idempotency key is at work.", "Send it again after Retry-After."
    ),
    "too_large": Code(413, "The body is over 50 MiB.", "Send smaller attachments, or links to them."),
    "unsupported_media_type": Code(
        415, "The body is not declared as JSON.", "Send Content-Type: application/json, in UTF-8, uncompressed."
    ),
    "validation_failed": Code(422, "Fields of the request are wrong.", "Correct every field listed in errors."),
    "idempotency_key_reused": Code(
        422, "The idempotency key belongs to another request.", "Use a new key for a new request."
    ),
    "rate_limited": Code(
        429, "This minute's requests are used up.", "Wait for Retry-After seconds; see X-RateLimit-Reset."
    ),
    "internal_error": Code(500, "The fault is ours.", "Send it again; if it stays, tell us the request_id."),
    "database_unavailable": Code(
        503, "The database is away; nothing was accepted.", "Send it again after Retry-After seconds."
    ),
    "queue_full": Code(503, "Too many messages wait; nothing was accepted.", "Send it again after Retry-After."),
    "storage_unavailable": Code(
        503,
        "Attachments can't be stored now; nothing was accepted.",
        "Send it again after Retry-After seconds.",
    ),
    "busy": Code(503, "Too many large or slow requests at once.", "Send it again after Retry-After seconds."),
}

FIELD_CODES: dict[str, str] = {
    "required": "The field is missing.",
    "unknown_field": "No field or query parameter has this name.",
    "invalid_type": "The value has the wrong JSON type.",
    "invalid_value": "The type is right, the value is not.",
    "out_of_range": "The number or time is too small or too large.",
    "too_long": "Too many characters, octets or items.",
    "too_short": "Too few characters or items.",
    "not_found": "The field names something this account does not have.",
    "conflict": "Two fields can't be given together.",
    "sender_domain_not_allowed": "The key may not send from this domain.",
    "sender_domain_not_registered": "The domain is not one of the account's sender domains.",
    "sender_domain_not_verified": "The domain's DNS records have not been found right, and the account's policy asks for that.",
    "idempotency_key_reused": "The key belongs to another request; the message names its first message.",
    "not_available": "The field belongs to something that does not exist yet.",
    "repeated": "The query parameter may stand only once.",
    "reserved_header": "The header is set by Sendarix.",
    "url_not_allowed": "The URL leads to an address outside the open Internet.",
    "invalid_template": "The template has a fault of syntax.",
}
"""Codes of single faults inside `errors`."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of a request: `field` is a dotted path (`attachments.0.filename`), `code` one of FIELD_CODES."""

    field: str
    code: str
    message: str


class ApiError(Exception):
    """A refusal. Its status follows from the code; without a message the code's meaning is shown."""

    default_code = "internal_error"

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.code = code or self.default_code
        self.status = CODES[self.code].status
        self.message = message or CODES[self.code].meaning
        self.errors = list(errors)
        self.headers = dict(headers or {})
        super().__init__(self.message)


class BadRequest(ApiError):
    default_code = "bad_request"


class Unauthorized(ApiError):
    default_code = "unauthorized"

    def __init__(self, message: str = "") -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(ApiError):
    """A known key without the scope the call needs."""

    default_code = "insufficient_scope"

    def __init__(self, scope: str) -> None:
        super().__init__(f"This key lacks the scope {scope}.")


class NotFound(ApiError):
    default_code = "not_found"


class MethodNotAllowed(ApiError):
    default_code = "method_not_allowed"

    def __init__(self, allowed: Iterable[str]) -> None:
        methods = ", ".join(sorted(allowed))
        super().__init__(f"Use {methods}." if methods else "", headers={"Allow": methods})


class Conflict(ApiError):
    """Names another request or state in the way; `retry_after` in seconds when waiting helps."""

    default_code = "conflict"

    def __init__(self, message: str = "", *, code: str = "", retry_after: int | None = None) -> None:
        super().__init__(message, code=code, headers=_wait(retry_after))


class TooLarge(ApiError):
    default_code = "too_large"


class UnsupportedMediaType(ApiError):
    default_code = "unsupported_media_type"


class ValidationFailed(ApiError):
    """Readable, but wrong: `errors` holds every fault of the request."""

    default_code = "validation_failed"

    def __init__(self, errors: Sequence[FieldError] = (), *, code: str = "", message: str = "") -> None:
        super().__init__(message or _summary(errors), code=code, errors=errors)


class RateLimited(ApiError):
    """`retry_after` is in seconds, as the header has it."""

    default_code = "rate_limited"

    def __init__(self, retry_after: int) -> None:
        super().__init__(headers=_wait(retry_after))


class Unavailable(ApiError):
    """Not now: the database is away or there is no room. Nothing was kept of the request."""

    default_code = "database_unavailable"

    def __init__(self, retry_after: int = RETRY_AFTER, *, code: str = "", message: str = "") -> None:
        super().__init__(message, code=code, headers=_wait(retry_after))


def body(error: ApiError, request_id: str) -> dict[str, Any]:
    """The JSON of one error; `errors` is part of every 400 and 422, though maybe empty."""
    shown: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "request_id": request_id,
        "doc_url": f"/docs/errors#{error.code}",
    }
    if error.status in (400, 422):
        shown["errors"] = [
            {"field": fault.field, "code": fault.code, "message": fault.message} for fault in error.errors
        ]
    return {"error": shown}


def of(exception: Exception) -> ApiError:
    """The refusal that answers an exception, whoever raised it; what nobody foresaw becomes internal_error."""
    match exception:
        case ApiError():
            return exception
        case OperationalError() | InterfaceError():
            return Unavailable()
        case DatabaseError() if _state(exception.__cause__) == READ_ONLY:
            return Unavailable()
        case Http404():
            return NotFound()
        case PermissionDenied():
            return ApiError(code="forbidden")
        case RequestDataTooBig():
            return TooLarge()
        case SuspiciousOperation():
            return BadRequest()
        case APIException():
            return of_status(exception.status_code)
    return ApiError(code="internal_error")


def of_status(status: int) -> ApiError:
    """The plain refusal with this status, for answers that libraries made; others become 400 and 500."""
    plain = {code.status: name for name, code in reversed(CODES.items())}
    name = plain.get(status) or ("bad_request" if status < 500 else "internal_error")
    return Unauthorized() if name == "unauthorized" else ApiError(code=name)


def log(exception: Exception, request_id: str) -> None:
    """Log a fault of ours: classes and places only, because messages of exceptions may quote the request."""
    names = " from ".join(_chain(exception))
    frames = "".join(traceback.format_tb(exception.__traceback__))
    logger.error("%s failed: %s\n%s", request_id, names, frames)


def _chain(exception: BaseException | None) -> Iterable[str]:
    while exception is not None:
        state = _state(exception)
        yield type(exception).__qualname__ + (f"[{state}]" if state else "")
        exception = exception.__cause__ or exception.__context__


def _state(exception: BaseException | None) -> str | None:
    return getattr(exception, "pgcode", None)


def _wait(seconds: int | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(max(1, seconds))}


def _summary(errors: Sequence[FieldError]) -> str:
    if not errors:
        return ""
    first = f"{errors[0].field}: {errors[0].message}" if errors[0].field else errors[0].message
    return first if len(errors) == 1 else f"{first} ({len(errors)} faults in all; see errors.)"
