"""Keyset pages of lists: an opaque cursor names the last row shown, so that new rows never shift a page."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sendarix.core.errors import BadRequest

MAX_CURSOR = 1000
_SEPARATOR = "\x1f"

Row = TypeVar("Row")


def encode_cursor(*parts: object) -> str:
    """An opaque, URL-safe text of the sort keys of one row; a part must not hold U+001F."""
    joined = _SEPARATOR.join(str(part) for part in parts)
    return base64.urlsafe_b64encode(joined.encode()).decode().rstrip("=")


def decode_cursor(text: str, n: int) -> list[str]:
    """The n parts of a cursor, from outside: convert them with `cursor_part`. Raises BadRequest (bad_cursor)."""
    try:
        if len(text) > MAX_CURSOR:
            raise ValueError("too long")
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        parts = raw.decode().split(_SEPARATOR)
    except (binascii.Error, ValueError):
        raise BadRequest(code="bad_cursor") from None
    if len(parts) != n or any("\x00" in part for part in parts):
        raise BadRequest(code="bad_cursor")
    return parts


def cursor_part(read: Callable[[str], Row], part: str) -> Row:
    """One part of a cursor as a number, time or id; what `read` refuses with ValueError is a bad_cursor."""
    try:
        return read(part)
    except (ValueError, OverflowError):
        raise BadRequest(code="bad_cursor") from None


def number(part: str) -> int:
    """A part of a cursor that is the number of a row; ValueError for what no bigint column can hold."""
    value = int(part)
    if not 0 <= value < 1 << 63:
        raise ValueError("out of range")
    return value


def page(
    rows: Sequence[Row], limit: int, cursor_of: Callable[[Row], str], shape: Callable[[Row], Any]
) -> dict[str, Any]:
    """The answer of a list call. `rows` holds up to limit + 1: the one too many says that there are more."""
    shown = rows[:limit]
    has_more = len(rows) > limit
    return {
        "data": [shape(row) for row in shown],
        "has_more": has_more,
        "next_cursor": cursor_of(shown[-1]) if has_more else None,
    }
