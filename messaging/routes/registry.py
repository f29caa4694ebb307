"""The routes of an account, and the platform's: made, changed and removed, each change with its audit entry. What a route says of
its way is options.py's."""

from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Q, QuerySet

from messaging.delivery import routebook
from messaging.models import PathChange, PathHealth, Route, RuleSet, Tier
from messaging.routes import guarding, options
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.core import ids
from sendarix.core.errors import ApiError, Conflict, NotFound

MOST = 200
"""Routes of one account."""

PLAIN = ("name", "enabled", "weight", "connections", "per_minute", "per_day", "warmup")


def visible(account_id: int | None) -> QuerySet[Route]:
    """An account's routes and the platform's."""
    return Route.objects.filter(Q(account_id=account_id) | Q(account_id=None))


def one(account_id: int | None, route_id: str) -> Route:
    """NotFound for an unknown id and for another account's alike."""
    try:
        return visible(account_id).get(id=route_id)
    except Route.DoesNotExist:
        raise NotFound from None


def own(account_id: int | None, route_id: str) -> Route:
    """A route that may be changed. Raises NotFound, and ApiError (forbidden) for the platform's."""
    route = one(account_id, route_id)
    if route.account_id != account_id:
        raise ApiError("This route is the platform's; only its operator may change it.", code="forbidden")
    return route


def create(
    account_id: int | None, kind: str, fields: Mapping[str, Any], given: Mapping[str, Any], actor: Actor
) -> Route:
    """A new route; `given` are its options, as options.read answered. Raises ValidationFailed, Conflict and
    Unavailable (busy)."""
    if account_id is not None:
        guarding.check(account_id, given)
    clear, sealed = options.parted(given)
    route = Route(id=ids.new("rte"), account_id=account_id, kind=kind, options=clear, secrets=sealed)
    if route.kind == Route.Kind.PROVIDER:
        route.hook_token = token_urlsafe(24)
    _assign(route, fields)
    with transaction.atomic():
        lock(account_id)
        if Route.objects.filter(account_id=account_id).count() >= MOST:
            raise Conflict(f"An account may have at most {MOST} routes.")
        _save(route)
        audit.record(actor, "route.created", route.id, after=_told(route))
    routebook.forget()
    return route


def update(route: Route, fields: Mapping[str, Any], given: Mapping[str, Any] | None, actor: Actor) -> Route:
    """The route with these fields, and with these options (null takes one away). Raises ValidationFailed, Conflict and
    Unavailable (busy)."""
    whole = None
    if given is not None:
        platform = route.account_id is None
        asked = options.merged(route, given)
        if route.kind == Route.Kind.PROVIDER:  # before its settings are looked at, which are another provider's
            options.keep_secrets_home(route, given, asked)
        whole = options.read(route.kind, asked, platform=platform)
        options.keep_secrets_home(route, given, whole)
        if route.account_id is not None:
            guarding.check(route.account_id, whole)
    with transaction.atomic():
        lock(route.account_id)
        now = one(route.account_id, route.id)
        if whole is not None and (now.options, now.secrets) != (route.options, route.secrets):
            raise Conflict("Somebody else has changed the route's options at this moment.")
        before = _told(now)
        _assign(now, fields)
        if whole is not None:
            resealed = whole != options.whole(now)
            now.options, sealed = options.parted(whole)
            now.secrets = sealed if resealed else now.secrets
        after = _told(now)
        if before != after or now.secrets != route.secrets:
            _save(now)
            changed = {name for name in after if before[name] != after[name]}
            secret = {"secrets": "replaced"} if now.secrets != route.secrets else {}
            audit.record(actor, "route.updated", now.id, _only(before, changed), {**_only(after, changed), **secret})
    routebook.forget()
    return now


def remove(route: Route, actor: Actor) -> None:
    """Also what is known of its paths. Raises Conflict while the published rules name it."""
    with transaction.atomic():
        lock(route.account_id)
        for rules in RuleSet.objects.filter(published=True, account_id=route.account_id):
            if naming := [rule["name"] for rule in rules.rules if route.id in named(rule)]:
                raise Conflict(f"The routing rule {naming[0]} names this route; publish rules without it first.")
        PathHealth.objects.filter(route_id=route.id).delete()
        PathChange.objects.filter(route_id=route.id).delete()
        deleted, _ = Route.objects.filter(id=route.id).delete()
        if deleted:
            audit.record(actor, "route.removed", route.id, before=_told(route))
    routebook.forget()


def named(rule: Mapping[str, Any]) -> set[str]:
    """The ids of the routes that a stored rule names."""
    then = rule["then"]
    return {one["route"] for stage in ("routes", "fallback") for one in then.get(stage, ())}


def lock(account_id: int | None) -> None:
    """Changes of one account's routing come one after the other, until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('routing'), %s)", [(account_id or 0) % 2**31])


def _assign(route: Route, fields: Mapping[str, Any]) -> None:
    for name in PLAIN:
        if name in fields:
            setattr(route, name, fields[name])
    if "tiers" in fields:
        route.tiers = sorted({Tier[label.upper()].value for label in fields["tiers"]})


def _save(route: Route) -> None:
    try:
        with transaction.atomic():
            route.save()
    except IntegrityError:
        raise Conflict(f"There is a route called {route.name} already.") from None
    route.refresh_from_db()


def _told(route: Route) -> dict[str, Any]:
    """A route as the audit log has it: no secrets."""
    told = {name: getattr(route, name) for name in ("kind", *PLAIN)}
    return {**told, "tiers": [Tier(tier).label for tier in route.tiers], "options": options.shown(route, own=True)}


def _only(values: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}
