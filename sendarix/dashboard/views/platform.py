"""The platform as its operators see it: who works, what waits, its own routes, pauses for everybody, room and faults."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext as _

from analytics import queries as analytics
from messaging.delivery import beats, queue
from messaging.delivery.destinations import PROVIDERS
from messaging.models import Route
from messaging.queues import pauses, workers
from messaging.routes import registry
from sendarix.accounts import request_log
from sendarix.core import jobs, sizes
from sendarix.dashboard.pages import OperatorPage
from sendarix.dashboard.views import pausing, routes
from sendarix.dashboard.views.pausing import PauseForm
from sendarix.dashboard.views.queues import resumed
from sendarix.dashboard.views.route_forms import RouteForm
from webhooks import holds

FAILURES = 20
LATE = timedelta(minutes=2)
"""The dispatcher has counted everything this lately while it is well."""


class Platform(OperatorPage):
    section = "operator-platform"

    def get(self, request: HttpRequest) -> HttpResponse:
        if request.htmx:
            return self.render("dashboard/operator/now.html", _now())
        return self._show(self._form())

    def post(self, request: HttpRequest) -> HttpResponse:
        """Pause, for everybody."""
        form = self._form(request.POST)
        if form.pause(None, self.actor) is None:
            return self._show(form, 422)
        messages.success(request, _("Paused for everybody. It takes effect within a second."))
        return redirect("operator-platform")

    def _form(self, *args: Any) -> PauseForm:
        return PauseForm(_routes(), {}, "UTC", *args)

    def _show(self, form: PauseForm, status: int = 200) -> HttpResponse:
        context = {
            **_now(),
            "form": form,
            "providers": PROVIDERS,
            "pauses": pausing.told(pauses.concerning(None).select_related("route")),
            "routes": routes.listed(_routes(), None),
            "default_route": settings.DEFAULT_ROUTE.partition("://")[0].rstrip(":"),
            "sizes": sizes.look(),
            "failures": request_log.newest_failures(FAILURES),
            "open": form.is_bound,
        }
        return self.render("dashboard/operator/platform.html", context, status)


def _routes() -> list[Route]:
    return list(registry.visible(None).order_by("name", "id"))


def _now() -> dict[str, Any]:
    """What changes by the second."""
    seen, webhooks, counted = queue.look(1_000), holds.look(), analytics.counted_until()
    return {
        "queue": seen,
        "beats": _lately(seen.cluster_age),
        "tiers": queue.by_tier(),
        "workers": workers.beating(),
        "webhooks_waiting": holds.waiting(),
        "webhooks_oldest": webhooks.oldest_age,
        "webhooks_beat": webhooks.drain_age,
        "wakeups": jobs.waiting(),
        "counted": counted,
        "dispatcher": _lately(seen.dispatcher_age),
        "behind": counted is not None and timezone.now() - counted > LATE,
    }


def _lately(age: float | None) -> bool:
    return age is not None and age < beats.LEASE.total_seconds()


class Resume(OperatorPage):
    section = "operator-platform"

    def post(self, request: HttpRequest, pause_id: str) -> HttpResponse:
        done = pauses.resume(None, pause_id, self.actor)
        messages.success(request, resumed(done.messages))
        return redirect("operator-platform")


class PlatformRoute(OperatorPage):
    """One of the platform's routes: how it fares, a test call, changing it."""

    section = "operator-platform"

    def get(self, request: HttpRequest, route_id: str) -> HttpResponse:
        return self._show(registry.own(None, route_id))

    def post(self, request: HttpRequest, route_id: str) -> HttpResponse:
        route, do = registry.own(None, route_id), request.POST.get("do", "")
        if do == "check":
            routes.call(request, route)
        elif do in ("enable", "disable"):
            registry.update(route, {"enabled": do == "enable"}, None, self.actor)
            messages.success(request, _("The route is changed. It takes effect within a second."))
        else:
            form = RouteForm(route.kind, request.POST, route=route)
            if form.save(None, self.actor) is None:
                return self._show(route, form, 422)
            messages.success(request, _("The route is changed. It takes effect within a second."))
        return redirect("operator-route", route.id)

    def _show(self, route: Route, form: RouteForm | None = None, status: int = 200) -> HttpResponse:
        context = {
            **routes.detail(self.request, route, None),
            "form": form or RouteForm(route.kind, route=route),
            "editing": form is not None,
        }
        return self.render("dashboard/operator/route.html", context, status)


urlpatterns = [
    path("platform", Platform.as_view(), name="operator-platform"),
    path("platform/pauses/<str:pause_id>/resume", Resume.as_view(), name="operator-resume"),
    path("platform/routes/<str:route_id>", PlatformRoute.as_view(), name="operator-route"),
]
