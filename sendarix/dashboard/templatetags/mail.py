"""What pages of mail say: texts with addresses as this person may see them, causes, phases of SMTP."""

import unicodedata

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from messaging.delivery.outcomes import Phase
from sendarix.dashboard import wording
from sendarix.dashboard.masking import masked_text
from sendarix.dashboard.pages import Visit

register = template.Library()

PHASES: dict[str, str | Promise] = {
    Phase.CLAIMED: gettext_lazy("claimed"),
    Phase.RESOLVING: gettext_lazy("look-up"),
    Phase.CONNECTING: gettext_lazy("connection"),
    Phase.GREETING: gettext_lazy("greeting"),
    Phase.EHLO: "EHLO",
    Phase.STARTTLS: "STARTTLS",
    Phase.AUTH: "AUTH",
    Phase.MAIL: "MAIL FROM",
    Phase.RCPT: "RCPT TO",
    Phase.DATA: "DATA",
    Phase.BODY: gettext_lazy("message"),
    Phase.DOT: gettext_lazy("final dot"),
    Phase.DONE: gettext_lazy("reply"),
}


@register.simple_tag(takes_context=True)
def private(context: template.Context, text: str | None, revealed: bool = False) -> str:
    """A text of somebody else, its addresses as this person may see them."""
    visit = context.get("visit")
    if revealed or (isinstance(visit, Visit) and visit.may("messages.unmasked")):
        return text or ""
    return masked_text(text or "")


@register.filter
def phase(name: str) -> str:
    return str(PHASES.get(name, name))


@register.filter
def cause(name: str) -> str:
    """A cause in the reader's language."""
    return wording.cause(name)


@register.filter
def tone(name: str) -> str:
    """The colour of a status."""
    return wording.TONES.get(name, ("", ""))[0]


@register.filter
def picture(name: str) -> str:
    return wording.TONES.get(name, ("", "info"))[1]


@register.filter
def status_word(name: str) -> str:
    return wording.status(name)


@register.filter
def unmarked(text: str) -> str:
    """For a window's title: without control characters and marks of direction, which would turn what stands around it."""
    return "".join(character for character in text if unicodedata.category(character) not in ("Cc", "Cf"))
