"""The words of the search language and how each reads its value. A value that can't be read is a ValueError that says what was
expected."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches

from messaging.models import Status, Tier
from sendarix.core import addresses

Value = str | int | datetime | timedelta | tuple[str | int, ...]

META = "meta."
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_span = re.compile(r"(\d{1,5})([smhdw])", re.ASCII).fullmatch
_date = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch
_moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII).fullmatch
_enhanced = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII).fullmatch
_cause = re.compile(r"[a-z][a-z_]{2,39}", re.ASCII).fullmatch

STATES = ("test", "live", "waiting", "stuck", "dead")
MISTAKEN = {
    "recipient": "to",
    "rcpt": "to",
    "sender": "from",
    "state": "status",
    "label": "tag",
    "priority": "tier",
    "since": "after",
    "until": "before",
    "error": "code",
    "metadata": "meta.KEY",
    "meta": "meta.KEY",
}
"""Words of other products, and ours for the same."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What times without a date or an offset are meant by."""

    now: datetime
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Word:
    """One word: how it reads a value, an example, and what it looks at in a few words."""

    read: Callable[[str, Clock], Value]
    example: str
    about: str


def hint(given: str, known: Iterable[str], after: str = "") -> str:
    """The known name nearest to one that isn't, or all of them; `after` is written behind the nearest."""
    known = list(known)
    near = get_close_matches(given.lower(), known, n=1, cutoff=0.6)
    return f"Did you mean {near[0]}{after}?" if near else f"There are {', '.join(known)}."


def _one(value: str, _: Clock) -> str:
    return value


def _folded(value: str, _: Clock) -> str:
    return value.lower()


def _domain(value: str, _: Clock) -> str:
    """The A-label form, as recipients are kept."""
    bare = value.lower().lstrip("@")
    return addresses.matching(f"x@{bare}").partition("@")[2] or bare


def _among(names: Mapping[str, int | str], refusal: str) -> Callable[[str, Clock], Value]:
    def read(value: str, _: Clock) -> Value:
        parts = value.lower().split(",")
        for part in parts:
            if part not in names:
                raise ValueError(refusal.format(value=repr(part), hint=hint(part, names)))
        return tuple(names[part] for part in parts)

    return read


def _state(value: str, _: Clock) -> str:
    if value.lower() not in STATES:
        raise ValueError(f"There is no is:{value}. {hint(value, STATES)}")
    return value.lower()


def _having(value: str, _: Clock) -> str:
    if value.lower() not in ("attachment", "attachments"):
        raise ValueError("The only one is has:attachment.")
    return "attachment"


def _code(value: str, _: Clock) -> int | str:
    """An SMTP or HTTP code, an enhanced one, or a cause of ours."""
    if value.isascii() and value.isdigit() and len(value) == 3:
        return int(value)
    if _enhanced(value) or _cause(value.lower()):
        return value.lower()
    raise ValueError("Expected a code like 550, an enhanced one like 5.1.1, or a cause like mailbox_full.")


def _time(value: str, clock: Clock) -> datetime:
    """A date (its first moment in the reader's zone), a time, or how long ago."""
    try:
        if span := _span(value.lower()):
            return clock.now - timedelta(**{_UNITS[span[2]]: int(span[1])})
        if _date(value) or _moment(value.upper()):
            at = datetime.fromisoformat(value.upper())
            return (at if at.tzinfo else at.replace(tzinfo=clock.zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("There is no such time.") from None
    raise ValueError("Expected a date like 2026-04-19, a time like 2026-04-19T14:30Z, or an age like 3h or 7d.")


def _duration(value: str, _: Clock) -> timedelta:
    if not (span := _span(value.lower())):
        raise ValueError("Expected a time like 30s, 5m or 2h.")
    return timedelta(**{_UNITS[span[2]]: int(span[1])})


_NO_STATUS, _NO_TIER = "There is no status {value}. {hint}", "There is no tier {value}. {hint}"

WORDS: dict[str, Word] = {
    "to": Word(_folded, "to:kim@example.com", "the recipient, or a part of it"),
    "from": Word(_folded, "from:billing@example.com", "the sender, or a part of it"),
    "domain": Word(_domain, "domain:naver.com", "the recipient's domain"),
    "subject": Word(_one, "subject:invoice", "a part of the subject"),
    "status": Word(_among({str(s): str(s) for s in Status}, _NO_STATUS), "status:bounced,deferred", "where it stands"),
    "template": Word(_one, "template:otp-code", "its template's key"),
    "tag": Word(_one, "tag:billing", "one of its tags"),
    "key": Word(_one, "key:key_01kpk3p5gz8v6c2m9x4t7q0rde", "the API key that sent it"),
    "route": Word(_one, "route:backup", "a route it was tried on"),
    "code": Word(_code, "code:550", "a reply code, an enhanced one, or a cause of an attempt"),
    "tier": Word(_among({tier.label: int(tier) for tier in Tier}, _NO_TIER), "tier:critical", "its priority"),
    "after": Word(_time, "after:2026-04-19", "created then or later"),
    "before": Word(_time, "before:7d", "created earlier"),
    "slower": Word(_duration, "slower:30s", "took longer from its time to its end"),
    "is": Word(_state, "is:waiting", "test, live, waiting, stuck (due for over 5 minutes) or dead"),
    "has": Word(_having, "has:attachment", "carries files"),
}
