"""What pages with figures say: how one stands to the period before, alerts in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from analytics.alerts.metrics import Compare, Metric
from analytics.alerts.wording import amount
from analytics.models import Alert, AlertRule
from sendarix.dashboard import wording

register = template.Library()

METRICS: dict[str, str | Promise] = {
    "volume": gettext_lazy("Messages"),
    "bounce_rate": gettext_lazy("Bounce rate"),
    "deferral_rate": gettext_lazy("Deferral rate"),
    "complaint_rate": gettext_lazy("Complaint rate"),
    "latency_p95": gettext_lazy("Latency p95"),
    "queue_age": gettext_lazy("Age of the queue"),
    "webhook_failure_rate": gettext_lazy("Webhook failure rate"),
    "recipient_volume": gettext_lazy("Messages to one recipient"),
}
SEEN: dict[Metric, str | Promise] = {
    Metric.VOLUME: gettext_lazy("%(value)s messages in %(window)s, %(line)s"),
    Metric.BOUNCE_RATE: gettext_lazy("bounce rate %(value)s in %(window)s, %(line)s"),
    Metric.DEFERRAL_RATE: gettext_lazy("deferral rate %(value)s in %(window)s, %(line)s"),
    Metric.COMPLAINT_RATE: gettext_lazy("complaint rate %(value)s in %(window)s, %(line)s"),
    Metric.LATENCY_P95: gettext_lazy("p95 latency %(value)s in %(window)s, %(line)s"),
    Metric.QUEUE_AGE: gettext_lazy("age of the queue %(value)s, %(line)s"),
    Metric.WEBHOOK_FAILURE_RATE: gettext_lazy("webhook failure rate %(value)s in %(window)s, %(line)s"),
    Metric.RECIPIENT_VOLUME: gettext_lazy("%(value)s messages to one recipient in %(window)s, %(line)s"),
}
"""As the API's own words."""

SCOPES: dict[str, str | Promise] = {
    "account": gettext_lazy("The account"),
    "key": gettext_lazy("API key"),
    "template": gettext_lazy("Template"),
    "tag": gettext_lazy("Tag"),
    "destination": gettext_lazy("Destination"),
}


@dataclass(frozen=True, slots=True)
class Change:
    up: bool
    words: str


@register.simple_tag
def change(now: float | None, before: float | None) -> Change | None:
    """None where nothing moved, or where there is nothing to stand to."""
    if now is None or not before or round(now / before * 100) == 100:
        return None
    share = now / before
    if share >= 10:
        return Change(True, _("%(times)s times as before") % {"times": f"{share:.0f}"})
    form = _("%(share)s%% more than before") if share > 1 else _("%(share)s%% less than before")
    return Change(share > 1, form % {"share": f"{abs(share - 1) * 100:.0f}"})


@register.simple_tag
def figure_at(series: Sequence[float | None], index: int) -> str:
    """A point of a series as a table shows it."""
    value = series[index]
    if value is None:
        return "–"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


@register.simple_tag
def alert_words(alert: Alert) -> str:
    """What was seen, in one line: `API key key_01…: bounce rate 7.2 % in 10 minutes, more than 5 %`. Of one that is over, the
    worst that it came to."""
    metric = Metric(alert.metric)
    value = alert.worst if alert.resolved_at else alert.value
    told = {
        "value": _amount(metric, value),
        "line": _line(metric, alert),
        "window": _span(alert.window_seconds),
    }
    seen = str(SEEN[metric]) % told
    return f"{SCOPES[alert.scope]} {alert.subject}: {seen}" if alert.subject else seen


def _span(seconds: int) -> str:
    minutes = round(seconds / 60)
    return ngettext("%(n)s minute", "%(n)s minutes", minutes) % {"n": minutes}


def _amount(metric: Metric, value: float) -> str:
    return wording.duration(value) if metric in (Metric.LATENCY_P95, Metric.QUEUE_AGE) else amount(metric, value)


def _line(metric: Metric, alert: Alert) -> str:
    if alert.compare == Compare.BASELINE:
        return _("usually %(amount)s") % {"amount": _amount(metric, alert.usual or 0.0)}
    form = _("less than %(amount)s") if alert.compare == Compare.BELOW else _("more than %(amount)s")
    return form % {"amount": _amount(metric, alert.threshold)}


@register.simple_tag
def rule_words(rule: AlertRule) -> str:
    """What a rule watches, in one line: `Bounce rate above 5 %`."""
    name = METRICS[rule.metric]
    if rule.compare == "baseline":
        return _("%(name)s %(times)s times the usual") % {"name": name, "times": f"{rule.factor:g}"}
    line = _amount(Metric(rule.metric), rule.threshold or 0.0)
    form = _("%(name)s below %(line)s") if rule.compare == "below" else _("%(name)s above %(line)s")
    return form % {"name": name, "line": line}


@register.simple_tag
def scope_words(rule: AlertRule) -> str:
    """Whose mail a rule watches."""
    if rule.scope == "account":
        return str(SCOPES["account"])
    each = _("each")
    return f"{SCOPES[rule.scope]}: {rule.scope_value or each}"
