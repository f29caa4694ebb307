"""What the demo account has beside its mail: people, keys, sender domains, routes with rules and a policy, webhook endpoints, and
alert rules. Made by the services that the API calls, so that each is as anybody's and stands in the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from analytics.alerts import rules as alert_rules
from analytics.models import AlertRule
from messaging.domains import conclusions, records
from messaging.domains import registry as domains
from messaging.domains.looking import Look
from messaging.domains.records import Purpose
from messaging.domains.verdicts import Finding, missing, ok
from messaging.models import Route, SenderDomain
from messaging.queues import pauses
from messaging.routes import policies, registry, rules
from sendarix.accounts import audit, keys
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account, ApiKey, Membership, Role, User
from sendarix.core import ids, vault
from sendarix.demo.ways import CODES, SEOUL, SHARES, TOKYO, Ways, explained
from webhooks import signing
from webhooks.models import WebhookEndpoint

KEYS = {"web": "web backend", "billing": "billing", "orders": "orders service"}
PEOPLE = {
    "hana.kim": ("Hana Kim", Role.ADMIN),
    "joon.park": ("Joon Park", Role.DEVELOPER),
    "sora.lee": ("Sora Lee", Role.SUPPORT),
    "min.choi": ("Min Choi", Role.READ_ONLY),
}
VERIFIED, BROKEN, PENDING = "mail.hanbit.example", "news.hanbit.example", "billing.hanbit.example"
RULES = {
    "codes": ("Codes by the quickest way", {"templates": list(CODES)}, SEOUL),
    "korea": ("Korean providers from Seoul", {"providers": ["naver", "kakao"]}, SEOUL),
    "rest": ("Everything else", {}, TOKYO),
}
"""By the name that ways.Ways knows: the rule's name, its conditions, its usual route."""
ENDPOINTS = {
    "shop": ("https://hooks.hanbit.example/sendarix", "Shop backend", ()),
    "crm": ("https://crm.hanbit.example/mail-events", "CRM", ("message.bounced", "message.complained", "message.unsubscribed")),
}  # fmt: skip
ALERTS: tuple[dict[str, Any], ...] = (
    {"name": "Key sends far more than usual", "metric": "volume", "compare": "baseline", "factor": 8.0, "scope": "key",
     "window_seconds": 120, "minimum": 50},
    {"name": "Sign-in codes are slow", "metric": "latency_p95", "compare": "above", "threshold": 30.0, "scope": "template",
     "scope_value": "otp-code"},
    {"name": "A provider defers our mail", "metric": "deferral_rate", "compare": "above", "threshold": 0.25,
     "scope": "destination", "window_seconds": 900},
    {"name": "Bounces", "metric": "bounce_rate", "compare": "above", "threshold": 0.05, "scope": "account",
     "window_seconds": 3600, "minimum": 200},
    {"name": "Webhooks fail", "metric": "webhook_failure_rate", "compare": "above", "threshold": 0.2, "scope": "account",
     "window_seconds": 900},
)  # fmt: skip
_PLAIN_ALERT: dict[str, Any] = {
    "enabled": True, "threshold": None, "factor": None, "minimum": 20, "window_seconds": 300, "scope_value": None,
    "mail_to": [], "webhook": False, "hold_key": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the month refers to: ids of keys, routes, endpoints and alert rules by their names here, and the ways of rules."""

    keys: Mapping[str, str]
    test_key: str
    routes: Mapping[str, str]
    endpoints: Mapping[str, str]
    alerts: Mapping[str, AlertRule]
    ways: Ways


def make(account: Account, now: datetime) -> Surroundings:
    """All of it, for an account that has none of it yet."""
    people = _people(account)
    hana, joon = (Actor(account.pk, f"user:{people[name].email}", "203.0.113.7") for name in ("hana.kim", "joon.park"))
    _past(account, hana, now)
    own = {word: keys.make(account, livemode=True, name=name, actor=hana)[0].id for word, name in KEYS.items()}
    routes, ways = _routing(account, hana)
    _policy(account, hana)
    _domains(account, joon, now)
    pauses.pause(account.pk, pauses.Conditions(destination="dasan.example"), "Their server is being moved tonight",
                 now + timedelta(hours=9), hana)  # fmt: skip
    test_key = ApiKey.objects.filter(account=account, livemode=False, revoked_at=None).order_by("id")[0].id
    return Surroundings(own, test_key, routes, _endpoints(account, joon, now), _alert_rules(account, hana), ways)


def _people(account: Account) -> dict[str, User]:
    """A member of each role, who logs in with the owner's password."""
    owner = User.objects.filter(memberships__account=account, memberships__role=Role.OWNER).earliest("pk")
    domain, found = owner.email.partition("@")[2], {}
    for name, (full, role) in PEOPLE.items():
        user, _ = User.objects.update_or_create(
            email=f"{name}@{domain}", defaults={"name": full, "password": owner.password}
        )
        Membership.objects.get_or_create(account=account, user=user, defaults={"role": role})
        found[name] = user
    return found


def _past(account: Account, actor: Actor, now: datetime) -> None:
    """What the audit log has of earlier weeks."""
    old = keys.make(account, livemode=True, name="migration script", actor=None)[0]
    keys.revoke(old)
    entries: tuple[tuple[int, str, str, dict[str, Any] | None, dict[str, Any] | None], ...] = (
        (29, "api_key.created", old.id, None, {"name": old.name, "livemode": True, "last4": old.last4}),
        (28, "account.updated", account.slug, {"timezone": "UTC"}, {"timezone": "Asia/Seoul"}),
        (21, "member.invited", "sora.lee@demo.sendarix.test", None, {"role": "support"}),
        (20, "template.published", "otp-code", {"version": 1}, {"version": 2}),
        (14, "api_key.revoked", old.id, {"revoked_at": None}, {"revoked_at": "14 days ago"}),
        (9, "message.revealed", "sora.lee@demo.sendarix.test", None, {"fields": ["recipient", "body"]}),
        (3, "suppression.removed", "minji.kim4@naver.com", {"reason": "hard_bounce"}, None),
    )
    for days, action, subject, before, after in entries:
        audit.AuditEntry.objects.create(
            account=account, at=now - timedelta(days=days, hours=days % 7), actor=actor.id, action=action,
            subject=subject, source=actor.source, before=before, after=after,
        )  # fmt: skip


def _routing(account: Account, actor: Actor) -> tuple[dict[str, str], Ways]:
    """Two routes that only capture, named as if they led out, and three rules, published as the second version."""
    routes = {}
    for name, settings in ((SEOUL, {"connections": 40}), (TOKYO, {"per_minute": 3000})):
        routes[name] = registry.create(account.pk, Route.Kind.INBOX, {"name": name, **settings}, {}, actor).id
    written = [_rule(word, routes) for word in RULES]
    first = rules.save(account.pk, written[2:], note="First rules", base=None, publish=True, actor=actor)
    last = rules.save(
        account.pk,
        written,
        note="Codes and Korea have rules of their own",
        base=first.version,
        publish=True,
        actor=actor,
    )
    made = dict(zip(RULES, last.rules, strict=True))
    return routes, Ways(
        {
            word: explained(made[word], last.version, routes, usual, SHARES[word])
            for word, (_, _, usual) in RULES.items()
        }
    )


def _rule(word: str, routes: Mapping[str, str]) -> dict[str, Any]:
    name, when, usual = RULES[word]
    share = round(100 * SHARES[word])
    other = TOKYO if usual == SEOUL else SEOUL
    candidates = [{"route": routes[usual], "weight": share}, {"route": routes[other], "weight": 100 - share}]
    return {"id": ids.new("rul"), "name": name, "enabled": True, "when": when, "then": {"routes": candidates}}


def _policy(account: Account, actor: Actor) -> None:
    fields = {
        "name": "Codes are worth nothing late", "position": 10, "enabled": True, "when": {"templates": ["otp-code"]},
        "retry_ladder": [20, 60, 120, 240], "ttl_seconds": 600, "uncertain": "retry", "pacing": {},
    }  # fmt: skip
    policies.create(account.pk, fields, actor)


def _domains(account: Account, actor: Actor, now: datetime) -> None:
    """One whose records were found, one whose were and are no longer, one that waits. The DNS is never asked: no dispatcher looks
    at names that do not exist."""
    histories = {VERIFIED: (True,), BROKEN: (True, False), PENDING: (False,)}
    for name, looks in histories.items():
        domain = domains.add(account.pk, name, actor)
        for number, found in enumerate(looks):
            began = now - timedelta(hours=2 - number)
            conclusions.conclude(_look(domain, began, found), actor)
    SenderDomain.objects.filter(account=account, domain__in=histories).update(next_check_at=None)


def _look(domain: SenderDomain, began: datetime, found: bool) -> Look:
    domain.refresh_from_db()
    expected = records.expected(domain, domain.dkim_keys.all())
    findings = {record.host: _finding(record, found) for record in expected}
    owned = records.ownership_value(domain.ownership_token)
    return Look(domain.id, began, findings, False, frozenset([owned] if found else []))


def _finding(record: records.Record, found: bool) -> Finding:
    if found or record.purpose is Purpose.SPF:
        return ok("The record is published.", record.value)
    return missing(f"There is no {record.type} record at {record.host}.")


def _endpoints(account: Account, actor: Actor, now: datetime) -> dict[str, str]:
    """Written without the service, which would ask the DNS for names that do not exist."""
    made = {}
    for word, (url, description, types) in ENDPOINTS.items():
        endpoint = WebhookEndpoint.objects.create(
            id=ids.new("whk"), account=account, livemode=True, url=url, description=description, event_types=list(types),
            secret=vault.seal(signing.new_key(), signing.PURPOSE), created_at=now - timedelta(days=30),
            last_success_at=now - timedelta(minutes=2 if word == "shop" else 26),
            failing_since=None if word == "shop" else now - timedelta(minutes=25),
        )  # fmt: skip
        audit.record(actor, "webhook_endpoint.created", endpoint.id, after={"url": url, "event_types": list(types)})
        made[word] = endpoint.id
    return made


def _alert_rules(account: Account, actor: Actor) -> dict[str, AlertRule]:
    return {
        fields["name"]: alert_rules.create(account.pk, True, _PLAIN_ALERT | fields, actor)
        for fields in reversed(ALERTS)
    }
