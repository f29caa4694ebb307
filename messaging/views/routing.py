"""/v1/routes: the ways for mail to leave, a test call by each, and how each has fared."""

import dataclasses
from datetime import UTC, date, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse

from messaging.delivery import routebook
from messaging.models import PathChange, PathHealth, Route, Tier
from messaging.routes import checking, options, registry, standing
from messaging.views import routing_calls as calls
from messaging.views.routing_shapes import RouteChangesShape, RouteCheckShape, read_route
from sendarix.accounts.api import ApiView
from sendarix.core import pagination, reading, shapes
from sendarix.core.answers import answer
from sendarix.core.errors import FieldError, ValidationFailed
from sendarix.core.pagination import cursor_part
from sendarix.core.shapes import Page
from sendarix.core.times import zulu
from sendarix.core.turns import outside


class Routes(ApiView):
    scopes = {"GET": "routing:read", "POST": "routing:write"}
    queries = {"GET": Page}
    calls = {"GET": calls.LIST_ROUTES, "POST": calls.CREATE_ROUTE}

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(Page)
        found = registry.visible(self.key.account_id).order_by("-id")
        if asked.cursor:
            found = found.filter(id__lt=pagination.decode_cursor(asked.cursor, 1)[0])
        rows = list(found[: asked.limit + 1])
        return answer(pagination.page(rows, asked.limit, lambda row: pagination.encode_cursor(row.id), self.shown))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked, given = read_route(self.payload(), platform=False)
        fields = asked.model_dump(exclude={"kind", "options"})
        route = registry.create(self.key.account_id, asked.kind, fields, given, self.actor)
        return answer(self.shown(route), 201)

    def shown(self, route: Route) -> dict[str, Any]:
        return shown(route, own=route.account_id == self.key.account_id)


class RouteById(ApiView):
    scopes = {"GET": "routing:read", "PATCH": "routing:write", "DELETE": "routing:write"}
    calls = {"GET": calls.GET_ROUTE, "PATCH": calls.CHANGE_ROUTE, "DELETE": calls.REMOVE_ROUTE}

    def get(self, request: HttpRequest, route_id: str) -> HttpResponse:
        route = registry.one(self.key.account_id, route_id)
        return answer(shown(route, own=route.account_id == self.key.account_id))

    def patch(self, request: HttpRequest, route_id: str) -> HttpResponse:
        asked = self.read(RouteChangesShape)
        fields = asked.model_dump(exclude={"options"}, exclude_unset=True)
        given = asked.options if "options" in asked.model_fields_set else None
        route = registry.own(self.key.account_id, route_id)
        return answer(shown(registry.update(route, fields, given, self.actor), own=True))

    def delete(self, request: HttpRequest, route_id: str) -> HttpResponse:
        route = registry.own(self.key.account_id, route_id)
        registry.remove(route, self.actor)
        return answer({"id": route.id, "deleted": True})


class Check(ApiView):
    """Not for the platform's routes: what their servers say is their operator's."""

    scopes = {"POST": "routing:write"}
    calls = {"POST": calls.CHECK_ROUTE}

    def post(self, request: HttpRequest, route_id: str) -> HttpResponse:
        payload = {} if reading.declared_length(request) == 0 else self.payload()
        domain = shapes.validate(RouteCheckShape, payload).domain
        row = registry.own(self.key.account_id, route_id)
        if row.kind == Route.Kind.MX and domain is None:
            raise ValidationFailed([FieldError("domain", "required", "Say whose hosts to call.")])
        with outside.turn(self.key.account_id):
            return answer(checking.check(routebook.route_of(row, date.today()), domain or ""))


class History(ApiView):
    scopes = {"GET": "routing:read"}
    queries = {"GET": Page}
    calls = {"GET": calls.ROUTE_HISTORY}

    def get(self, request: HttpRequest, route_id: str) -> HttpResponse:
        asked = self.query(Page)
        found = standing.changes(registry.one(self.key.account_id, route_id), self.key.account_id)
        if asked.cursor:
            found = found.filter(id__lt=cursor_part(_number, pagination.decode_cursor(asked.cursor, 1)[0]))
        rows = list(found[: asked.limit + 1])
        return answer(pagination.page(rows, asked.limit, lambda row: pagination.encode_cursor(row.id), _change))


class Health(ApiView):
    scopes = {"GET": "routing:read"}
    queries = {"GET": Page}
    calls = {"GET": calls.ROUTE_HEALTH}

    def get(self, request: HttpRequest, route_id: str) -> HttpResponse:
        asked = self.query(Page)
        now = datetime.now(UTC)
        route = registry.one(self.key.account_id, route_id)
        found = standing.paths(route, self.key.account_id)
        if asked.cursor:
            found = found.filter(destination__gt=pagination.decode_cursor(asked.cursor, 1)[0])
        rows = list(found[: asked.limit + 1])
        page = pagination.page(
            rows, asked.limit, lambda row: pagination.encode_cursor(row.destination), lambda row: _path(row, now)
        )
        return answer({"today": _today(standing.today(route, now)), **page})


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise ValueError(text)
    return int(text)


def shown(route: Route, *, own: bool) -> dict[str, Any]:
    """A route without its secrets."""
    return {
        "id": route.id,
        "name": route.name,
        "kind": route.kind,
        "platform": route.account_id is None,
        "enabled": route.enabled,
        "weight": route.weight,
        "connections": route.connections,
        "per_minute": route.per_minute,
        "per_day": route.per_day,
        "warmup": route.warmup,
        "tiers": [Tier(tier).label for tier in route.tiers],
        "options": options.shown(route, own=own),
        "hook_url": options.hook_url(route) if own else None,
        "created_at": zulu(route.created_at),
        "updated_at": zulu(route.updated_at),
    }


def _change(row: PathChange) -> dict[str, Any]:
    return {
        "destination": row.destination,
        "before": row.before,
        "after": row.after,
        "reason": row.reason,
        "figures": row.figures,
        "at": zulu(row.at),
    }


def _path(row: PathHealth, now: datetime) -> dict[str, Any]:
    told = dataclasses.asdict(standing.path(row, now))
    return told | {name: zulu(told[name]) for name in ("open_until", "wait_until", "updated_at")}


def _today(found: standing.Today) -> dict[str, Any]:
    return dataclasses.asdict(found) | {"date": found.date.isoformat()}
