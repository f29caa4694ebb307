"""How pages say times, lengths of time and statuses, in the reader's language."""

from datetime import datetime

from django.conf import settings
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from sendarix.core import sayings
from sendarix.core.errors import ApiError

TONES: dict[str, tuple[str, str]] = {
    "scheduled": ("info", "calendar"),
    "queued": ("info", "clock"),
    "accepted": ("info", "send"),
    "sending": ("info", "send"),
    "delivered": ("good", "check"),
    "deferred": ("warn", "timer"),
    "bounced": ("bad", "x"),
    "suppressed": ("bad", "ban"),
    "canceled": ("", "x"),
    "expired": ("warn", "timer"),
    "complained": ("bad", "triangle-alert"),
    "unsubscribed": ("", "user-x"),
    "verified": ("good", "check"),
    "pending": ("warn", "clock"),
    "failed": ("bad", "x"),
    "closed": ("good", "check"),
    "open": ("bad", "x"),
    "half_open": ("warn", "clock"),
    "success": ("good", "check"),
    "succeeded": ("good", "check"),
    "waiting": ("info", "clock"),
    "running": ("info", "refresh-cw"),
    "done": ("good", "check"),
    "uncertain": ("warn", "triangle-alert"),
    "failing": ("warn", "triangle-alert"),
    "enabled": ("good", "check"),
    "disabled": ("", "pause"),
    "active": ("good", "check"),
    "revoked": ("bad", "x"),
    "broken": ("bad", "x"),
    "ok": ("good", "check"),
    "published": ("good", "check"),
    "draft": ("warn", "pencil"),
    "retired": ("", "history"),
    "missing": ("warn", "circle-alert"),
    "wrong": ("bad", "x"),
    "unchecked": ("", "clock"),
    "user_unsubscribed": ("", "user-x"),
    "hard_bounce": ("bad", "x"),
    "spam_complaint": ("bad", "triangle-alert"),
    "manual": ("info", "ban"),
    "created": ("good", "check"),
    "exists": ("", "check"),
    "error": ("bad", "x"),
}
"""Colour and picture of each status a badge may show."""

STATUSES: dict[str, str | Promise] = {
    "scheduled": gettext_lazy("scheduled"),
    "queued": gettext_lazy("queued"),
    "accepted": gettext_lazy("accepted"),
    "sending": gettext_lazy("sending"),
    "delivered": gettext_lazy("delivered"),
    "deferred": gettext_lazy("deferred"),
    "bounced": gettext_lazy("bounced"),
    "suppressed": gettext_lazy("suppressed"),
    "canceled": gettext_lazy("canceled"),
    "expired": gettext_lazy("expired"),
    "complained": gettext_lazy("complained"),
    "unsubscribed": gettext_lazy("unsubscribed"),
    "verified": gettext_lazy("verified"),
    "pending": gettext_lazy("pending"),
    "failed": gettext_lazy("failed"),
    "closed": gettext_lazy("closed"),
    "open": gettext_lazy("open"),
    "half_open": gettext_lazy("half open"),
    "success": gettext_lazy("success"),
    "succeeded": gettext_lazy("succeeded"),
    "waiting": gettext_lazy("waiting"),
    "running": gettext_lazy("running"),
    "done": gettext_lazy("done"),
    "uncertain": gettext_lazy("uncertain"),
    "failing": gettext_lazy("failing"),
    "enabled": gettext_lazy("enabled"),
    "disabled": gettext_lazy("disabled"),
    "active": gettext_lazy("active"),
    "revoked": gettext_lazy("revoked"),
    "broken": gettext_lazy("broken"),
    "ok": gettext_lazy("right"),
    "published": gettext_lazy("published"),
    "draft": gettext_lazy("draft"),
    "retired": gettext_lazy("replaced"),
    "missing": gettext_lazy("missing"),
    "wrong": gettext_lazy("wrong"),
    "unchecked": gettext_lazy("not checked"),
    "user_unsubscribed": gettext_lazy("unsubscribed"),
    "hard_bounce": gettext_lazy("hard bounce"),
    "spam_complaint": gettext_lazy("complaint"),
    "manual": gettext_lazy("by hand"),
    "created": gettext_lazy("added"),
    "exists": gettext_lazy("was there"),
    "error": gettext_lazy("refused"),
}

TIERS: dict[str, str | Promise] = {
    "critical": gettext_lazy("critical"),
    "high": gettext_lazy("high"),
    "normal": gettext_lazy("normal"),
    "low": gettext_lazy("low"),
}

PLANS: dict[str, str | Promise] = {"standard": gettext_lazy("Standard"), "enterprise": gettext_lazy("Enterprise")}

ROUTE_KINDS: dict[str, str | Promise] = {
    "smtp": gettext_lazy("Smarthost"),
    "provider": gettext_lazy("Provider"),
    "mx": gettext_lazy("Direct"),
    "inbox": gettext_lazy("Inbox"),
    "sandbox": gettext_lazy("Sandbox"),
}

