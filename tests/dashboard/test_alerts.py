"""Alert rules by form, and releasing what an alert holds."""

from datetime import UTC, datetime

from analytics.models import Alert, AlertRule
from messaging.queues import pauses
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import AuditEntry, Role
from sendarix.core import ids

RULE = {
    "name": "A key runs wild", "metric": "volume", "compare": "baseline", "threshold": "5", "window": "2m", "minimum": "20",
    "scope": "key", "scope_value": "", "mail_to": "ops@hanbit.example", "webhook": "on", "hold_key": "on", "enabled": "on",
}  # fmt: skip


def test_a_rule_is_made_changed_and_removed(owner):
    page = owner.sent("alerts/rules/new", RULE)
    assert "Messages 5 times the usual" in page
    rule = AlertRule.objects.get()
    assert (rule.factor, rule.window_seconds, rule.hold_key) == (5.0, 120, True)
    changed = RULE | {"metric": "bounce_rate", "compare": "above", "threshold": "5", "scope": "account", "hold_key": ""}
    assert "Bounce rate above 5 %" in owner.sent(f"alerts/rules/{rule.id}", changed)
    assert AlertRule.objects.get().threshold == 0.05
    owner.sent(f"alerts/rules/{rule.id}/remove")
    assert not AlertRule.objects.exists()


def test_what_does_not_fit_together_is_told_at_its_field(owner):
    answer = owner.post("alerts/rules/new", RULE | {"scope": "account"})
    assert answer.status_code == 422
    assert "hold_key: needs a scope of key" in answer.content.decode()
    assert "aria-invalid" in owner.post("alerts/rules/new", RULE | {"window": "5 parsecs"}).content.decode()


def test_who_only_reads_changes_nothing(member):
    reader = member(Role.READ_ONLY)
    assert "New rule" not in reader.page("alerts")
    assert reader.post("alerts/rules/new", RULE).status_code == 403


def test_a_held_key_is_released_with_a_word_in_the_audit_log(owner, acme):
    key = acme.api_keys.create(id=ids.new("key"), livemode=True, digest="0" * 64, last4="0000", scopes=[])
    now = datetime.now(UTC)
    pause = pauses.pause(acme.pk, pauses.Conditions(key=key.id), "alert", None, Actor(acme.pk, "alerts"))
    alert = Alert.objects.create(
        id=ids.new("alt"), account=acme, livemode=True, rule_id="alr_1", rule_name="A key runs wild", metric="volume",
        compare="above", window_seconds=120, scope="key", subject=key.id, threshold=20, value=412, worst=412, volume=412,
        fired_at=now, seen_at=now, pause_id=pause.id,
    )  # fmt: skip
    assert "the key's mail is held" in owner.page("alerts")
    assert "Released" in owner.sent(f"alerts/{alert.id}/release")
    assert AuditEntry.objects.filter(action="alert.released", actor=f"user:{owner.user.email}").exists()


def test_an_alert_that_is_over_tells_the_worst_that_it_came_to(owner, acme):
    now = datetime.now(UTC)
    alert = Alert.objects.create(
        id=ids.new("alt"), account=acme, livemode=True, rule_id="alr_3", rule_name="Much mail", metric="volume",
        compare="above", window_seconds=60, scope="account", subject="", threshold=2, value=3, worst=7, volume=3,
        fired_at=now, seen_at=now,
    )  # fmt: skip
    assert "3 messages in 1 minute, more than 2" in owner.page("alerts")
    Alert.objects.filter(pk=alert.pk).update(value=0, resolved_at=now)
    assert "7 messages in 1 minute, more than 2" in owner.page("alerts")


def test_another_accounts_alert_is_not_there(owner, globex):
    now = datetime.now(UTC)
    foreign = Alert.objects.create(
        id=ids.new("alt"), account=globex, livemode=True, rule_id="alr_2", rule_name="Theirs", metric="volume",
        compare="above", window_seconds=60, scope="account", subject="", threshold=1, value=2, worst=2, volume=2,
        fired_at=now, seen_at=now,
    )  # fmt: skip
    assert "Theirs" not in owner.page("alerts")
    assert owner.post(f"alerts/{foreign.id}/release").status_code == 404
