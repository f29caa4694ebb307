"""Reads the snapshot that routing decides over, at most once a second per process: routes, published rules, policies, pauses and
the health of paths. Whatever is changed by the API takes effect within that second, on every host."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import connection

from messaging import models
from messaging.delivery import health, secrets, ways
from messaging.delivery.default_route import default_route
from messaging.delivery.destinations import PROVIDERS
from messaging.delivery.smtp import TlsPolicy
from messaging.delivery.ways import Action, Conditions, Kind, Path, Pause, Policy, Route, Rule, RuleBook, Snapshot
from messaging.models import PathHealth
from messaging.models.messages import Tier

FRESH = 1.0
"""Seconds for which a snapshot is believed."""

MOST_PATHS = 2_000
"""Paths in trouble that a snapshot knows at most."""

_state: dict[str, Any] = {"read_at": float("-inf"), "snapshot": None}


def snapshot() -> Snapshot:
    """The newest snapshot of this process, read again when it is older than FRESH."""
    known = _state["snapshot"]
    if known is None or monotonic() - _state["read_at"] > FRESH:
        _state["snapshot"] = known = read(datetime.now(UTC))
        _state["read_at"] = monotonic()
    return known


def forget() -> None:
    """Read anew at the next look; for tests, and for who has just changed something."""
    _state["snapshot"] = None


_WHICH_THERE_ARE = """
SELECT EXISTS (SELECT FROM routes), EXISTS (SELECT FROM routing_rule_sets WHERE published),
    EXISTS (SELECT FROM delivery_policies WHERE enabled), EXISTS (SELECT FROM queue_pauses WHERE ended_at IS NULL),
    EXISTS (SELECT FROM path_health WHERE NOT well)
"""
"""Whether anything is to be read of each table. A drain's first message waits for the snapshot, and most installations have
something in one or two of them."""


def read(now: datetime) -> Snapshot:
    with connection.cursor() as cursor:
        cursor.execute(_WHICH_THERE_ARE)
        any_routes, any_rules, any_policies, any_pauses, any_trouble = cursor.fetchone()
    routes: Iterable[models.Route] = models.Route.objects.order_by("id") if any_routes else ()
    rule_sets: Iterable[models.RuleSet] = models.RuleSet.objects.filter(published=True) if any_rules else ()
    enabled: Iterable[models.DeliveryPolicy] = (
        models.DeliveryPolicy.objects.filter(enabled=True).order_by("position", "id") if any_policies else ()
    )
    lasting: Iterable[models.QueuePause] = (
        models.QueuePause.objects.filter(ended_at=None).order_by("id") if any_pauses else ()
    )
    troubled = _paths_worth_knowing() if any_trouble else ()
    found = [(row.account_id, route_of(row, now.date())) for row in routes]
    rules = {
        row.account_id: RuleBook(row.version, tuple(rule_of(rule) for rule in row.rules if rule.get("enabled", True)))
        for row in rule_sets
    }
    policies = _by_owner((row.account_id, policy_of(row)) for row in enabled)
    pauses = _by_owner((row.account_id, pause_of(row)) for row in lasting if not row.expires_at or row.expires_at > now)
    return Snapshot(
        default=default_route(),
        routes={route.id: route for _, route in found},
        routes_of=_by_owner(found),
        rules=rules,
        policies=policies,
        pauses=pauses,
        paths={(row.route_id, row.destination): path_of(row, now) for row in troubled},
        used_today=_used_today(now) if any(route.per_day is not None for _, route in found) else {},
        tells_providers_apart=frozenset(_tell_providers_apart(rules, policies, pauses)),
    )


def _tell_providers_apart(
    rules: Mapping[int | None, RuleBook],
    policies: Mapping[int | None, tuple[Policy, ...]],
    pauses: Mapping[int | None, tuple[Pause, ...]],
) -> Iterable[int | None]:
    """Whose of these speak of providers."""
    for owner, book in rules.items():
        if any(rule.when.speaks_of(PROVIDERS) for rule in book.rules):
            yield owner
    for owner, own in policies.items():
        if any(policy.when.speaks_of(PROVIDERS) for policy in own):
            yield owner
    for owner, held in pauses.items():
        if any(pause.destination in PROVIDERS for pause in held):
            yield owner


def _by_owner(pairs: Iterable[tuple[int | None, Any]]) -> dict[int | None, tuple]:
    found: dict[int | None, list] = defaultdict(list)
    for owner, item in pairs:
        found[owner].append(item)
    return {owner: tuple(items) for owner, items in found.items()}


def route_of(row: models.Route, today: date) -> Route:
    """A row as routing and the transports see it, with its secrets opened."""
    options, opened = row.options, secrets.opened(row.secrets)
    tls = TlsPolicy(options.get("tls", TlsPolicy.OPPORTUNISTIC))
    implicit = tls is TlsPolicy.IMPLICIT
    return Route(
        id=row.id,
        name=row.name,
        kind=Kind(row.kind),
        account_id=row.account_id,
        host=options.get("host", ""),
        port=options.get("port", 465 if implicit else 25),
        username=options.get("username", ""),
        password=opened.get("password", ""),
        tls=tls,
        verify=options.get("verify", tls in (TlsPolicy.REQUIRED, TlsPolicy.IMPLICIT)),
        helo=options.get("helo", ""),
        source_address=options.get("source_address"),
        backend=options.get("backend", ""),
        settings={**options.get("settings", {}), **opened.get("settings", {})},
        connections=row.connections,
        allow_private=_reaches_inside(row),
        enabled=row.enabled,
        weight=row.weight,
        per_minute=row.per_minute,
        per_day=cap_of(row.per_day, row.warmup, today),
        warming=_warms_up(row, today),
        tiers=frozenset(row.tiers),
    )


def _reaches_inside(row: models.Route) -> bool:
    """An operator's smarthost may stand anywhere, a customer's only on the open Internet (unless the installation says so)."""
    if row.account_id is not None:
        return settings.ROUTE_ALLOW_PRIVATE
    return row.options.get("allow_private", row.kind == models.Route.Kind.SMTP)


def cap_of(per_day: int | None, warmup: Mapping[str, Any] | None, today: date) -> int | None:
    """What a route may carry today: its cap, or less while it warms up."""
    if not warmup:
        return per_day
    day = (today - date.fromisoformat(warmup["starts_on"])).days
    if day >= len(warmup["daily"]):
        return per_day
    planned = warmup["daily"][max(0, day)] if day >= 0 else 0
    return planned if per_day is None else min(per_day, planned)


def _warms_up(row: models.Route, today: date) -> bool:
    """Whether today's cap is that of the warm-up."""
    cap = cap_of(None, row.warmup, today)
    return cap is not None and (row.per_day is None or cap < row.per_day)


