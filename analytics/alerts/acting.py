"""What is done about an alert: written down, told by event and by mail, the key held back, and let go again by whoever decides
so. All but the letting go in the transaction that opens or ends the alert."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Func, TextField, Value
from django.db.models.functions import Concat

from analytics.alerts import wording
from analytics.models import Alert, AlertRule
from messaging import notices
from messaging.delivery import routebook
from messaging.queues import pauses
from sendarix.accounts import audit, members
from sendarix.accounts.audit import Actor
from sendarix.accounts.keys import Caller
from sendarix.core import events
from sendarix.core.errors import ApiError, Conflict, NotFound
from sendarix.core.times import zulu

ACTOR = "alerts"
"""Who acts, in the audit log and on pauses."""

LONGEST_REASON = 200

Sender = Caller | ApiError | None
"""Who mails come from, or why there can be none."""


@dataclass(slots=True)
class Means:
    """What a round has to act by."""

    sender: Sender = None


def fire(rule: AlertRule, alert: Alert, means: Means) -> None:
    """Open the alert and do what its rule asks for. What can't be done is told by the alert, and does not keep the rest from
    being done."""
    actor = Actor(alert.account_id, ACTOR)
    trouble = [_hold(rule, alert, actor), *(_mail(alert, recipient, means.sender) for recipient in rule.mail_to)]
    alert.trouble = " ".join(dict.fromkeys(filter(None, trouble))) or None
    alert.save(force_insert=True)
    audit.record(actor, "alert.fired", alert.id, after=_told(alert))
    if rule.webhook:
        _announce(alert, "alert.fired")


def resolve(alert: Alert, resolution: str, webhook: bool, now: datetime) -> None:
    """End an open alert. A key that it holds stays held: somebody has to look first."""
    alert.resolved_at, alert.resolution = now, resolution
    alert.save(update_fields=["resolved_at", "resolution"])
    audit.record(Actor(alert.account_id, ACTOR), "alert.resolved", alert.id, after={"resolution": resolution})
    if webhook:
        _announce(alert, "alert.resolved")


def release(account_id: int, livemode: bool, alert_id: str, actor: Actor) -> tuple[Alert, int]:
    """Let the mail go that an alert holds; the alert, and how many messages have been let go so far (pauses.resume). Raises
    NotFound, and Conflict where it holds nothing (any more). The rule does not hold the key again before this alert has ended."""
    with transaction.atomic():
        own = Alert.objects.filter(account_id=account_id, livemode=livemode, id=alert_id)
        alert = own.select_for_update(no_key=True).first()
        if alert is None:
            raise NotFound
        if alert.pause_id is None or alert.released_at is not None:
            raise Conflict("This alert holds nothing back.")
        alert.released_at, alert.released_by = datetime.now(UTC), actor.id
        alert.save(update_fields=["released_at", "released_by"])
        audit.record(actor, "alert.released", alert.id, after={"key": alert.subject, "pause": alert.pause_id})
    try:
        return alert, pauses.resume(account_id, alert.pause_id, actor).messages
    except NotFound:  # somebody has ended the pause itself
        return alert, 0


def settle() -> None:
    """After the transaction: what this process knows of pauses is read anew."""
    routebook.forget()


def erase(account_id: int, recipient_key: str, found: str, mask: str) -> None:
    """As core.events.address_erased has it. The alert's id tells masked tags apart, of which each may have an open alert."""
    tags = Alert.objects.filter(account_id=account_id, scope="tag", subject__iregex=found)
    masked = Func(
        "subject", Value(found), Value(mask), Value("gi"), function="regexp_replace", output_field=TextField()
    )
    tags.update(subject=Concat(masked, Value(" "), "id", output_field=TextField()))
    Alert.objects.filter(account_id=account_id, recipient=recipient_key).update(recipient=mask)


def told(alert: Alert) -> dict[str, Any]:
    """An alert as the API and its events show it."""
    return {
        "id": alert.id,
        "rule_id": alert.rule_id,
        "rule_name": alert.rule_name,
        "state": "open" if alert.resolved_at is None else "resolved",
        "what": wording.what(alert),
        "metric": alert.metric,
        "compare": alert.compare,
        "window_seconds": alert.window_seconds,
        "scope": {"kind": alert.scope, "value": alert.subject or None},
        "value": round(alert.value, 6),
        "worst": round(alert.worst, 6),
        "threshold": round(alert.threshold, 6),
        "usual": None if alert.usual is None else round(alert.usual, 6),
        "volume": alert.volume,
        "recipient": alert.recipient,
        "fired_at": zulu(alert.fired_at),
        "resolved_at": zulu(alert.resolved_at),
        "resolution": alert.resolution,
        "hold": _held(alert),
        "trouble": alert.trouble,
        "livemode": alert.livemode,
    }


def _announce(alert: Alert, kind: str) -> None:
    """The environment is said by every event anyway."""
    data = {name: value for name, value in told(alert).items() if name != "livemode"}
    events.note(alert.account_id, alert.livemode, kind, **data)


def _held(alert: Alert) -> dict[str, Any] | None:
    if alert.pause_id is None:
        return None
    released = {"released_at": zulu(alert.released_at), "released_by": alert.released_by}
    return {"pause_id": alert.pause_id, "key": alert.subject, **released}


def _told(alert: Alert) -> dict[str, Any]:
    """What the audit log keeps."""
    return {
        "rule": alert.rule_id, "name": alert.rule_name, "what": wording.what(alert), "subject": alert.subject,
        "pause": alert.pause_id,
    }  # fmt: skip


def _hold(rule: AlertRule, alert: Alert, actor: Actor) -> str | None:
    if not rule.hold_key:
        return None
    reason = f"alert {alert.rule_name}: {wording.what(alert)}"
    try:
        with transaction.atomic():
            where = pauses.Conditions(key=alert.subject)
            alert.pause_id = pauses.pause(alert.account_id, where, reason[:LONGEST_REASON], None, actor).id
    except ApiError as refused:
        return f"The key could not be held: {_why(refused)}"
    return None


def _mail(alert: Alert, recipient: str, sender: Sender) -> str | None:
    if not isinstance(sender, Caller):
        return str(sender.message if sender else "Mails can't be sent.")
    try:
        with transaction.atomic():
            url = f"{settings.PUBLIC_URL}/v1/alerts/{alert.id}"
            language = members.language_of(recipient)
            letter = wording.letter(alert, url, language)
            notices.send(sender, recipient, wording.subject(alert, language), letter, "alert")
    except ApiError as refused:
        return f"No mail to {recipient}: {_why(refused)}"
    return None


def _why(refused: ApiError) -> str:
    return " ".join(fault.message for fault in refused.errors) or refused.message