ACTORS: dict[str, str | Promise] = {
    "user": gettext_lazy("a member"),
    "operator": gettext_lazy("the operator"),
    "delivery": gettext_lazy("delivery"),
    "expiry": gettext_lazy("its end was reached"),
    "domain-check": gettext_lazy("the domain check"),
    "alerts": gettext_lazy("an alert"),
    "retention": gettext_lazy("retention"),
    "webhooks": gettext_lazy("webhooks"),
}
"""Who acted, where the audit log names no key and no person."""


CAUSES: dict[str, str | Promise] = {
    "mailbox_unknown": gettext_lazy("No such mailbox"),
    "mailbox_full": gettext_lazy("Mailbox full"),
    "mailbox_disabled": gettext_lazy("Mailbox disabled"),
    "policy": gettext_lazy("Refused by policy"),
    "sender_domain_lost": gettext_lazy("Sender domain no longer yours"),
    "reputation": gettext_lazy("Sender's reputation"),
    "rate_limited": gettext_lazy("Too much at once"),
    "greylisted": gettext_lazy("Greylisting"),
    "connection": gettext_lazy("No connection"),
    "timeout": gettext_lazy("No answer in time"),
    "tls": gettext_lazy("TLS failed"),
    "auth": gettext_lazy("Login refused"),
    "dns": gettext_lazy("Not found in DNS"),
    "content": gettext_lazy("Content refused"),
    "too_large": gettext_lazy("Too large"),
    "protocol": gettext_lazy("Fault of protocol"),
    "smtputf8_unsupported": gettext_lazy("International address not supported"),
    "relay_denied": gettext_lazy("Relaying denied"),
    "uncertain": gettext_lazy("Hand-over uncertain"),
    "retries_exhausted": gettext_lazy("All attempts deferred"),
    "system": gettext_lazy("Fault of ours"),
    "other": gettext_lazy("Other"),
    "expired": gettext_lazy("Too late"),
    "hard_bounce": gettext_lazy("Hard bounce"),
    "spam_complaint": gettext_lazy("Spam complaint"),
    "user_unsubscribed": gettext_lazy("Unsubscribed"),
    "manual": gettext_lazy("Added by hand"),
}
"""Why mail did not arrive, or is not sent."""


def cause(name: str) -> str:
    """A cause in the reader's language; one unknown here as it is, without its underscores."""
    return str(CAUSES.get(name, name.replace("_", " ")))


def status(name: str) -> str:
    """A status in the reader's language; one unknown here as it is, without its underscores."""
    return str(STATUSES.get(name, name.replace("_", " ")))


def said(text: str) -> str:
    """What a service says, in the reader's language."""
    return sayings.said(text, get_language() or settings.LANGUAGE_CODE)


def refusal(refused: ApiError) -> str:
    """A service's refusal for a notice: its faults, without the names of fields, else its message."""
    faults = dict.fromkeys(fault.message for fault in refused.errors)
    return " ".join(map(said, faults or [refused.message]))


def clock(local: datetime, show: str, now: datetime) -> str:
    """A time in its own zone. `minute` leaves the date out today, `hour` and `second` keep both, `day` has no time."""
    if show == "day":
        return date_format(local, "Y-m-d")
    if show == "hour":
        return date_format(local, "Y-m-d H:i")
    if show == "second":
        return date_format(local, "Y-m-d H:i:s")
    today = local.date() == now.astimezone(local.tzinfo).date()
    return date_format(local, "H:i:s" if today else "Y-m-d H:i")


def duration(seconds: float) -> str:
    """850 ms, 4.2 s, 3 min 20 s, 5 h 10 min, 2 d 3 h; a negative one as its length."""
    seconds = abs(seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return _("%(n)s s") % {"n": f"{seconds:.1f}".removesuffix(".0")}
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return _pair(_("%(n)s min"), minutes, _("%(n)s s"), rest)
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return _pair(_("%(n)s h"), hours, _("%(n)s min"), minutes)
    days, hours = divmod(hours, 24)
    return _pair(_("%(n)s d"), days, _("%(n)s h"), hours)


def ago(at: datetime, now: datetime) -> str:
    """ "3 minutes ago", "in 4 minutes": one unit, whole."""
    seconds = (now - at).total_seconds()
    past, length = seconds >= 0, abs(seconds)
    if length < 60:
        number = round(length)
        words = ngettext("%(n)s second", "%(n)s seconds", number)
    elif length < 3600:
        number = round(length / 60)
        words = ngettext("%(n)s minute", "%(n)s minutes", number)
    elif length < 48 * 3600:
        number = round(length / 3600)
        words = ngettext("%(n)s hour", "%(n)s hours", number)
    else:
        number = round(length / 86400)
        words = ngettext("%(n)s day", "%(n)s days", number)
    length_words = words % {"n": number}
    return _("%(length)s ago") % {"length": length_words} if past else _("in %(length)s") % {"length": length_words}


def _pair(large_unit: str, large: int, little_unit: str, little: int) -> str:
    return large_unit % {"n": large} + (" " + little_unit % {"n": little} if little else "")
