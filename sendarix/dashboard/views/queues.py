"""Queues: how deep, how old, how fast; holding mail back and letting it go; throwing it away, counted first."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from messaging.delivery import beats, queue
from messaging.delivery.destinations import PROVIDERS
from messaging.queues import depth, pauses, purge, workers
from messaging.queues.depth import Depth, Figures
from messaging.routes import registry
from messaging.views.queue_shapes import PurgeFilterShape
from sendarix.core import shapes
from sendarix.core.errors import ApiError
from sendarix.dashboard import wording
from sendarix.dashboard.forms import ANY_TIER, LocalTimeField, given, names_of_keys, refuse
from sendarix.dashboard.pages import Page
from sendarix.dashboard.views import pausing
from sendarix.dashboard.views.pausing import PauseForm

WAITS = {
    "queued": gettext_lazy("Their turn"),
    "retry": gettext_lazy("Another try"),
    "scheduled": gettext_lazy("Their scheduled time"),
    "paused": gettext_lazy("The end of a pause or hold"),
    "paced": gettext_lazy("Their destination's pace"),
    "held": gettext_lazy("Being released"),
}
"""What messages wait for (`waits_for`)."""


@dataclass(frozen=True, slots=True)
class Row:
    """Some part of the queue with what pages compute from its figures."""

    name: str
    figures: Figures
    per_minute: float
    drain: float | None


def shown(found: Depth) -> dict[str, Any]:
    """The figures as the page has them."""

    def row(name: str | None, figures: Figures) -> Row:
        return Row(name or "", figures, figures.per_minute(found.seconds), figures.drain_seconds(found.seconds))

    return {
        "total": row("", found.total),
        "tiers": [row(name, part) for name, part in found.tiers.items()],
        "destinations": [row(name, part) for name, part in depth.largest(found.destinations)],
        "routes": [row(name, part) for name, part in depth.largest(found.routes)],
        "waits": [
            (WAITS.get(kind, wording.status(kind)), part) for kind, part in depth.largest(found.waits) if part.depth
        ],
        "truncated": found.truncated,
        "seconds": found.seconds,
    }


class Queues(Page):
    actions = {"GET": "queues.view", "POST": "queues.write"}
    section = "queues"

    def get(self, request: HttpRequest) -> HttpResponse:
        if request.htmx:
            return self.render("dashboard/queues/figures.html", self._figures())
        start = {name: request.GET[name] for name in ("tier", "destination", "route") if name in request.GET}
        return self._show(self._form(initial=start))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Pause."""
        form = self._form(request.POST)
        if form.pause(self.visit.account.pk, self.visit.actor) is None:
            return self._show(form, 422)
        messages.success(request, _("Paused. It takes effect within a second."))
        return self.to("queues")

    def _form(self, *args: Any, **kwargs: Any) -> PauseForm:
        account = self.visit.account
        return PauseForm(
            registry.visible(account.pk).order_by("name"),
            names_of_keys(self.visit, True),
            account.timezone,
            *args,
            **kwargs,
        )

    def _figures(self) -> dict[str, Any]:
        seen = queue.look(1)
        return {
            **shown(depth.look(self.visit.caller)),
            "beat": seen.cluster_age,
            "beats": seen.cluster_age is not None and seen.cluster_age < beats.LEASE.total_seconds(),
        }

    def _show(self, form: PauseForm, status: int = 200) -> HttpResponse:
        found = pauses.concerning(self.visit.account.pk).select_related("route")
        context = {
            "form": form,
            "pauses": pausing.told(found, names_of_keys(self.visit, True)),
            "providers": PROVIDERS,
            "workers": workers.beating() if self.visit.user.is_staff else None,
            "open": form.is_bound or bool(form.initial),
        }
        return self.render("dashboard/queues/queues.html", context | self._figures(), status)


