"""What the relay says: reply lines with enhanced status codes (RFC 3463, RFC 5321 section 4.2) out of the API's refusals. A
line has at most 512 octets, all of them printable ASCII."""

import re
from collections.abc import Sequence

from messaging.inbound.submissions import FIELDS, Refused
from sendarix.core.errors import ApiError, FieldError

LONGEST = 510
"""Octets of a line without its CRLF (RFC 5321 section 4.5.3.1.5)."""
FAULTS = 5

SENDER_FAULTS = ("sender_domain_not_allowed", "sender_domain_not_registered", "sender_domain_not_verified")
_CODES = {
    "insufficient_scope": "550 5.7.1",
    "unauthorized": "535 5.7.8",
    "source_ip_not_allowed": "535 5.7.8",
    "rate_limited": "451 4.7.1",
    "idempotency_in_flight": "451 4.3.0",
    "database_unavailable": "451 4.3.0",
    "queue_full": "452 4.3.1",
    "storage_unavailable": "452 4.3.1",
    "busy": "452 4.3.1",
    "internal_error": "451 4.3.0",
    "too_large": "552 5.3.4",
}
_UNPRINTABLE = re.compile(r"[^ -~]")


def line(code: str, text: str) -> str:
    """`code` is the reply code and the status, `550 5.7.1`."""
    return _UNPRINTABLE.sub("?", f"{code} {text}")[:LONGEST]


def of_error(error: ApiError) -> str:
    """One line per fault, FAULTS at most, each with the field's name; one reply code for all."""
    if not error.errors:
        return line(_CODES.get(error.code, "554 5.6.0" if error.status < 500 else "451 4.3.0"), error.message)
    code = _code_of(error.errors)
    texts = [f"{_name(fault.field)}: {fault.message}" for fault in error.errors[:FAULTS]]
    if len(error.errors) > FAULTS:
        texts[-1] = f"and {len(error.errors) - FAULTS + 1} faults more"
    *heads, last = [line(code, text) for text in texts]
    return "\r\n".join([*(f"{head[:3]}-{head[4:]}" for head in heads), last])


def _code_of(faults: Sequence[FieldError]) -> str:
    if any(fault.code in SENDER_FAULTS for fault in faults):
        return "550 5.7.1"
    if all(fault.field in ("text", "html") and fault.code == "too_long" for fault in faults):
        return "552 5.3.4"
    return "550 5.6.0"


def _name(field: str) -> str:
    root, dot, rest = field.partition(".")
    return f"{FIELDS[root]}{dot}{rest}" if root in FIELDS else field


def of_refused(refused: Refused) -> str:
    return line(f"554 {refused.status}", refused.text)


def queued(ids: Sequence[str]) -> str:
    """The 250 of accepted messages; ids that the line has no room for are counted."""
    whole = line("250 2.0.0", f"Ok: queued as {' '.join(ids)}")
    if len(whole) < LONGEST:
        return whole
    shown = ids[:14]
    return line("250 2.0.0", f"Ok: {len(ids)} queued as {' '.join(shown)} and {len(ids) - len(shown)} more")
