"""Delivery policies: how hard messages are tried, by tier, tag, template or destination."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.delivery import ways
from messaging.models import DeliveryPolicy
from messaging.routes import policies
from messaging.views.routing_shapes import PolicyShape, policy_fields
from sendarix.core import shapes
from sendarix.core.errors import ApiError
from sendarix.dashboard.forms import TIERS, SpanField, SpansField, WordsField, given, refuse
from sendarix.dashboard.pages import Page
from sendarix.dashboard.views.rules import conditions

UNCERTAIN = (
    ("", gettext_lazy("As by default (try again)")),
    ("retry", gettext_lazy("Try again")),
    ("hold", gettext_lazy("Hold until somebody decides")),
)
WHEN = ("tiers", "tags", "templates", "destinations")
PACING = ("connections", "per_connection", "per_minute")
PATHS = {"ttl_seconds": "ttl", **{f"when.{name}": name for name in WHEN}, **{f"pacing.{name}": name for name in PACING}}


class PolicyForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    position = forms.IntegerField(
        label=gettext_lazy("Position"),
        min_value=0,
        max_value=1_000_000,
        initial=100,
        help_text=gettext_lazy("The first whose conditions hold applies, the lowest number first."),
    )
    enabled = forms.BooleanField(label=gettext_lazy("In use"), required=False, initial=True)
    tiers = forms.MultipleChoiceField(
        label=gettext_lazy("Tiers"), choices=TIERS, required=False, widget=forms.CheckboxSelectMultiple
    )
    tags = WordsField(label=gettext_lazy("Tag"), commas=True)
    templates = WordsField(label=gettext_lazy("Template"), commas=True)
    destinations = WordsField(
        label=gettext_lazy("Destination"), help_text=gettext_lazy("Domains, or providers like gmail.")
    )
    retry_ladder = SpansField(
        label=gettext_lazy("Wait after each try"),
        help_text=gettext_lazy("Like 30s, 5m, 30m, 2h; after the last the message is dead. Empty: the default."),
    )
    ttl = SpanField(
        label=gettext_lazy("Expires after"),
        help_text=gettext_lazy("Like 5m. Empty: never, if the message names no end."),
    )
    uncertain = forms.ChoiceField(
        label=gettext_lazy("When a hand-over is uncertain"), choices=UNCERTAIN, required=False
    )
    connections = forms.IntegerField(
        label=gettext_lazy("Connections"),
        required=False,
        min_value=1,
        max_value=200,
        help_text=gettext_lazy("At once, for each destination and worker."),
    )
    per_connection = forms.IntegerField(
        label=gettext_lazy("Messages a connection"), required=False, min_value=1, max_value=10_000
    )
    per_minute = forms.IntegerField(label=gettext_lazy("Messages a minute"), required=False, min_value=1)

    @property
    def when(self) -> list[forms.BoundField]:
        return [self[name] for name in WHEN if name != "tiers"]

    @property
    def tries(self) -> list[forms.BoundField]:
        return [self[name] for name in ("retry_ladder", "ttl", "uncertain")]

    @property
    def pacing(self) -> list[forms.BoundField]:
        return [self[name] for name in PACING]

    def asked(self) -> dict[str, Any] | None:
        """The policy's fields; None when they are refused, which the form then says."""
        if not self.is_valid():
            return None
        found = self.cleaned_data
        payload = {
            **{name: found[name] for name in ("name", "position", "enabled")},
            **given({name: found[name] for name in ("retry_ladder", "uncertain")} | {"ttl_seconds": found["ttl"]}),
            "when": given({name: found[name] for name in WHEN}),
            "pacing": given({name: found[name] for name in PACING}),
        }
        try:
            return policy_fields(shapes.validate(PolicyShape, payload))
        except ApiError as refused:
            refuse(self, refused, PATHS)
            return None


def told(policy: DeliveryPolicy, account_id: int) -> dict[str, Any]:
    return {"policy": policy, "own": policy.account_id == account_id, "conditions": conditions(policy.when)}


def initial(policy: DeliveryPolicy) -> dict[str, Any]:
    plain = {name: getattr(policy, name) for name in ("name", "position", "enabled", "retry_ladder", "uncertain")}
    return {**plain, "ttl": policy.ttl_seconds, **policy.when, **policy.pacing}


class PolicyPage(Page):
    section = "routing"

    def own(self, policy_id: str) -> DeliveryPolicy:
        policy = policies.one(self.visit.account.pk, policy_id)
        if policy.account_id != self.visit.account.pk:
            raise Http404
        return policy

    def show(self, form: PolicyForm, policy: DeliveryPolicy | None = None, status: int = 200) -> HttpResponse:
        return self.render("dashboard/routing/policy.html", {"form": form, "policy": policy}, status)


class Policies(PolicyPage):
    actions = {"GET": "routing.view"}

    def get(self, request: HttpRequest) -> HttpResponse:
        account_id = self.visit.account.pk
        context = {
            "tab": "policies",
            "policies": [told(one, account_id) for one in policies.visible(account_id)],
            "default": policies.in_force(ways.DEFAULT_POLICY),
        }
        return self.render("dashboard/routing/policies.html", context)


class PolicyNew(PolicyPage):
    actions = {"GET": "routing.write", "POST": "routing.write"}

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show(PolicyForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = PolicyForm(request.POST)
        fields = form.asked()
        if fields is None:
            return self.show(form, status=422)
        try:
            made = policies.create(self.visit.account.pk, fields, self.visit.actor)
        except ApiError as refused:
            refuse(form, refused)
            return self.show(form, status=422)
        messages.success(request, _("The policy %(name)s is made.") % {"name": made.name})
        return self.to("policies")


class Policy(PolicyPage):
    actions = {"GET": "routing.write", "POST": "routing.write"}

    def get(self, request: HttpRequest, policy_id: str) -> HttpResponse:
        policy = self.own(policy_id)
        return self.show(PolicyForm(initial=initial(policy)), policy)

    def post(self, request: HttpRequest, policy_id: str) -> HttpResponse:
        policy, form = self.own(policy_id), PolicyForm(request.POST)
        fields = form.asked()
        if fields is None:
            return self.show(form, policy, 422)
        policies.update(self.visit.account.pk, policy.id, fields, self.visit.actor)
        messages.success(request, _("The policy is changed. It takes effect within a second."))
        return self.to("policies")


class PolicyRemoval(PolicyPage):
    actions = {"POST": "routing.write"}

    def post(self, request: HttpRequest, policy_id: str) -> HttpResponse:
        policies.remove(self.visit.account.pk, self.own(policy_id).id, self.visit.actor)
        messages.success(request, _("The policy is removed."))
        return self.to("policies")


urlpatterns = [
    path("routing/policies", Policies.as_view(), name="policies"),
    path("routing/policies/new", PolicyNew.as_view(), name="policy-new"),
    path("routing/policies/<str:policy_id>", Policy.as_view(), name="policy"),
    path("routing/policies/<str:policy_id>/remove", PolicyRemoval.as_view(), name="policy-remove"),
]
