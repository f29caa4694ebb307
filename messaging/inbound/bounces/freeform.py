"""Bounces meant for people: who failed and why, from the words alone."""

import logging
import re
from email.message import Message

from flufl.bounce import all_failures

from messaging.inbound.bounces import addresses, classes, naming, reasons, wording
from messaging.inbound.bounces.naming import Named
from messaging.inbound.bounces.parts import Mail
from messaging.inbound.bounces.reasons import Reason
from messaging.inbound.bounces.reports import Action, FailedRecipient
from messaging.inbound.bounces.wording import Reading

RECIPIENTS = 100
_GUESSED_FROM = 16 * 1024

_ALIAS = re.compile(
    r"\((?:expanded|(?:ultimately )?generated|originally addressed|originally|redirected|forwarded)"
    rf"(?: from| to)?\s?:?\s?<?({addresses.ADDRESS})",
    re.IGNORECASE,
)

logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)  # it logs every detector it runs


def read(mail: Mail, reading: Reading) -> tuple[FailedRecipient, ...]:
    """The recipients the words name, each with its reason; one without an address if none is named."""
    lines = reasons.lines_of(reading.words)
    action = Action.DELAYED if wording.tells_delay(reading.words) else Action.FAILED
    named = naming.named(mail, lines, reading)
    if named:
        return tuple(_recipient(one, named, lines, action) for one in named[:RECIPIENTS])
    return guess(mail, reading) or (_failed(None, None, about_all(reading), action),)


def guess(mail: Mail, reading: Reading) -> tuple[FailedRecipient, ...]:
    """Whom flufl.bounce finds: it knows some mail systems whose words follow no rule. It is shown bare lines only, never
    the mail."""
    shown = Message()
    for name in ("From", "Subject", "X-Mailer"):
        shown[name] = re.sub(r"[^ -~]", "?", mail.headers.first(name.lower())[:500])
    shown.set_payload("\n".join(reasons.lines_of(reading.words[:_GUESSED_FROM])))
    try:
        delayed, failed = all_failures(shown)
    except Exception:  # a guess at any text, by code of others: what fails has found nothing
        return ()
    why = about_all(reading)
    found = [(address, Action.FAILED) for address in failed] + [(address, Action.DELAYED) for address in delayed]
    told = [(address.decode("utf-8", "replace")[:320], action) for address, action in sorted(found)]
    return tuple(_failed(address, None, why, action) for address, action in told if "@" in address)[:RECIPIENTS]


def about_all(reading: Reading) -> Reason:
    text = "\n".join(reasons.lines_of(reading.words))
    return Reason(reasons.telling_part(text), classes.phase_in(text), text)


def _recipient(one: Named, named: list[Named], lines: list[str], action: Action) -> FailedRecipient:
    text = _text_of(one, named, lines)
    before = "\n".join(lines[max(one.start - 3, 0) : one.start])
    phase = classes.phase_in(text) or classes.phase_in(before)
    why = Reason(reasons.telling_part(text), phase, "\n".join(lines) if len(named) == 1 else text)
    alias = _ALIAS.search(text)
    return _failed(alias[1] if alias else one.address, one.address if alias else None, why, action)


def _text_of(one: Named, named: list[Named], lines: list[str]) -> str:
    """The lines that say why: its own, else those that mention it, else what follows the list, else all."""
    texts = (
        "\n".join(lines[one.start : max(one.end, one.start + 1)]),
        "\n".join(line for line in lines if one.address.lower() in line.lower()),
        "\n".join(lines[named[-1].start :]),
    )
    return next((text for text in texts if _tells(text, one.address)), "\n".join(lines))


def _tells(text: str, address: str) -> bool:
    rest = re.sub(re.escape(address), " ", text, flags=re.IGNORECASE)
    return len(re.findall(r"\w{2,}", rest)) >= 2


def _failed(address: str | None, final: str | None, why: Reason, action: Action) -> FailedRecipient:
    fault = reasons.fault(why, None, action is Action.FAILED)
    return FailedRecipient(
        address=address,
        action=action,
        cause=fault.cause,
        final=final,
        code=fault.code,
        enhanced=fault.enhanced,
        text=fault.text,
        doubtful=fault.doubtful,
    )
