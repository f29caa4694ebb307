"""Routes: the ways out, how each fares, a test call by each; making and changing them."""

from datetime import UTC, date, datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _

from messaging.delivery import routebook
from messaging.models import PathHealth, Route, Tier
from messaging.routes import checking, options, registry, standing
from messaging.routes.standing import Summary, Today
from messaging.views.routing_shapes import RouteCheckShape
from sendarix.core import pagination, shapes
from sendarix.core.errors import ApiError
from sendarix.core.turns import outside
from sendarix.dashboard import wording
from sendarix.dashboard.pages import Page
from sendarix.dashboard.views.route_forms import KINDS, RouteForm

PATHS = 50
"""Destinations of a route on its page, and changes a page of its history has."""


def where(route: Route, own: bool) -> str:
    """Where a route leads, in one line."""
    told = options.shown(route, own=own)
    match route.kind:
        case Route.Kind.SMTP:
            return f"{told['host']}:{told['port']}"
        case Route.Kind.PROVIDER:
            return str(told["backend"])
    return ""


def shown(route: Route, own: bool, summary: Summary, today: Today) -> dict[str, Any]:
    """A route as lists show it."""
    return {
        "route": route,
        "own": own,
        "kind": KINDS[route.kind][0],
        "where": where(route, own),
        "tiers": [Tier(tier).label for tier in route.tiers],
        "summary": summary,
        "today": today,
    }


def listed(rows: list[Route], account_id: int | None) -> list[dict[str, Any]]:
    summaries, todays = standing.summaries(rows), standing.todays(rows)
    return [shown(row, row.account_id == account_id, summaries[row.id], todays[row.id]) for row in rows]


class Routes(Page):
    actions = {"GET": "routing.view"}
    section = "routing"

    def get(self, request: HttpRequest) -> HttpResponse:
        account_id = self.visit.account.pk
        rows = list(registry.visible(account_id).order_by("name", "id"))
        own = [row for row in rows if row.account_id == account_id]
        context = {"routes": listed(rows, account_id), "uses_platform": not own, "tab": "routes"}
        return self.render("dashboard/routing/routes.html", context)


class RouteNew(Page):
    actions = {"GET": "routing.write", "POST": "routing.write"}
    section = "routing"

    def get(self, request: HttpRequest) -> HttpResponse:
        kind = request.GET.get("kind", "")
        return self._show(RouteForm(kind) if kind in KINDS else None, kind)

    def post(self, request: HttpRequest) -> HttpResponse:
        kind = request.GET.get("kind", "")
        if kind not in KINDS:
            raise Http404
        form = RouteForm(kind, request.POST)
        made = form.save(self.visit.account.pk, self.visit.actor)
        if made is None:
            return self._show(form, kind, 422)
        messages.success(request, _("The route %(name)s is made.") % {"name": made.name})
        return self.to("route", made.id)

    def _show(self, form: RouteForm | None, kind: str, status: int = 200) -> HttpResponse:
        context = {"form": form, "kind": kind, "kinds": KINDS.items()}
        return self.render("dashboard/routing/route_new.html", context, status)


class RoutePage(Page):
    """Of one route."""

    section = "routing"

    def own(self, route_id: str) -> Route:
        """To be changed: the platform's is not theirs."""
        route = registry.one(self.visit.account.pk, route_id)
        if route.account_id != self.visit.account.pk:
            raise Http404
        return route


class RouteDetail(RoutePage):
    actions = {"GET": "routing.view", "POST": "routing.write"}

    def get(self, request: HttpRequest, route_id: str) -> HttpResponse:
        return self._show(registry.one(self.visit.account.pk, route_id))

    def post(self, request: HttpRequest, route_id: str) -> HttpResponse:
        """Change it."""
        route = self.own(route_id)
        form = RouteForm(route.kind, request.POST, route=route)
        if form.save(self.visit.account.pk, self.visit.actor) is None:
            return self._show(route, form, 422)
        messages.success(request, _("The route is changed. It takes effect within a second."))
        return self.to("route", route.id)

    def _show(self, route: Route, form: RouteForm | None = None, status: int = 200) -> HttpResponse:
        own = route.account_id == self.visit.account.pk
        context = {
            **detail(self.request, route, self.visit.account.pk),
            "hook_url": options.hook_url(route) if own and self.visit.may("routing.write") else None,
            "form": form or (RouteForm(route.kind, route=route) if own else None),
            "editing": form is not None,
        }
        return self.render("dashboard/routing/route.html", context, status)


