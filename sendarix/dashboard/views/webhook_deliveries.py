"""What was delivered to a webhook endpoint: the list, one delivery with request and reply, and delivering again. Bodies name
recipients: whoever sees addresses masked does not see them."""

import json
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from sendarix.core import pagination
from sendarix.core.errors import ApiError
from sendarix.core.events import TYPES
from sendarix.dashboard import wording
from sendarix.dashboard.forms import LocalTimeField, refuse
from sendarix.dashboard.pages import STOP_ASKING
from sendarix.dashboard.views.webhooks import WebhookPage, panel
from webhooks import queries, recovery
from webhooks.models import DeliveryStatus, WebhookDelivery, WebhookEndpoint

SHOWN = 25


class FilterForm(forms.Form):
    """What the list is narrowed to; what makes no sense narrows nothing."""

    status = forms.ChoiceField(
        label=gettext_lazy("Status"),
        required=False,
        choices=[
            ("", gettext_lazy("Any status")),
            *((status.value, wording.STATUSES[status]) for status in DeliveryStatus),
        ],
    )
    type = forms.ChoiceField(
        label=gettext_lazy("Event"),
        required=False,
        choices=[("", gettext_lazy("Any event")), *((name, name) for name in TYPES)],
    )
    message_id = forms.CharField(label=gettext_lazy("Message"), required=False, max_length=40)

    def conditions(self) -> dict[str, Any]:
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


def _cursor(row: WebhookDelivery) -> str:
    return pagination.encode_cursor(row.pk)


class RecoveryForm(forms.Form):
    since = LocalTimeField(label=gettext_lazy("Begin"), required=True)
    until = LocalTimeField(label=gettext_lazy("Until"), help_text=gettext_lazy("Empty: now."))

    def __init__(self, zone: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.zone = zone

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        since, until = given.get("since"), given.get("until")
        if since and until and until <= since:
            self.add_error("until", _("Must be later than the beginning."))
        return given


class EndpointPage(WebhookPage):
    """An endpoint with its deliveries."""

    def show(self, endpoint: WebhookEndpoint, recovering: RecoveryForm, status: int = 200) -> HttpResponse:
        form = FilterForm(self.request.GET)
        found = queries.deliveries(self.visit.caller, endpoint.id).filter(**form.conditions())
        if cursor := self.request.GET.get("cursor"):
            (last,) = pagination.decode_cursor(cursor, 1)
            found = found.filter(id__lt=pagination.cursor_part(pagination.number, last))
        rows = list(found[: SHOWN + 1])
        page = pagination.page(rows, SHOWN, _cursor, lambda row: (queries.public_id(row), row))
        context = {
            **panel(endpoint),
            "deliveries": page["data"],
            "next_cursor": page["next_cursor"],
            "form": form,
            "recovering": recovering,
            "filtered": bool(form.conditions()),
        }
        return self.render("dashboard/webhooks/endpoint.html", context, status)


class WebhookDetail(EndpointPage):
    actions = {"GET": "webhooks.view"}

    def get(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        return self.show(self.one(webhook_id), RecoveryForm(self.visit.account.timezone))


class Recovery(EndpointPage):
    """Delivers a time again."""

    actions = {"POST": "webhooks.write"}

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        endpoint, now = self.one(webhook_id), datetime.now(UTC)
        form = RecoveryForm(self.visit.account.timezone, request.POST)
        if not form.is_valid():
            return self.show(endpoint, form, 422)
        try:
            recovery.check_begin(form.cleaned_data["since"], now)
            done = recovery.recover(endpoint, form.cleaned_data["since"], form.cleaned_data["until"] or now)
        except ApiError as refused:
            refuse(form, refused)
            return self.show(endpoint, form, 422)
        told = ngettext("%(n)s event is delivered again.", "%(n)s events are delivered again.", done.count)
        messages.success(request, told % {"n": f"{done.count:,}"})
        if done.next_since:
            at = wording.clock(done.next_since, "second", now)
            messages.warning(request, _("There are more: recover again from %(at)s UTC.") % {"at": at})
        return self.to("webhook", webhook_id)


class Delivery(WebhookPage):
    actions = {"GET": "webhooks.view"}

    def get(self, request: HttpRequest, webhook_id: str, delivery_id: str) -> HttpResponse:
        row = queries.delivery(self.visit.caller, webhook_id, delivery_id)
        shown = queries.shown_whole(row)
        context = {
            **panel(row.endpoint),
            "delivery": row,
            "shown": shown,
            "body": indented(shown["body"]),
            "attempts": [one | {"at": datetime.fromisoformat(one["at"])} for one in reversed(shown["attempts"])],
            "moves": row.due_at is not None,
            "later": row.due_at is not None and row.due_at > datetime.now(UTC),
        }
        if request.htmx:
            over = STOP_ASKING if row.due_at is None else 200
            return self.render("dashboard/webhooks/attempts.html", context, over)
        return self.render("dashboard/webhooks/delivery.html", context)


class Replay(WebhookPage):
    actions = {"POST": "webhooks.write"}

    def post(self, request: HttpRequest, webhook_id: str, delivery_id: str) -> HttpResponse:
        delivery = queries.delivery(self.visit.caller, webhook_id, delivery_id)
        try:
            recovery.replay(delivery)
            messages.success(request, _("It is delivered again now, with the same webhook-id."))
        except ApiError as refused:
            self.tell(refused)
        return self.to("webhook-delivery", webhook_id, delivery_id)


def indented(body: str | None) -> str | None:
    """A JSON body for people to read."""
    return None if body is None else json.dumps(json.loads(body), indent=2, ensure_ascii=False)


urlpatterns = [
    path("webhooks/<str:webhook_id>", WebhookDetail.as_view(), name="webhook"),
    path("webhooks/<str:webhook_id>/recover", Recovery.as_view(), name="webhook-recover"),
    path("webhooks/<str:webhook_id>/deliveries/<str:delivery_id>", Delivery.as_view(), name="webhook-delivery"),
    path("webhooks/<str:webhook_id>/deliveries/<str:delivery_id>/replay", Replay.as_view(), name="webhook-replay"),
]
