"""Analytics: counts, rates and latencies by time and by group, as a chart, a table and CSV."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from analytics import queries, showing
from analytics.dimensions import Dimension
from analytics.queries import Bucket, Group, Interval, Series
from messaging.models import Tier
from messaging.routes import registry
from sendarix.accounts.models import ApiKey
from sendarix.dashboard import charts, framing, wording
from sendarix.dashboard.masking import masked_text
from sendarix.dashboard.pages import Page

LINES = 6
"""Groups that get a line of the chart; the table has all that are named."""


@dataclass(frozen=True, slots=True)
class Period:
    label: str | Promise
    length: timedelta
    interval: Interval


@dataclass(frozen=True, slots=True)
class Metric:
    label: str | Promise
    figure: Callable[[Bucket], float | None]
    unit: str = ""


PERIODS = {
    "24h": Period(_("24 hours"), timedelta(hours=24), Interval.HOUR),
    "7d": Period(_("7 days"), timedelta(days=7), Interval.HOUR),
    "30d": Period(_("30 days"), timedelta(days=30), Interval.DAY),
    "90d": Period(_("90 days"), timedelta(days=90), Interval.DAY),
}

METRICS = {
    "outcomes": Metric(_("Outcomes"), lambda bucket: float(bucket.counts.received)),
    "received": Metric(_("Received"), lambda bucket: float(bucket.counts.received)),
    "delivery": Metric(_("Delivery rate"), lambda bucket: _share(bucket.counts.delivery_rate), "%"),
    "bounces": Metric(_("Bounce rate"), lambda bucket: _share(bucket.counts.bounce_rate), "%"),
    "deferrals": Metric(_("Deferral rate"), lambda bucket: _share(bucket.counts.deferral_rate), "%"),
    "complaints": Metric(_("Complaint rate"), lambda bucket: _share(bucket.counts.complaint_rate), "%"),
    "latency": Metric(_("Latency p95"), lambda bucket: bucket.latency.p95, " s"),
}

GROUPS: dict[str, tuple[str | Promise, Dimension | None]] = {
    "": (_("Everything"), None),
    "tier": (_("Tier"), Dimension.TIER),
    "template": (_("Template"), Dimension.TEMPLATE),
    "tag": (_("Tag"), Dimension.TAG),
    "recipient_provider": (_("Recipient's provider"), Dimension.RECIPIENT_PROVIDER),
    "domain": (_("Recipient's domain"), Dimension.RECIPIENT_DOMAIN),
    "sender_domain": (_("Sender's domain"), Dimension.SENDER_DOMAIN),
    "route": (_("Route"), Dimension.ROUTE),
    "key": (_("API key"), Dimension.KEY),
    "bounce_class": (_("Cause of bounces"), Dimension.BOUNCE_CLASS),
}


class Analytics(Page):
    actions = {"GET": "analytics.view"}
    section = "analytics"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        asked = request.GET
        period = asked.get("period") if asked.get("period") in PERIODS else "7d"
        group = asked.get("group", "") if asked.get("group", "") in GROUPS else ""
        metric = asked.get("metric") if asked.get("metric") in METRICS else "outcomes"
        series = self._series(PERIODS[period or ""], GROUPS[group][1])
        if asked.get("format") == "csv":
            return framing.table(showing.table(series, group or None), f"analytics-{self.visit.environment}.csv")
        zone = ZoneInfo(self.visit.account.timezone)
        names = self._names(GROUPS[group][1], series)
        context = {
            "series": series,
            "chart": _chart(series, names, METRICS[metric or ""], metric or "", zone),
            "rows": list(zip(names, series.groups, strict=True)),
            "period": period, "periods": [(name, one.label) for name, one in PERIODS.items()],
            "group": group, "groups": [(name, label) for name, (label, _dimension) in GROUPS.items()],
            "metric": metric, "metrics": [(name, one.label) for name, one in METRICS.items()],
            "group_label": GROUPS[group][0],
        }  # fmt: skip
        return self.render("dashboard/analytics.html", context)

    def _series(self, period: Period, dimension: Dimension | None) -> Series:
        visit, until = self.visit, datetime.now(UTC)
        zone = ZoneInfo(visit.account.timezone)
        since = until - period.length
        series = queries.series(visit.account.pk, visit.livemode, since, until, period.interval, dimension, zone=zone)
        if dimension is not Dimension.TAG or visit.may("messages.unmasked"):
            return series
        groups = tuple(replace(one, value=masked_text(one.value)) if one.value else one for one in series.groups)
        return replace(series, groups=groups)

    def _names(self, dimension: Dimension | None, series: Series) -> list[str]:
        """What each group is called, in the order of the series' groups."""
        known: dict[str, str] = {}
        if dimension is Dimension.KEY:
            known = {key.id: key.name or key.id for key in ApiKey.objects.filter(account=self.visit.account)}
        elif dimension is Dimension.ROUTE:
            known = {route.id: route.name for route in registry.visible(self.visit.account.pk)}
        elif dimension is Dimension.TIER:
            known = {str(tier.value): str(wording.TIERS[tier.label]) for tier in Tier}
        elif dimension is Dimension.BOUNCE_CLASS:
            known = {group.value: wording.cause(group.value) for group in series.groups if group.value}
        return [_name(group, known) for group in series.groups]


def _name(group: Group, known: dict[str, str]) -> str:
    if group.value is not None:
        return known.get(group.value, group.value)
    return str(_("Others")) if group.other else str(_("None"))


def _chart(series: Series, names: list[str], metric: Metric, name: str, zone: ZoneInfo) -> dict[str, Any]:
    if series.groups:
        shown = list(zip(names, series.groups, strict=True))[:LINES]
        return charts.groups(shown, zone, series.interval, metric.figure, metric.unit)
    if name == "outcomes":
        return charts.outcomes(series.buckets, zone, series.interval)
    lines = [(str(metric.label), "--series-1", metric.figure)]
    return charts.lines(series.buckets, zone, series.interval, lines, metric.unit)


def _share(rate: float | None) -> float | None:
    return None if rate is None else round(rate * 100, 3)


urlpatterns = [path("analytics", Analytics.as_view(), name="analytics")]
