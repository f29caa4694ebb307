"""Alerts: what is wrong now, what was, and the rules that say so."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from analytics.alerts import acting, rules
from analytics.alerts.metrics import KINDS, Metric
from analytics.alerts.shapes import AlertRuleShape
from analytics.models import AlertRule
from sendarix.core import shapes
from sendarix.core.errors import ApiError, Conflict
from sendarix.dashboard import wording
from sendarix.dashboard.forms import SpanField, WordsField, given, refuse
from sendarix.dashboard.pages import Page

SHOWN = 50

METRICS = (
    ("volume", gettext_lazy("Messages received")),
    ("bounce_rate", gettext_lazy("Bounce rate, %")),
    ("deferral_rate", gettext_lazy("Deferral rate, %")),
    ("complaint_rate", gettext_lazy("Complaint rate, %")),
    ("latency_p95", gettext_lazy("Latency p95, seconds")),
    ("queue_age", gettext_lazy("Age of the queue, seconds")),
    ("webhook_failure_rate", gettext_lazy("Webhook failure rate, %")),
    ("recipient_volume", gettext_lazy("Messages to one recipient")),
)
COMPARES = (
    ("above", gettext_lazy("is above")),
    ("below", gettext_lazy("is below")),
    ("baseline", gettext_lazy("is so many times what is usual at this hour of the week")),
)
SCOPES = (
    ("account", gettext_lazy("The account")),
    ("key", gettext_lazy("An API key")),
    ("template", gettext_lazy("A template")),
    ("tag", gettext_lazy("A tag")),
    ("destination", gettext_lazy("A destination")),
)
PATHS = {"factor": "threshold", "scope.kind": "scope", "scope.value": "scope_value", "window_seconds": "window"}


class RuleForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    metric = forms.ChoiceField(label=pgettext_lazy("condition", "When"), choices=METRICS)
    compare = forms.ChoiceField(label=gettext_lazy("Compared how"), choices=COMPARES)
    threshold = forms.FloatField(
        label=gettext_lazy("Than"),
        min_value=0,
        help_text=gettext_lazy("A number, a percentage or seconds; with the usual: how many times (1.5 to 100)."),
    )
    window = SpanField(
        label=gettext_lazy("Within"), initial=300, required=True, help_text=gettext_lazy("Whole minutes, like 5m.")
    )
    minimum = forms.IntegerField(
        label=gettext_lazy("From at least"),
        initial=20,
        min_value=0,
        help_text=gettext_lazy("Nothing is concluded from fewer messages."),
    )
    scope = forms.ChoiceField(label=gettext_lazy("Of"), choices=SCOPES)
    scope_value = forms.CharField(
        label=gettext_lazy("Which one"),
        required=False,
        max_length=320,
        help_text=gettext_lazy("Id of the key, key of the template, tag, domain or provider. Empty: each on its own."),
    )
    mail_to = WordsField(label=gettext_lazy("Mail to"), help_text=gettext_lazy("Addresses, at most ten."))
    webhook = forms.BooleanField(label=gettext_lazy("Tell webhooks (alert.fired)"), required=False, initial=True)
    hold_key = forms.BooleanField(
        label=gettext_lazy("Hold the key: its mail waits until somebody releases it"), required=False
    )
    enabled = forms.BooleanField(label=gettext_lazy("In use"), required=False, initial=True)

    def payload(self) -> dict[str, Any]:
        """As POST /v1/alert-rules has it: shares where the form has percentages."""
        told = self.cleaned_data
        value = told["threshold"]
        baseline = told["compare"] == "baseline"
        share = KINDS[Metric(told["metric"])].share and not baseline
        line = {"factor" if baseline else "threshold": value / 100 if share else value}
        names = ("name", "metric", "compare", "minimum", "webhook", "hold_key", "enabled", "mail_to")
        scope = given({"kind": told["scope"], "value": told["scope_value"]})
        return {**{name: told[name] for name in names}, **line, "window_seconds": told["window"], "scope": scope}


def initial(rule: AlertRule) -> dict[str, Any]:
    """A rule as its form has it."""
    share = KINDS[Metric(rule.metric)].share and rule.compare != "baseline"
    value = rule.factor if rule.compare == "baseline" else rule.threshold
    names = (
        "name",
        "metric",
        "compare",
        "minimum",
        "scope",
        "scope_value",
        "mail_to",
        "webhook",
        "hold_key",
        "enabled",
    )
    told = {name: getattr(rule, name) for name in names}
    return {**told, "threshold": value * 100 if share and value is not None else value, "window": rule.window_seconds}


class AlertPage(Page):
    section = "alerts"

    @property
    def whose(self) -> tuple[int, bool]:
        return self.visit.account.pk, self.visit.livemode


class Alerts(AlertPage):
    actions = {"GET": "alerts.view"}

    def get(self, request: HttpRequest) -> HttpResponse:
        found = rules.alerts(*self.whose)
        context = {
            "open": found.filter(resolved_at=None)[:SHOWN],
            "past": found.exclude(resolved_at=None)[:SHOWN],
            "rules": rules.of(*self.whose),
        }
        return self.render("dashboard/alerts/list.html", context)


class RulePage(AlertPage):
    """A form of a rule, new or known."""

    def show(self, form: RuleForm, rule: AlertRule | None = None, status: int = 200) -> HttpResponse:
        return self.render("dashboard/alerts/rule.html", {"form": form, "rule": rule}, status)

    def rule(self, rule_id: str) -> AlertRule:
        return rules.one(*self.whose, rule_id)

    def saved(self, form: RuleForm, rule: AlertRule | None) -> bool:
        """False with the faults on the form."""
        if not form.is_valid():
            return False
        try:
            fields = shapes.validate(AlertRuleShape, form.payload()).fields()
            if fields["hold_key"] and not self.visit.livemode:
                form.add_error("hold_key", _("Mail of test keys is never held back."))
                return False
            if rule is None:
                rules.create(*self.whose, fields, self.visit.actor)
            else:
                rules.update(*self.whose, rule.id, fields, self.visit.actor)
        except ApiError as refused:
            refuse(form, refused, PATHS)
            return False
        return True


class NewRule(RulePage):
    actions = {"GET": "alerts.write", "POST": "alerts.write"}

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show(RuleForm(initial={"mail_to": [self.visit.user.email]}))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = RuleForm(request.POST)
        if not self.saved(form, None):
            return self.show(form, status=422)
        messages.success(request, _("The rule watches from now on."))
        return self.to("alerts")


class EditRule(RulePage):
    actions = {"GET": "alerts.write", "POST": "alerts.write"}

    def get(self, request: HttpRequest, rule_id: str) -> HttpResponse:
        rule = self.rule(rule_id)
        return self.show(RuleForm(initial=initial(rule)), rule)

    def post(self, request: HttpRequest, rule_id: str) -> HttpResponse:
        rule, form = self.rule(rule_id), RuleForm(request.POST)
        if not self.saved(form, rule):
            return self.show(form, rule, 422)
        messages.success(request, _("Saved."))
        return self.to("alerts")


class RuleRemoval(RulePage):
    actions = {"POST": "alerts.write"}

    def post(self, request: HttpRequest, rule_id: str) -> HttpResponse:
        rules.remove(*self.whose, self.rule(rule_id).id, self.visit.actor)
        messages.success(request, _("The rule is removed."))
        return self.to("alerts")


class Release(AlertPage):
    """Lets the mail go that an alert holds."""

    actions = {"POST": "alerts.write"}

    def post(self, request: HttpRequest, alert_id: str) -> HttpResponse:
        try:
            _alert, count = acting.release(*self.whose, alert_id, self.visit.actor)
        except Conflict as refused:
            messages.error(request, wording.refusal(refused))
        else:
            messages.success(request, _("Released; %(count)s messages go out.") % {"count": count})
        return self.to("alerts")


urlpatterns = [
    path("alerts", Alerts.as_view(), name="alerts"),
    path("alerts/rules/new", NewRule.as_view(), name="alert-rule-new"),
    path("alerts/rules/<str:rule_id>", EditRule.as_view(), name="alert-rule"),
    path("alerts/rules/<str:rule_id>/remove", RuleRemoval.as_view(), name="alert-rule-remove"),
    path("alerts/<str:alert_id>/release", Release.as_view(), name="alert-release"),
]
