"""Why a mail failed, in the words of a report: the telling part of a text, and the fault it means."""

import re
from dataclasses import dataclass

from messaging.delivery.outcomes import Cause, Phase
from messaging.inbound.bounces import classes

LINES = 400
LINE = 1000
PLACES = 10
"""Mentions of an address that are looked at, with so many lines from each:"""
NEAR = 40

_REPLY = re.compile(r"(?<![\w.#/-])[45][0-5]\d(?:[- :;]|$)|\(?#[45]\.\d{1,3}\.\d{1,3}")
_SAID = re.compile(r"(?:\bsaid|returned was|response was|error was|server message)\s?:[\s'\"]*", re.IGNORECASE)
_CODED = re.compile(r"\s*(?:<<<\s*)?([45][0-5]\d)[- ]")
_COMMAND = re.compile(r"\s*(?:>>>|-{5,})")


@dataclass(frozen=True, slots=True)
class Reason:
    """`text`: the telling part; `phase`: the command that failed, if it is said; `whole`: all the words that speak of
    this recipient."""

    text: str
    phase: Phase | None
    whole: str


@dataclass(frozen=True, slots=True)
class Fault:
    """The fields of the same names of `FailedRecipient`."""

    cause: Cause
    code: int | None
    enhanced: str | None
    text: str
    doubtful: bool


def lines_of(words: str) -> list[str]:
    return [line[:LINE] for line in words.split("\n")[:LINES]]


def about(address: str | None, words: str, alone: bool) -> Reason:
    """Why `address` failed, out of all `words`; `alone`: there is no other recipient they could speak of."""
    lines = lines_of(words)
    starts = [number for number, line in enumerate(lines) if address and address.lower() in line.lower()]
    texts = ["\n".join(lines[start : start + NEAR]) for start in starts[:PLACES]] or ["\n".join(lines)]
    telling = next((text for text in texts if _REPLY.search(text.replace(address or "\0", ""))), texts[0])
    return Reason(telling_part(telling), classes.phase_in(telling), words if alone else "")


def fault(reason: Reason, status: str | None, failed: bool) -> Fault:
    """What `reason` means; `status`: the enhanced code told beside it (RFC 3464), `failed`: given up, not delayed.

    Where the telling part says nothing (5.5.0 is many servers' answer to anything), all the words are asked.
    """
    text = classes.unwrapped(reason.text)
    code, enhanced = classes.code_in(text), _more_telling(classes.enhanced_in(text), status)
    cause = classes.cause_of(code, enhanced, text, reason.phase, failed)
    if reason.whole and (cause is Cause.OTHER or (cause is Cause.PROTOCOL and enhanced == "5.5.0")):
        cause = classes.cause_of(None, None, reason.whole, reason.phase, failed)
    if cause is Cause.OTHER and "unavailable" in text.lower():
        cause = Cause.SYSTEM
    doubtful = cause is Cause.MAILBOX_UNKNOWN and code is not None and enhanced is None and reason.phase is None
    return Fault(cause, code, enhanced, text[: classes.TEXT_LIMIT], doubtful)


def _more_telling(said: str | None, status: str | None) -> str | None:
    """The server's own code, unless only the status field says what is wrong."""
    if said is None or (status and said.endswith(".0.0") and not status.endswith(".0.0")):
        return status
    return said


def telling_part(text: str) -> str:
    """The part of `text` that says why: its first SMTP reply if there is one, else its first paragraphs, in either case
    from where the other server is quoted."""
    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if _REPLY.search(line)), None)
    told = _replied(lines, first) if first is not None else _opening(text)
    quoted = _SAID.search(told)
    if quoted and told[quoted.end() :].strip():
        told = told[quoted.end() :]
    return told[: classes.TEXT_LIMIT].strip()


def _replied(lines: list[str], first: int) -> str:
    """The reply that begins in line `first`: to the paragraph's end or the next command or other reply."""
    start = _CODED.match(lines[first])
    taken = [lines[first]]
    for line in lines[first + 1 : first + 12]:
        other = _CODED.match(line)
        if not line.strip() or _COMMAND.match(line) or (start and other and other[1] != start[1]):
            break
        taken.append(line)
    return "\n".join(taken)


def _opening(text: str) -> str:
    return "\n".join(re.split(r"\n\s*\n", text.strip())[:4])