def rule_of(stored: Mapping[str, Any]) -> Rule:
    then = stored["then"]
    action = Action.HOLD if "hold" in then else Action.REJECT if "reject" in then else Action.ROUTE
    said = then.get("hold") or then.get("reject") or {}
    return Rule(
        id=stored["id"],
        name=stored["name"],
        when=conditions_of(stored.get("when", {})),
        action=action,
        candidates=_candidates(then.get("routes", ())),
        fallback=_candidates(then.get("fallback", ())),
        reason=said.get("reason", ""),
        hold=timedelta(seconds=said.get("seconds", 60)),
    )


def _candidates(stored: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, int], ...]:
    return tuple((one["route"], one.get("weight", 100)) for one in stored)


def conditions_of(stored: Mapping[str, Any]) -> Conditions:
    lists = ("domains", "providers", "mail_hosts", "destinations", "templates", "tags", "sender_domains", "keys")
    return Conditions(
        **{name: frozenset(stored.get(name, ())) for name in lists},
        tiers=frozenset(Tier[tier.upper()].value for tier in stored.get("tiers", ())),
        larger_than=stored.get("larger_than"),
        smaller_than=stored.get("smaller_than"),
    )


def policy_of(row: models.DeliveryPolicy) -> Policy:
    return Policy(
        id=row.id,
        name=row.name,
        version=row.version,
        when=conditions_of(row.when),
        ladder=tuple(row.retry_ladder) if row.retry_ladder is not None else None,
        ttl=timedelta(seconds=row.ttl_seconds) if row.ttl_seconds else None,
        holds_uncertain=row.uncertain == models.DeliveryPolicy.Uncertain.HOLD,
        connections=row.pacing.get("connections"),
        per_connection=row.pacing.get("per_connection"),
        per_minute=row.pacing.get("per_minute"),
    )


def pause_of(row: models.QueuePause) -> Pause:
    return Pause(
        row.id, row.account_id, row.tier, row.destination, row.route_id, row.reason, row.expires_at, row.key_id
    )


def standing(pause_ids: Iterable[str]) -> set[str]:
    """Those of these pauses that have not been resumed. They can't be before the caller's transaction is over: what it makes
    wait for their end is found by whoever ends them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM queue_pauses WHERE id = ANY(%s) AND ended_at IS NULL ORDER BY id FOR SHARE SKIP LOCKED",
            [sorted(set(pause_ids))],
        )
        return {row[0] for row in cursor.fetchall()}


def path_of(row: PathHealth, now: datetime) -> Path:
    open_until = row.open_until if row.breaker == PathHealth.Breaker.OPEN else None
    fade = 0.5 ** max(0.0, (now - row.updated_at).total_seconds() / health.HALF_LIFE)
    return Path(
        success=ways.success(*(fade * n for n in (row.delivered, row.deferred, row.bounced, row.failed))),
        reputation=ways.reputation(*(fade * n for n in (row.delivered, row.bounced, row.complained))),
        closed_until=open_until,
        probing=row.breaker == PathHealth.Breaker.HALF_OPEN,
        wait_until=row.wait_until,
        wait_tier=row.wait_tier or 0,
    )


def _paths_worth_knowing() -> Iterable[PathHealth]:
    """Those that are not well, open and half-open ones first; an unknown one counts as well."""
    return PathHealth.objects.filter(well=False).order_by("-breaker", "-updated_at")[:MOST_PATHS]


def _used_today(now: datetime) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT substr(key, 5), used FROM pace_windows WHERE key LIKE 'day %%' AND starts_at >= %s",
            [now.replace(hour=0, minute=0, second=0, microsecond=0)],
        )
        return dict(cursor.fetchall())
