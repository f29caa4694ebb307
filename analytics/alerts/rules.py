"""The alert rules of an account and environment: made, changed, taken away. Every change is in the audit log, and ends the alerts
that were open under what the rule said before."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from analytics.alerts import acting
from analytics.models import Alert, AlertRule
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account
from sendarix.core import ids
from sendarix.core.errors import Conflict, NotFound
from sendarix.core.times import zulu

MOST = 100
"""Rules of one account and environment."""

FIELDS = (
    "name", "enabled", "metric", "compare", "threshold", "factor", "minimum", "window_seconds", "scope", "scope_value",
    "mail_to", "webhook", "hold_key",
)  # fmt: skip
WATCHING = FIELDS[1:10]
"""Whoever changes one of these watches something else: open alerts end."""


def of(account_id: int, livemode: bool) -> QuerySet[AlertRule]:
    """Newest first."""
    return AlertRule.objects.filter(account_id=account_id, livemode=livemode).order_by("-id")


def alerts(account_id: int, livemode: bool) -> QuerySet[Alert]:
    """Newest first."""
    return Alert.objects.filter(account_id=account_id, livemode=livemode).order_by("-id")


def one(account_id: int, livemode: bool, rule_id: str, lock: bool = False) -> AlertRule:
    """NotFound for an unknown id and for anybody else's alike."""
    rows = of(account_id, livemode).filter(id=rule_id)
    found = (rows.select_for_update(no_key=True) if lock else rows).first()
    if found is None:
        raise NotFound
    return found


def create(account_id: int, livemode: bool, fields: Mapping[str, Any], actor: Actor) -> AlertRule:
    """A new rule of these FIELDS, which are taken to fit together (shapes.RuleShape). Raises Conflict when there are MOST."""
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=account_id)
        if of(account_id, livemode).count() >= MOST:
            raise Conflict(f"There are {MOST} alert rules, as many as an environment can have; remove one first.")
        rule = AlertRule.objects.create(id=ids.new("alr"), account_id=account_id, livemode=livemode, **fields)
        rule.refresh_from_db()
        audit.record(actor, "alert_rule.created", rule.id, after=_state(rule))
    return rule


def update(account_id: int, livemode: bool, rule_id: str, fields: Mapping[str, Any], actor: Actor) -> AlertRule:
    """The rule with all of these FIELDS. Raises NotFound."""
    with transaction.atomic():
        rule = one(account_id, livemode, rule_id, lock=True)
        before = _state(rule)
        for name, value in fields.items():
            setattr(rule, name, value)
        after = _state(rule)
        changed = [name for name in FIELDS if before[name] != after[name]]
        if changed:
            rule.evaluated_at = None
            rule.save()
            told = [{name: values[name] for name in changed} for values in (before, after)]
            audit.record(actor, "alert_rule.updated", rule.id, *told)
        if set(changed) & set(WATCHING):
            _end(rule, "rule_changed")
    return rule


def remove(account_id: int, livemode: bool, rule_id: str, actor: Actor) -> None:
    """Raises NotFound. What its alerts hold stays held until it is released."""
    with transaction.atomic():
        rule = one(account_id, livemode, rule_id, lock=True)
        _end(rule, "rule_removed")
        audit.record(actor, "alert_rule.removed", rule.id, before=_state(rule))
        rule.delete()


def _end(rule: AlertRule, resolution: str) -> None:
    for alert in Alert.objects.filter(rule_id=rule.id, resolved_at=None).select_for_update(no_key=True).order_by("id"):
        acting.resolve(alert, resolution, rule.webhook, datetime.now(UTC))


def _state(rule: AlertRule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in FIELDS}


def shown(rule: AlertRule) -> dict[str, Any]:
    """A rule as the API shows it."""
    return {
        "id": rule.id,
        **{name: value for name, value in _state(rule).items() if name != "scope_value"},
        "scope": {"kind": rule.scope, "value": rule.scope_value},
        "created_at": zulu(rule.created_at),
        "updated_at": zulu(rule.updated_at),
        "evaluated_at": zulu(rule.evaluated_at),
        "livemode": rule.livemode,
    }