class Resume(Page):
    actions = {"POST": "queues.write"}
    section = "queues"

    def post(self, request: HttpRequest, pause_id: str) -> HttpResponse:
        try:
            done = pauses.resume(self.visit.account.pk, pause_id, self.visit.actor)
        except ApiError as refused:
            if refused.status == 404:
                raise
            messages.error(request, wording.refusal(refused))
        else:
            messages.success(request, resumed(done.messages))
        return self.to("queues")


def resumed(count: int) -> str:
    return ngettext("Resumed; %(count)s message is let go.", "Resumed; %(count)s messages are let go.", count) % {
        "count": f"{count:,}"
    }


STATUSES = ("scheduled", "queued", "accepted", "deferred")


class PurgeForm(forms.Form):
    """Which waiting messages; at least one field."""

    tier = forms.ChoiceField(label=gettext_lazy("Tier"), choices=ANY_TIER, required=False)
    status = forms.ChoiceField(label=gettext_lazy("Status"), required=False)
    destination = forms.CharField(
        label=gettext_lazy("Destination"),
        required=False,
        max_length=253,
        help_text=gettext_lazy("A domain, or a provider."),
    )
    recipient = forms.CharField(label=gettext_lazy("Recipient"), required=False, max_length=320)
    template = forms.CharField(label=gettext_lazy("Template"), required=False, max_length=100)
    tag = forms.CharField(label=gettext_lazy("Tag"), required=False, max_length=100)
    created_after = LocalTimeField(label=gettext_lazy("Received since"))
    created_before = LocalTimeField(label=gettext_lazy("Received before"))

    def __init__(self, zone: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["status"].choices = [("", _("Any status")), *((name, wording.status(name)) for name in STATUSES)]
        self.fields["created_after"].zone = self.fields["created_before"].zone = zone
        self.fields["destination"].widget.attrs |= {"list": "destinations", "autocomplete": "off"}

    def asked(self) -> PurgeFilterShape | None:
        """None when it is refused, which the form then says."""
        if not self.is_valid():
            return None
        try:
            return shapes.validate(PurgeFilterShape, given(self.cleaned_data))
        except ApiError as refused:
            refuse(self, refused)
            return None


class Purge(Page):
    """GET with a filter counts, POST with the same filter and that count cancels."""

    actions = {"GET": "queues.purge", "POST": "queues.purge"}
    section = "queues"

    def get(self, request: HttpRequest) -> HttpResponse:
        form = self._form(request.GET) if request.GET else self._form()
        asked = form.asked() if request.GET else None
        if asked is None:
            return self._show(form, 422 if request.GET else 200)
        return self._show(form, found=purge.matched(self.visit.caller, asked.filter))

    def post(self, request: HttpRequest) -> HttpResponse:
        form, expected = self._form(request.POST), request.POST.get("expected", "")
        asked = form.asked()
        if asked is None or not (expected.isascii() and expected.isdecimal() and len(expected) < 9):
            return self._show(form, 422)
        told = asked.model_dump(mode="json", exclude_none=True)
        try:
            _found, count = purge.purge(self.visit.caller, asked.filter, int(expected), told, self.visit.actor)
        except ApiError as refused:
            refuse(form, refused)
            return self._show(form, 422)
        text = ngettext("%(count)s message is canceled.", "%(count)s messages are canceled.", count)
        messages.success(request, text % {"count": f"{count:,}"})
        return self.to("queues")

    def _form(self, *args: Any) -> PurgeForm:
        return PurgeForm(self.visit.account.timezone, *args)

    def _show(self, form: PurgeForm, status: int = 200, found: purge.Matched | None = None) -> HttpResponse:
        return self.render(
            "dashboard/queues/purge.html", {"form": form, "found": found, "providers": PROVIDERS}, status
        )


urlpatterns = [
    path("queues", Queues.as_view(), name="queues"),
    path("queues/pauses/<str:pause_id>/resume", Resume.as_view(), name="queue-resume"),
    path("queues/purge", Purge.as_view(), name="queue-purge"),
]