def detail(request: HttpRequest, route: Route, account_id: int | None) -> dict[str, Any]:
    """How a route fares, and a page of its history, as far as this account (None: the platform) may know."""
    now = datetime.now(UTC)
    changes = standing.changes(route, account_id)
    if cursor := request.GET.get("cursor"):
        (last,) = pagination.decode_cursor(cursor, 1)
        changes = changes.filter(id__lt=pagination.cursor_part(pagination.number, last))
    page = pagination.page(
        list(changes[: PATHS + 1]), PATHS, lambda row: pagination.encode_cursor(row.id), lambda row: row
    )
    return {
        **shown(
            route, route.account_id == account_id, standing.summaries([route])[route.id], standing.today(route, now)
        ),
        "paths": [standing.path(row, now) for row in _most_used(route, account_id)],
        "changes": page["data"],
        "next_cursor": page["next_cursor"],
        "needs_domain": route.kind == Route.Kind.MX,
    }


def _most_used(route: Route, account_id: int | None) -> list[PathHealth]:
    """Those in trouble first, then those with the newest figures."""
    return list(standing.paths(route, account_id).order_by("well", "-updated_at")[:PATHS])


class RouteSwitch(RoutePage):
    """Enable or disable it."""

    actions = {"POST": "routing.write"}

    def post(self, request: HttpRequest, route_id: str) -> HttpResponse:
        enabled = request.POST.get("enabled") == "yes"
        registry.update(self.own(route_id), {"enabled": enabled}, None, self.visit.actor)
        text = _("The route is enabled.") if enabled else _("The route is disabled; its mail takes the others.")
        messages.success(request, text)
        return self.to("route", route_id)


class RouteRemoval(RoutePage):
    actions = {"POST": "routing.write"}

    def post(self, request: HttpRequest, route_id: str) -> HttpResponse:
        route = self.own(route_id)
        try:
            registry.remove(route, self.visit.actor)
        except ApiError as refused:
            messages.error(request, wording.refusal(refused))
            return self.to("route", route_id)
        messages.success(request, _("The route %(name)s is removed.") % {"name": route.name})
        return self.to("routing")


class RouteCheck(RoutePage):
    actions = {"POST": "routing.write"}

    def post(self, request: HttpRequest, route_id: str) -> HttpResponse:
        call(request, self.own(route_id))
        return self.to("route", route_id)


def call(request: HttpRequest, route: Route) -> None:
    """A test call of a route (connects, TLS, login; sends nothing), and a message of what it found."""
    domain = request.POST.get("domain", "").strip()
    if route.kind == Route.Kind.MX and not domain:
        messages.error(request, _("Say whose mail servers to call."))
        return
    try:
        asked = shapes.validate(RouteCheckShape, {"domain": domain} if domain else {})
        with outside.turn(route.account_id or 0):
            found = checking.check(routebook.route_of(route, date.today()), asked.domain or "")
    except ApiError as refused:
        messages.error(request, wording.refusal(refused))
        return
    told = {"detail": wording.said(found["detail"]), "ms": found["milliseconds"], "host": found["mx"] or route.name}
    if found["ok"]:
        messages.success(request, _("%(host)s answers, in %(ms)s ms. %(detail)s") % told)
    else:
        messages.error(request, _("%(host)s does not work, after %(ms)s ms. %(detail)s") % told)


urlpatterns = [
    path("routing", Routes.as_view(), name="routing"),
    path("routing/routes/new", RouteNew.as_view(), name="route-new"),
    path("routing/routes/<str:route_id>", RouteDetail.as_view(), name="route"),
    path("routing/routes/<str:route_id>/switch", RouteSwitch.as_view(), name="route-switch"),
    path("routing/routes/<str:route_id>/remove", RouteRemoval.as_view(), name="route-remove"),
    path("routing/routes/<str:route_id>/check", RouteCheck.as_view(), name="route-check"),
]
