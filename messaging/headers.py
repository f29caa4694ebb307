"""Custom headers of a message: which names are ours alone, what a value may hold, and the idempotency key
that callers put among them. Names follow RFC 5322 section 3.6.8; nothing passes that could start a new line.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sendarix.core.errors import FieldError

MAX_HEADERS = 50
MAX_NAME = 76  # characters, so that the name and one encoded word fit a line
MAX_VALUE = 4_096  # characters
MAX_TOTAL = 32_768  # octets of all names and values

RESERVED = frozenset(
    (
        "from",
        "to",
        "cc",
        "bcc",
        "sender",
        "reply-to",
        "subject",
        "date",
        "message-id",
        "mime-version",
        "received",
        "return-path",
        "received-spf",
        "delivered-to",
        "apparently-to",
        "dkim-signature",
        "domainkey-signature",
        "authentication-results",
    )
)
RESERVED_PREFIXES = ("arc-", "content-", "list-unsubscribe", "resent-", "x-sendarix-")
IDEMPOTENCY_NAMES = frozenset({"idempotency-key", "x-idempotency-key"})

_is_name = re.compile(r"[!-9;-~]+").fullmatch
_unsafe = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]").search


@dataclass(frozen=True, slots=True)
class CustomHeaders:
    """What the `headers` object of a request holds. `pairs` go into the mail when `faults` is empty;
    `idempotency_keys` are the distinct values found and never go out (two: the caller contradicts itself).
    """

    pairs: tuple[tuple[str, str], ...]
    idempotency_keys: tuple[str, ...]
    faults: tuple[FieldError, ...]


def read(headers: Mapping[str, str]) -> CustomHeaders:
    """Sort a `headers` object into what goes out, what names the request, and every fault."""
    keys = {value: None for name, value in headers.items() if name.lower() in IDEMPOTENCY_NAMES}
    pairs = tuple((n, v) for n, v in headers.items() if n.lower() not in IDEMPOTENCY_NAMES)
    faults = [fault for name, value in pairs for fault in _faults_of(name, value)]
    return CustomHeaders(pairs, tuple(keys), tuple(faults + _faults_together(pairs)))


def line_fault(text: str) -> str | None:
    """Why `text` cannot stand in one header line (a subject, a file name, a header value), or None."""
    found = _unsafe(text)
    if found is None:
        return None
    if found[0] in "\r\n":
        return "must not hold a line break"
    return f"must not hold the control character U+{ord(found[0]):04X}"


def _faults_of(name: str, value: str) -> list[FieldError]:
    field = f"headers.{name}" if _is_name(name) and len(name) <= MAX_NAME else "headers"
    faults = []
    if field == "headers":
        message = f"A header name is 1 to {MAX_NAME} printable ASCII characters without spaces and colons."
        faults.append(FieldError(field, "invalid_value", message))
    elif name.lower() in RESERVED or name.lower().startswith(RESERVED_PREFIXES):
        faults.append(FieldError(field, "reserved_header", f"{name} is set by Sendarix and cannot be given."))
    if reason := line_fault(value):
        faults.append(FieldError(field, "invalid_value", f"A header value {reason}."))
    elif not value.strip():
        faults.append(FieldError(field, "too_short", "A header value must not be empty."))
    if len(value) > MAX_VALUE:
        faults.append(FieldError(field, "too_long", f"A header value has at most {MAX_VALUE:,} characters."))
    return faults


def _faults_together(pairs: tuple[tuple[str, str], ...]) -> list[FieldError]:
    faults = []
    if len(pairs) > MAX_HEADERS:
        faults.append(FieldError("headers", "too_long", f"At most {MAX_HEADERS} custom headers are allowed."))
    elif sum(len(n) + len(v.encode(errors="replace")) for n, v in pairs) > MAX_TOTAL:
        message = f"All custom headers together have at most {MAX_TOTAL:,} octets."
        faults.append(FieldError("headers", "too_long", message))
    seen: set[str] = set()
    for name, _ in pairs:
        if name.lower() in seen:
            faults.append(FieldError(f"headers.{name}"[:100], "invalid_value", "This header is given twice."))
        seen.add(name.lower())
    return faults
