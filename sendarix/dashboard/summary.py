"""A message told in plain text, for a ticket or a chat: what support copies. Addresses are masked unless revealed."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from sendarix.dashboard import wording
from sendarix.dashboard.dossier import Dossier
from sendarix.dashboard.masking import masked_address, masked_text

MOST_TRIES = 6
LONGEST = 300


def of(found: Dossier, clock: Callable[[datetime], str], revealed: bool) -> str:
    """Lines of `name: value`, the sentence first."""
    content = found.message.content
    lines = [
        found.explanation.text,
        "",
        _line(_("Message"), found.message.id),
        _line(_("Status"), wording.status(str(found.message.status))),
        _line(_("To"), content.recipient if revealed else masked_address(content.recipient)),
        _line(_("From"), content.sender),
        _line(_("Subject"), content.shown_subject),
        _line(_("Template"), content.template or "–"),
        _line(_("Accepted"), clock(found.message.created_at)),
        _line(_("Request"), content.request_id),
    ]
    skipped = found.tries[:-MOST_TRIES]
    if skipped:
        lines.append(_line(_("Attempts"), _("%(count)s earlier ones left out") % {"count": len(skipped)}))
    lines += [_attempt(one, clock) for one in found.tries[-MOST_TRIES:]]
    text = "\n".join(lines)
    return text if revealed else masked_text(text)


def _line(name: str, value: str) -> str:
    return f"{name}: {value[:LONGEST]}"


def _attempt(one: dict[str, Any], clock: Callable[[datetime], str]) -> str:
    said = one["smtp"] or one["api"] or {}
    reply = " ".join(str(part) for part in (said.get("code"), said.get("enhanced"), said.get("text")) if part)
    where = one["mx"] or one["route"] or "–"
    told = (
        f"{clock(one['at'])}, {where}: {reply or wording.said(one['detail'] or '') or one['cause'] or one['verdict']}"
    )
    return _line(_("Attempt %(number)s") % {"number": one["number"]}, " ".join(told.split()))
