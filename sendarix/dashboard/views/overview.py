"""Overview: how the account's mail does, beside the period before; what waits, what is wrong."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.urls import path

from analytics import queries as analytics
from analytics.alerts import rules
from analytics.figures import Level
from analytics.queries import Interval
from messaging import queries
from messaging.delivery import routebook
from messaging.queues import depth
from messaging.routes import registry
from sendarix.dashboard import charts
from sendarix.dashboard.pages import Page
from webhooks import queries as webhooks

PERIODS = {"24": 24, "72": 72, "168": 168}
NEWEST = 5
SLOW_CODE = 10.0
"""Seconds: codes that take longer than this (p95) are marked."""

TONES = {Level.OK: "good", Level.WARNING: "warn", Level.DANGER: "bad", Level.UNKNOWN: ""}


class Overview(Page):
    actions = {"GET": "overview.view"}
    section = "overview"

    def get(self, request: HttpRequest) -> HttpResponse:
        visit, now = self.visit, datetime.now(UTC)
        hours = PERIODS.get(request.GET.get("hours", ""), 24)
        figures = analytics.overview(visit.account.pk, visit.livemode, hours, now)
        zone = ZoneInfo(visit.account.timezone)
        context = {
            "figures": figures,
            "hours": hours,
            "periods": sorted(PERIODS.values()),
            "chart": charts.outcomes(figures.hours, zone, Interval.HOUR),
            "tones": {name: TONES[getattr(figures, name).level] for name in ("bounces", "complaints")},
            "code_is_slow": (figures.tiers[0].latency.p95 or 0) > SLOW_CODE,
            "queue": depth.waiting(visit.caller),
            "routes": _routes(visit.account.pk, now),
            "alerts": rules.alerts(visit.account.pk, visit.livemode).filter(resolved_at=None)[:NEWEST],
            "endpoints": _failing(visit.caller),
            "causes": queries.causes_of_death(visit.caller)[:NEWEST],
            "now": now,
        }
        return self.render("dashboard/overview.html", context)


def _routes(account_id: int, now: datetime) -> list[dict[str, Any]]:
    """The account's routes with the worst state that any of their paths is in."""
    book = routebook.snapshot()
    states: dict[str, set[str]] = {}
    for (route, _destination), seen in book.paths.items():
        states.setdefault(route, set()).add(
            "open" if seen.open(now) else "half_open" if seen.half_open(now) else "closed"
        )
    return [
        {"route": route, "state": _worst(states.get(route.id, set())) if route.enabled else "disabled"}
        for route in registry.visible(account_id)[:20]
    ]


def _worst(states: set[str]) -> str:
    return next((state for state in ("open", "half_open") if state in states), "closed")


def _failing(caller: Any) -> list[dict[str, Any]]:
    """Endpoints that are disabled or have been failing lately."""
    shown = webhooks.shown_endpoints(list(webhooks.endpoints(caller)[:50]))
    return [one for one in shown if one["failing_since"] or one["disabled"]]


urlpatterns = [path("", Overview.as_view(), name="overview")]
