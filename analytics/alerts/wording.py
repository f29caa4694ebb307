"""What alerts say in words: in their events, their mails, and as the reason of held mail."""

from analytics.alerts.metrics import KINDS, Compare, Metric
from analytics.models import Alert

_NAMES = {
    Metric.VOLUME: "messages",
    Metric.BOUNCE_RATE: "bounce rate",
    Metric.DEFERRAL_RATE: "deferral rate",
    Metric.COMPLAINT_RATE: "complaint rate",
    Metric.LATENCY_P95: "p95 latency",
    Metric.QUEUE_AGE: "age of the queue",
    Metric.WEBHOOK_FAILURE_RATE: "webhook failure rate",
    Metric.RECIPIENT_VOLUME: "messages to one recipient",
}


def what(alert: Alert) -> str:
    """ "key key_01…: 412 messages in 2 minutes, usually 18", in one line."""
    whose = f"{alert.scope} {alert.subject}: " if alert.subject else ""
    metric = Metric(alert.metric)
    name = _NAMES[metric]
    value = f"{amount(metric, alert.value)} {name}" if _counted(metric) else f"{name} {amount(metric, alert.value)}"
    within = "" if metric is Metric.QUEUE_AGE else f" in {span(alert.window_seconds)}"
    return f"{whose}{value}{within}, {_line(metric, alert)}"


def _line(metric: Metric, alert: Alert) -> str:
    if alert.compare == Compare.BASELINE:
        return f"usually {amount(metric, alert.usual or 0.0)}"
    return f"{'less' if alert.compare == Compare.BELOW else 'more'} than {amount(metric, alert.threshold)}"


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


def subject(alert: Alert) -> str:
    return f"Alert: {alert.rule_name}"


def letter(alert: Alert, url: str) -> str:
    """The text of the mail that is sent when an alert opens."""
    held = []
    if alert.pause_id is not None:
        held = ["The mail of this key waits until you release it:", f"POST {url}/release", ""]
    return "\n".join(
        (
            what(alert)[:1000],
            "",
            *held,
            f"Rule: {alert.rule_name} ({alert.rule_id})",
            f"Since: {alert.fired_at:%Y-%m-%d %H:%M:%S} UTC",
            f"Environment: {'live' if alert.livemode else 'test'}",
            f"Details: GET {url}",
            "",
        )
    )
