"""Evaluates every rule some times a minute. One transaction per rule reads, judges, and writes what follows from that: an alert
opened or ended, its event, its mails, the key held. The rule's row is the lock, so that of two dispatchers one does it."""

import logging
from datetime import UTC, datetime, timedelta
from time import monotonic

from django.db import InterfaceError, InternalError, OperationalError, transaction
from django.db.models import F, Q

from analytics.alerts import acting, judging, readings
from analytics.alerts.judging import History, Line, Reading, Verdict
from analytics.alerts.metrics import KINDS, Compare, Metric
from analytics.models import Alert, AlertRule
from messaging import notices
from sendarix.core import ids
from sendarix.core.errors import ApiError

logger = logging.getLogger(__name__)

EVERY = 15.0
"""Seconds between two looks at a rule."""

BUDGET = 10.0
"""Seconds after which a round ends; the next one goes on with the rules that have waited longest."""

AT_ONCE = 500
"""Rules of one round."""


def run(now: datetime | None = None) -> int:
    """One round over the rules that are due; how many were evaluated. A rule that can't be is left for the next round."""
    ends, count = monotonic() + BUDGET, 0
    for rule_id in _due(now or datetime.now(UTC)):
        if monotonic() > ends:
            break
        try:
            count += evaluate(rule_id, now or datetime.now(UTC))
        except (OperationalError, InterfaceError, InternalError):  # it is away: for none of them
            raise
        except Exception:
            logger.exception("the alert rule %s can't be evaluated", rule_id)
    return count


def _due(now: datetime) -> list[str]:
    waited = Q(evaluated_at=None) | Q(evaluated_at__lte=now - timedelta(seconds=EVERY - 1))
    found = AlertRule.objects.filter(waited, enabled=True).order_by(F("evaluated_at").asc(nulls_first=True), "id")
    return list(found.values_list("id", flat=True)[:AT_ONCE])


def evaluate(rule_id: str, now: datetime) -> bool:
    """Look at one rule; False while somebody else does, or has just done so."""
    notices_ready = _notices(rule_id)
    with transaction.atomic():
        waited = Q(evaluated_at=None) | Q(evaluated_at__lte=now - timedelta(seconds=EVERY - 1))
        rule = AlertRule.objects.filter(waited, id=rule_id, enabled=True)
        found = rule.select_for_update(skip_locked=True, no_key=True).first()
        if found is None:
            return False
        rule.update(evaluated_at=now)
        _judge(found, now, acting.Means(notices_ready))
    acting.settle()
    return True


def _notices(rule_id: str) -> acting.Sender:
    """Who mails come from, asked before the transaction, because it may have to be made first."""
    if not AlertRule.objects.filter(id=rule_id).exclude(mail_to=[]).exists():
        return None
    try:
        return notices.sender()
    except ApiError as refused:
        return refused


def _judge(rule: AlertRule, now: datetime, means: acting.Means) -> None:
    standing = {alert.subject: alert for alert in Alert.objects.filter(rule_id=rule.id, resolved_at=None)}
    seen = {reading.subject: reading for reading in readings.read(rule, now, standing)}
    lines = _lines(rule, list(seen.values()), standing, now)
    for subject, reading in seen.items():
        alert, line = standing.get(subject), lines[subject]
        verdict = judging.judge(reading, Compare(rule.compare), line, rule.minimum)
        if alert is not None:
            _follow(rule, alert, reading, verdict, now)
        elif verdict is Verdict.CROSSED:
            acting.fire(rule, _opened(rule, reading, line, now), means)


def _lines(rule: AlertRule, seen: list[Reading], standing: dict[str, Alert], now: datetime) -> dict[str, Line]:
    """An open alert keeps the line that it crossed, so that what it is about does not become usual meanwhile."""
    kept = {subject: Line(alert.threshold, alert.usual) for subject, alert in standing.items()}
    if rule.compare != Compare.BASELINE:
        return {reading.subject: Line(rule.threshold or 0.0) for reading in seen} | kept
    worth = [reading for reading in seen if reading.subject not in kept and reading.volume >= max(1, rule.minimum)]
    known = readings.histories(rule, [reading.subject for reading in worth], now) if worth else {}
    lines = {reading.subject: _baseline(rule, reading, known.get(reading.subject, History())) for reading in seen}
    return lines | kept


def _baseline(rule: AlertRule, reading: Reading, history: History) -> Line:
    metric = Metric(rule.metric)
    counted = metric is Metric.VOLUME
    return judging.baseline(
        history,
        factor=rule.factor or 1.0,
        floor=KINDS[metric].floor or 0.0,
        scale=reading.seconds / 3600 if counted else 1.0,
        minimum=rule.minimum if counted else 0,
    )


def _opened(rule: AlertRule, reading: Reading, line: Line, now: datetime) -> Alert:
    value = reading.value or 0.0
    return Alert(
        id=ids.new("alt"), account_id=rule.account_id, livemode=rule.livemode, rule_id=rule.id, rule_name=rule.name,
        metric=rule.metric, compare=rule.compare, window_seconds=rule.window_seconds, scope=rule.scope,
        subject=reading.subject, threshold=line.threshold, usual=line.usual, value=value, worst=value,
        volume=reading.volume, recipient=reading.recipient, fired_at=now, seen_at=now,
    )  # fmt: skip


def _follow(rule: AlertRule, alert: Alert, reading: Reading, verdict: Verdict, now: datetime) -> None:
    if reading.value is not None:
        worse = min if rule.compare == Compare.BELOW else max
        alert.value, alert.worst, alert.volume = reading.value, worse(alert.worst, reading.value), reading.volume
    alert.seen_at = now
    over, alert.clear_since = judging.ended(verdict, alert.clear_since, now, timedelta(seconds=rule.window_seconds))
    alert.save(update_fields=["value", "worst", "volume", "seen_at", "clear_since"])
    if over:
        acting.resolve(alert, "recovered", rule.webhook, now)
