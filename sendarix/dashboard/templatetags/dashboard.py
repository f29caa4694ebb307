"""What the pages' templates say in one word: icons, times, statuses, lengths of time, masked addresses."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.forms import BoundField
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sendarix.dashboard import wording
from sendarix.dashboard.masking import masked_address
from sendarix.dashboard.pages import Visit

register = template.Library()


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """A symbol of static/vendor/lucide.svg; with a label it is a picture, without one it is decoration."""
    href = f"{static('vendor/lucide.svg')}#{name}"
    if label:
        return format_html('<svg class="icon" role="img" aria-label="{}"><use href="{}"></use></svg>', label, href)
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}"></use></svg>', href)


@register.simple_tag(takes_context=True)
def moment(context: template.Context, at: datetime | None, show: str = "minute") -> SafeString | str:
    """A time in the account's zone, the exact one in UTC on hover. `show`: minute, hour, second, day, or ago."""
    if at is None:
        return "–"
    visit = context.get("visit")
    local = at.astimezone(ZoneInfo(visit.account.timezone) if isinstance(visit, Visit) else UTC)
    exact = at.astimezone(UTC)
    shown = wording.ago(at, timezone.now()) if show == "ago" else wording.clock(local, show, timezone.now())
    title = f"{exact:%Y-%m-%d %H:%M:%S}.{exact.microsecond // 1000:03d} UTC"
    return format_html('<time datetime="{}" title="{}">{}</time>', exact.isoformat(), title, shown)


@register.filter
def duration(value: timedelta | float | None) -> str:
    """A length of time as people say it: 850 ms, 4.2 s, 3 min, 5 h, 2 d."""
    if value is None:
        return "–"
    return wording.duration(value.total_seconds() if isinstance(value, timedelta) else float(value))


@register.inclusion_tag("dashboard/parts/status.html")
def status(name: str, label: str = "") -> dict[str, Any]:
    """A status as a badge: its own colour, picture and word."""
    tone, picture = wording.TONES.get(str(name), ("", ""))
    return {"tone": tone, "picture": picture, "label": label or wording.status(str(name))}


@register.inclusion_tag("dashboard/parts/field.html")
def field(bound: BoundField, help: str = "") -> dict[str, Any]:
    """One field of a form with its label, help and faults; faults are tied to the control for screen readers."""
    widget = bound.field.widget
    described = [f"{bound.auto_id}-help"] * bool(help or bound.help_text) + [f"{bound.auto_id}-errors"] * bool(
        bound.errors
    )
    attributes = {"aria-describedby": " ".join(described)} if described else {}
    if bound.errors:
        attributes["aria-invalid"] = "true"
    kind = getattr(widget, "input_type", "")
    many = kind in ("checkbox", "radio") and getattr(widget, "choices", None) is not None
    return {
        "field": bound,
        "control": bound.as_widget(attrs=attributes),
        "help": help or bound.help_text,
        "single_check": kind == "checkbox" and not many,
        "many": many,
    }


@register.filter
def percent(value: float | None, digits: int = 1) -> str:
    """A rate between 0 and 1 as a percentage; "–" when there is none."""
    if value is None:
        return "–"
    return f"{value * 100:.{digits}f}%"


@register.filter
def count(value: int | None) -> str:
    """A number with its thousands parted."""
    return "–" if value is None else f"{value:,}"


@register.simple_tag(takes_context=True)
def address(context: template.Context, value: str, revealed: bool = False) -> str:
    """An address as this person may see it."""
    visit = context.get("visit")
    if revealed or (isinstance(visit, Visit) and visit.may("messages.unmasked")):
        return value
    return masked_address(value)


@register.simple_tag(takes_context=True)
def may(context: template.Context, action: str) -> bool:
    """Whether this person may do it here: {% may "keys.write" as writes %}."""
    return context["visit"].may(action)


@register.simple_tag(takes_context=True)
def page(context: template.Context, name: str, *args: Any, **query: Any) -> str:
    """The address of another page of this account and environment; further words become its query."""
    return context["visit"].url(name, *args, **query)


@register.simple_tag
def tier(name: str) -> str:
    """A tier in the reader's language."""
    return str(wording.TIERS.get(name, name))


@register.simple_tag
def plan(name: str) -> str:
    """A plan in the reader's language."""
    return str(wording.PLANS.get(name, name))


@register.simple_tag
def route_kind(name: str) -> str:
    """What a route hands mail to, in the reader's language."""
    return str(wording.ROUTE_KINDS.get(name, name))


@register.filter
def said(text: str | None) -> str:
    """What a service says, in the reader's language."""
    return wording.said(text or "")


@register.filter
def actor_name(actor: str) -> str:
    """Who acted, as the audit log names them: a person's address, an operator's, a key, or a part of the system."""
    kind, _parted, rest = actor.partition(":")
    if rest and kind in wording.ACTORS:
        return rest
    return str(wording.ACTORS.get(actor, actor))


@register.filter
def actor_icon(actor: str) -> str:
    if actor.startswith("key_"):
        return "key-round"
    return {"user": "user", "operator": "shield"}.get(actor.partition(":")[0], "settings")


@register.filter
def milliseconds(value: float | None) -> str:
    return "–" if value is None else wording.duration(value / 1000)
