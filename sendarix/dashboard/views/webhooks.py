"""Webhook endpoints of the visited environment: how each does, adding, changing, giving a new secret, trying, taking away."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sendarix.core import outbound
from sendarix.core.errors import ApiError
from sendarix.core.events import TYPES
from sendarix.dashboard import wording
from sendarix.dashboard.forms import refuse
from sendarix.dashboard.pages import Page
from webhooks import endpoints, queries, recovery
from webhooks.models import WebhookEndpoint, without_query

OVERLAPS = {"0": gettext_lazy("At once"), "1": gettext_lazy("In 1 hour"), "24": gettext_lazy("In 24 hours"),
            "168": gettext_lazy("In 7 days")}  # fmt: skip

WHY_DISABLED: dict[str, str | Promise] = {
    WebhookEndpoint.Disabled.CUSTOMER: gettext_lazy("Somebody disabled it."),
    WebhookEndpoint.Disabled.GONE: gettext_lazy("It answered 410 Gone."),
    WebhookEndpoint.Disabled.FAILING: gettext_lazy("It did nothing but fail for five days."),
}


class EndpointForm(forms.Form):
    url = forms.CharField(
        label=gettext_lazy("URL"),
        max_length=outbound.MAX_URL,
        help_text=gettext_lazy("Begins with https:// and leads to no private address."),
        widget=forms.URLInput(attrs={"placeholder": "https://example.com/hooks/sendarix", "autocomplete": "off"}),
    )
    description = forms.CharField(label=gettext_lazy("Description"), max_length=200, required=False)
    event_types = forms.MultipleChoiceField(
        label=gettext_lazy("Events"),
        required=False,
        choices=[(name, name) for name in TYPES],
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("None checked: all of them."),
    )


class OverlapForm(forms.Form):
    overlap = forms.ChoiceField(
        label=gettext_lazy("The old secret stops signing"), choices=list(OVERLAPS.items()), initial="24"
    )


@dataclass(frozen=True, slots=True)
class Row:
    """An endpoint with its figures of 24 hours: `success_rate` of 0 to 1, `p95` in seconds."""

    endpoint: WebhookEndpoint
    waiting: int
    attempts: int
    success_rate: float | None
    p95: float | None

    @property
    def url(self) -> str:
        """Without its query, which may hold a token."""
        return without_query(self.endpoint.url)

    @property
    def status(self) -> str:
        if self.endpoint.disabled:
            return "disabled"
        return "failing" if self.endpoint.failing_since else "enabled"

    @property
    def why_disabled(self) -> str | Promise:
        return WHY_DISABLED.get(self.endpoint.disabled or "", "")


def rows(found: list[WebhookEndpoint]) -> list[Row]:
    return [
        Row(
            endpoint,
            shown["waiting"]["count"],
            shown["last_day"]["attempts"],
            shown["last_day"]["success_rate"],
            None if shown["last_day"]["p95_ms"] is None else shown["last_day"]["p95_ms"] / 1000,
        )
        for endpoint, shown in zip(found, queries.shown_endpoints(found), strict=True)
    ]


class WebhookPage(Page):
    section = "webhooks"

    def one(self, webhook_id: str) -> WebhookEndpoint:
        return queries.endpoint(self.visit.caller, webhook_id)

    def show_secret(self, endpoint: WebhookEndpoint, secret: str, rotated: bool = False) -> HttpResponse:
        """The secret, in this answer only."""
        context = {"row": rows([endpoint])[0], "secret": secret, "rotated": rotated}
        response = self.render("dashboard/webhooks/secret.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response

    def tell(self, refused: ApiError) -> None:
        messages.error(self.request, wording.refusal(refused))


class Webhooks(WebhookPage):
    actions = {"GET": "webhooks.view"}

    def get(self, request: HttpRequest) -> HttpResponse:
        found = list(queries.endpoints(self.visit.caller)[: endpoints.MOST])
        return self.render("dashboard/webhooks/list.html", {"rows": rows(found)})


class NewWebhook(WebhookPage):
    actions = {"GET": "webhooks.write", "POST": "webhooks.write"}

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(EndpointForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form, visit = EndpointForm(request.POST), self.visit
        if form.is_valid():
            try:
                return self.show_secret(*endpoints.create(visit.caller, visit.actor, form.cleaned_data))
            except ApiError as refused:
                refuse(form, refused)
        return self._show(form, 422)

    def _show(self, form: EndpointForm, status: int = 200) -> HttpResponse:
        return self.render("dashboard/webhooks/edit.html", {"form": form}, status)


class EditWebhook(WebhookPage):
    actions = {"GET": "webhooks.write", "POST": "webhooks.write"}

    def get(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        endpoint = self.one(webhook_id)
        start = {name: getattr(endpoint, name) for name in ("url", "description", "event_types")}
        return self._show(endpoint, EndpointForm(initial=start))

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        form, endpoint = EndpointForm(request.POST), self.one(webhook_id)
        if form.is_valid():
            try:
                endpoints.update(self.visit.caller, self.visit.actor, webhook_id, form.cleaned_data)
            except ApiError as refused:
                refuse(form, refused)
            else:
                messages.success(request, _("Saved."))
                return self.to("webhook", webhook_id)
        return self._show(endpoint, form, 422)

    def _show(self, endpoint: WebhookEndpoint, form: EndpointForm, status: int = 200) -> HttpResponse:
        return self.render("dashboard/webhooks/edit.html", {"form": form, "endpoint": endpoint}, status)


class Switch(WebhookPage):
    """Enables or disables an endpoint."""

    actions = {"POST": "webhooks.write"}

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        enabled = request.POST.get("enabled") == "1"
        endpoints.update(self.visit.caller, self.visit.actor, webhook_id, {"enabled": enabled})
        told = _("It is enabled. What waits for it is sent now.") if enabled else _("It is disabled.")
        messages.success(request, told)
        return self.to("webhook", webhook_id)


class Rotation(WebhookPage):
    actions = {"POST": "webhooks.write"}

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        self.one(webhook_id)
        form = OverlapForm(request.POST)
        if not form.is_valid():
            messages.error(request, _("Choose when the old secret stops signing."))
            return self.to("webhook", webhook_id)
        overlap = timedelta(hours=int(form.cleaned_data["overlap"]))
        endpoint, secret = endpoints.rotate_secret(self.visit.caller, self.visit.actor, webhook_id, overlap)
        return self.show_secret(endpoint, secret, rotated=True)


class TestEvent(WebhookPage):
    actions = {"POST": "webhooks.write"}

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        endpoint = self.one(webhook_id)
        try:
            delivery = recovery.test(endpoint)
        except ApiError as refused:
            self.tell(refused)
            return self.to("webhook", webhook_id)
        return self.to("webhook-delivery", webhook_id, queries.public_id(delivery))


class Removal(WebhookPage):
    actions = {"POST": "webhooks.write"}

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        endpoints.remove(self.visit.caller, self.visit.actor, webhook_id)
        messages.success(request, _("The endpoint is removed."))
        return self.to("webhooks")


def panel(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """What the page of an endpoint shows beside its deliveries."""
    return {"row": rows([endpoint])[0], "rotation": OverlapForm()}


urlpatterns = [
    path("webhooks", Webhooks.as_view(), name="webhooks"),
    path("webhooks/new", NewWebhook.as_view(), name="webhook-new"),
    path("webhooks/<str:webhook_id>/edit", EditWebhook.as_view(), name="webhook-edit"),
    path("webhooks/<str:webhook_id>/enabled", Switch.as_view(), name="webhook-switch"),
    path("webhooks/<str:webhook_id>/rotate", Rotation.as_view(), name="webhook-rotate"),
    path("webhooks/<str:webhook_id>/test", TestEvent.as_view(), name="webhook-test"),
    path("webhooks/<str:webhook_id>/remove", Removal.as_view(), name="webhook-remove"),
]
