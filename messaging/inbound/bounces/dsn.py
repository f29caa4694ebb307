"""Delivery status notifications (RFC 3464, internationalised RFC 6533): the machine-readable fields, wherever in the
mail they stand."""

import re
from dataclasses import dataclass

from messaging.inbound.bounces import addresses, classes, reasons
from messaging.inbound.bounces.parts import Headers, Mail, fields_of
from messaging.inbound.bounces.reasons import Reason
from messaging.inbound.bounces.reports import Action, FailedRecipient

RECIPIENTS = 100
_OWN = ("final-recipient", "original-recipient", "action", "status", "diagnostic-code")
_EMBEDDED = re.compile(
    r"^(?:(?:final|original)-recipient|action|status|diagnostic-code)[ \t]*:[^\n]{1,400}\n"
    r"(?:(?:[\w-]{1,40}[ \t]*:|[ \t]{1,16}\S)[^\n]{0,1000}(?:\n|\Z)){1,20}",
    re.IGNORECASE | re.MULTILINE,
)
_KIND = re.compile(r"^[\w+.-]{1,40}\s{0,8};\s{0,8}")
_ACTIONS = (
    (Action.DELAYED, ("delay", "defer")),
    (Action.DELIVERED, ("deliver",)),
    (Action.RELAYED, ("relay",)),
    (Action.EXPANDED, ("expand",)),
    (Action.FAILED, ("fail", "expire", "undeliver", "bounce", "reject")),
)


@dataclass(frozen=True, slots=True)
class Status:
    """The fields of one report: those of the message, then those of each recipient."""

    message: Headers
    recipients: tuple[Headers, ...]


def read_status(mail: Mail) -> Status | None:
    """The first status fields of `mail` that name a recipient; None when there are none."""
    for fields in [part.decoded() for part in mail.parts if part.kind.endswith("delivery-status")] or _embedded(mail):
        status = _status(fields)
        if status.recipients:
            return status
    return None


def _embedded(mail: Mail) -> list[bytes]:
    """Fields within text: some gateways turn the part into plain text, and some mails could not be cut."""
    texts = [
        part.text() for part in mail.parts if part.kind.startswith(("text/plain", "multipart/", "application/octet"))
    ]
    found = ["\n\n".join(match.group() for match in _EMBEDDED.finditer(text)) for text in texts]
    return [fields.encode("utf-8", "replace") for fields in found if fields]


def _status(raw: bytes) -> Status:
    groups: list[list[tuple[str, str]]] = []
    for block in re.split(rb"\n[ \t]*\n", raw):
        for group in _split(fields_of(block)):
            _add(group, groups)
    mine = [Headers(group) for group in groups if _names(group) & set(_OWN)]
    if not any(fields.first("final-recipient") or fields.first("original-recipient") for fields in mine):
        return Status(Headers([]), ())
    others = [field for group in groups if not _names(group) & set(_OWN) for field in group]
    return Status(Headers(others + groups[0] if mine and not others else others), tuple(mine[:RECIPIENTS]))


def _split(fields: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """One group of fields a recipient: a repeated field begins the next."""
    groups: list[list[tuple[str, str]]] = [[]]
    for name, value in fields:
        if name in _OWN and name in _names(groups[-1]):
            groups.append([])
        groups[-1].append((name, value))
    return [group for group in groups if group]


def _add(group: list[tuple[str, str]], groups: list[list[tuple[str, str]]]) -> None:
    """A stray empty line may have cut a recipient's fields in two: what completes the last group joins it."""
    own = _names(group) & set(_OWN)
    last = _names(groups[-1]) & set(_OWN) if groups else set()
    if own and last and not own & last and not own & {"final-recipient", "original-recipient"}:
        groups[-1].extend(group)
    else:
        groups.append(group)


def _names(group: list[tuple[str, str]]) -> set[str]:
    return {name for name, _ in group}


def final_address(fields: Headers) -> str | None:
    return addresses.of_field(fields.first("final-recipient")) or _original(fields)


def recipient(fields: Headers, words: Reason, delayed: bool) -> FailedRecipient:
    """One recipient's fate. `words`: what the readable part says of it, used where the fields say nothing; `delayed`:
    what it says of the mail, used where there is neither action nor status."""
    final, original = addresses.of_field(fields.first("final-recipient")), _original(fields)
    status = classes.enhanced_in(fields.first("status"))
    action = _action(fields.first("action"), status, delayed)
    told = _told(fields) or words.text
    why = Reason(told, words.phase or classes.phase_in(told), words.whole)
    fault = reasons.fault(why, status, action is Action.FAILED)
    failing = action in (Action.FAILED, Action.DELAYED)
    return FailedRecipient(
        address=original or final,
        action=action,
        cause=fault.cause if failing else None,
        final=final if original and final != original else None,
        code=fault.code,
        enhanced=fault.enhanced,
        text=fault.text,
        remote_mta=_KIND.sub("", fields.first("remote-mta"))[:255] or None,
        doubtful=failing and fault.doubtful,
    )


def _told(fields: Headers) -> str:
    """The diagnostic, unless it is a bare number; else the remark beside the status."""
    said = _KIND.sub("", fields.first("diagnostic-code"))
    if re.search(r"[^\W\d_]", said):
        return said
    return fields.first("status").partition("(")[2].rstrip(") ")


def _original(fields: Headers) -> str | None:
    found = addresses.of_field(fields.first("original-recipient"))
    return found if found and "@" in found else None


def _action(value: str, status: str | None, delayed: bool) -> Action:
    value = value.strip().lower()
    for action, beginnings in _ACTIONS:
        if value.startswith(beginnings):
            return action
    if status:
        return {"2": Action.DELIVERED, "4": Action.DELAYED}.get(status[0], Action.FAILED)
    return Action.DELAYED if delayed else Action.FAILED
