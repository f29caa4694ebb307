"""Public ids: a prefix and 26 sortable characters (48 bits of milliseconds, 80 bits of chance), as contract section 1 has it."""

import os
import threading
import time
from datetime import UTC, datetime

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ALPHABET = frozenset(ALPHABET)
_LENGTH = 26
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_lock = threading.Lock()
_last = 0


def new(prefix: str) -> str:
    """An id greater than every earlier one of this process, also within a millisecond."""
    global _last
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big") >> 1
    with _lock:
        if value <= _last:
            value = _last + 1
        _last = value
    return f"{prefix}_{_text(value)}"


def from_number(prefix: str, at: datetime, number: int) -> str:
    """The id of a numbered row: the same for the same row, sorted by its time and then its number."""
    return f"{prefix}_{_text(int(at.timestamp() * 1000) << 80 | number)}"


def floor(prefix: str, at: datetime) -> str:
    """Every id made at `at` or later is greater, every earlier one smaller."""
    return f"{prefix}_{_text(int(at.timestamp() * 1000) << 80)}"


def made_at(text: str) -> datetime:
    """When an id of `new` or `floor` was made, to the millisecond."""
    milliseconds = 0
    for character in text[-_LENGTH:-16]:
        milliseconds = milliseconds << 5 | ALPHABET.index(character)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def number_in(text: str, prefix: str) -> int | None:
    """The number of the row that `from_number` named so; None for any other text. Whoever looks the row up compares the whole
    id, because a caller can write any time in front of a number."""
    head, _, tail = text.partition(f"{prefix}_")
    if head or len(tail) != _LENGTH or not _ALPHABET.issuperset(tail):
        return None
    number = 0
    for character in tail[-16:]:  # 80 bits, behind the 50 of the time
        number = number << 5 | ALPHABET.index(character)
    return number if number >> 63 == 0 else None


def _text(value: int) -> str:
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])
