"""What alerts say in words: in their events, their mails, and as the reason of held mail."""

from analytics.alerts.metrics import KINDS, Compare, Metric
from analytics.models import Alert
from sendarix.core.sayings import said

_READ = {
    Metric.VOLUME: "{value} messages",
    Metric.BOUNCE_RATE: "bounce rate {value}",
    Metric.DEFERRAL_RATE: "deferral rate {value}",
    Metric.COMPLAINT_RATE: "complaint rate {value}",
    Metric.LATENCY_P95: "p95 latency {value}",
    Metric.QUEUE_AGE: "age of the queue {value}, {line}",
    Metric.WEBHOOK_FAILURE_RATE: "webhook failure rate {value}",
    Metric.RECIPIENT_VOLUME: "{value} messages to one recipient",
}

_OF = {
    "key": "key {subject}: {what}",
    "template": "template {subject}: {what}",
    "tag": "tag {subject}: {what}",
    "destination": "destination {subject}: {what}",
}


def what(alert: Alert) -> str:
    """ "key key_01…: 412 messages in 2 minutes, usually 18", in one line."""
    metric, line = Metric(alert.metric), _line(Metric(alert.metric), alert)
    what = _READ[metric].format(value=amount(metric, alert.value), line=line)
    if metric is not Metric.QUEUE_AGE:
        what = f"{what} in {span(alert.window_seconds)}, {line}"
    return _OF[alert.scope].format(subject=alert.subject, what=what) if alert.subject else what


def _line(metric: Metric, alert: Alert) -> str:
    if alert.compare == Compare.BASELINE:
        return f"usually {amount(metric, alert.usual or 0.0)}"
    threshold = amount(metric, alert.threshold)
    return f"less than {threshold}" if alert.compare == Compare.BELOW else f"more than {threshold}"


def _counted(metric: Metric) -> bool:
    return metric in (Metric.VOLUME, Metric.RECIPIENT_VOLUME)


def amount(metric: Metric, value: float) -> str:
    """A value with its unit."""
    if KINDS[metric].share:
        return f"{value * 100:.3g} %"
    return f"{value:,.0f}" if _counted(metric) else f"{value:,.3g} s"


def span(seconds: int) -> str:
    minutes = seconds // 60
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def subject(alert: Alert, language: str) -> str:
    return said(f"Alert: {alert.rule_name}", language)


def letter(alert: Alert, url: str, language: str) -> str:
    """The text of the mail that is sent when an alert opens."""
    held = []
    if alert.pause_id is not None:
        held = ["The mail of this key waits until you release it:", f"POST {url}/release", ""]
    lines = (
        what(alert),
        "",
        *held,
        f"Rule: {alert.rule_name} ({alert.rule_id})",
        f"Since: {alert.fired_at:%Y-%m-%d %H:%M:%S} UTC",
        "Environment: live" if alert.livemode else "Environment: test",
        f"Details: GET {url}",
        "",
    )
    return "\n".join(said(line, language)[:1000] for line in lines)
