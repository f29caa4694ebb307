"""Suppressions of the visited environment: found, added with a note and an end, removed with a reason, taken out as a table."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sendarix.core import addresses, pagination, shapes
from sendarix.core.errors import ApiError
from sendarix.dashboard import framing, wording
from sendarix.dashboard.forms import LocalTimeField, given, refuse
from sendarix.dashboard.pages import Page
from suppressions import queries, services, spreadsheets
from suppressions.models import Reason, Suppression
from suppressions.queries import Filter
from suppressions.shapes import SuppressionShape

SHOWN = 25

REASONS = [(reason.value, wording.STATUSES[reason]) for reason in Reason]


class AddForm(forms.Form):
    recipient = forms.CharField(
        label=gettext_lazy("Address"), max_length=400, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    reason = forms.ChoiceField(label=gettext_lazy("Reason"), choices=REASONS, initial=Reason.MANUAL)
    note = forms.CharField(label=gettext_lazy("Note"), max_length=1_000, required=False)
    expires_at = LocalTimeField(label=gettext_lazy("Until"), help_text=gettext_lazy("Empty: for good."))

    def __init__(self, zone: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["expires_at"].zone = zone

    def shape(self) -> SuppressionShape | None:
        """What is asked for; None when it is wrong, and the form says how."""
        if not self.is_valid():
            return None
        try:
            return shapes.validate(SuppressionShape, given(self.cleaned_data))
        except ApiError as refused:
            refuse(self, refused)
            return None


class RemovalForm(forms.Form):
    why = forms.CharField(
        label=gettext_lazy("Why it may be mailed again"),
        max_length=500,
        help_text=gettext_lazy("Goes into the audit log."),
    )


def wanted(request: HttpRequest, parts: bool) -> tuple[Filter, str, list[str]]:
    """What the page is narrowed to, and as it was asked: a whole address in any spelling, or a part of one where `parts` may be
    looked for. Otherwise nothing is found, or who sees addresses masked learned them by guessing part after part."""
    text = request.GET.get("q", "").strip()[:320].replace("\x00", "")
    reasons = [reason for reason in request.GET.getlist("reason") if reason in list(Reason)]
    part = text if parts and not _is_address(text) else ""
    exact = None if part else text or None
    return Filter(recipient=exact, reasons=tuple(reasons), part=part or None), text, reasons


def _is_address(text: str) -> bool:
    try:
        addresses.parse(text)
    except addresses.AddressError:
        return False
    return True


class SuppressionPage(Page):
    section = "suppressions"

    def one(self, suppression_id: str) -> Suppression:
        found = queries.records(self.visit.caller).filter(pk=suppression_id).first()
        if found is None:
            raise Http404
        return found


class Suppressions(SuppressionPage):
    actions = {"GET": "suppressions.view", "POST": "suppressions.write"}

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(AddForm(self.visit.account.timezone))

    def post(self, request: HttpRequest) -> HttpResponse:
        form, visit = AddForm(self.visit.account.timezone, request.POST), self.visit
        shape = form.shape()
        if shape is None:
            return self._show(form, 422)
        record, new = services.suppress(
            visit.account.pk, visit.livemode, shape.recipient.text, shape.recipient.key, shape.reason,
            actor=visit.actor.id, note=shape.note or "", expires_at=shape.expires_at, keep_first=True,
        )  # fmt: skip
        if new:
            messages.success(request, _("Suppressed. Mail that waits for this address is not sent either."))
        else:
            messages.warning(request, _("This address was suppressed before. The older reason stays."))
        return self.to("suppression", record.pk)

    def _show(self, form: AddForm, status: int = 200) -> HttpResponse:
        narrowed, text, reasons = wanted(self.request, self.visit.may("messages.unmasked"))
        found = queries.newest(self.visit.caller, narrowed)
        if cursor := self.request.GET.get("cursor"):
            found = found.filter(id__lt=pagination.decode_cursor(cursor, 1)[0])
        page = pagination.page(list(found[: SHOWN + 1]), SHOWN, _cursor, lambda record: record)
        context = {
            "records": page["data"],
            "next_cursor": page["next_cursor"],
            "form": form,
            "text": text,
            "walked": queries.WALKED if narrowed.short else None,
            "chosen": reasons,
            "reasons": REASONS,
        }
        return self.render("dashboard/suppressions/list.html", context, status)


def _cursor(record: Suppression) -> str:
    return pagination.encode_cursor(record.pk)


class SuppressionDetail(SuppressionPage):
    actions = {"GET": "suppressions.view"}

    def get(self, request: HttpRequest, suppression_id: str) -> HttpResponse:
        context = {"record": self.one(suppression_id), "form": RemovalForm()}
        return self.render("dashboard/suppressions/record.html", context)


class Removal(SuppressionPage):
    actions = {"POST": "suppressions.write"}

    def post(self, request: HttpRequest, suppression_id: str) -> HttpResponse:
        record, form = self.one(suppression_id), RemovalForm(request.POST)
        if not form.is_valid():
            return self.render("dashboard/suppressions/record.html", {"record": record, "form": form}, 422)
        if not services.remove(self.visit.actor, record, form.cleaned_data["why"]):
            messages.error(request, _("It has just changed. Look at it again."))
            return self.to("suppressions")
        messages.success(request, _("Removed. The address is mailed again from now on."))
        return self.to("suppressions")


class Export(SuppressionPage):
    """All of what the list is narrowed to, as CSV."""

    actions = {"GET": "suppressions.export"}

    def get(self, request: HttpRequest) -> HttpResponseBase:
        found = queries.filtered(self.visit.caller, wanted(request, True)[0])
        rows = spreadsheets.written(map(queries.shown, queries.walked(found)))
        return framing.table(rows, f"suppressions-{self.visit.environment}.csv")


urlpatterns = [
    path("suppressions", Suppressions.as_view(), name="suppressions"),
    path("suppressions/export", Export.as_view(), name="suppression-export"),
    path("suppressions/<str:suppression_id>", SuppressionDetail.as_view(), name="suppression"),
    path("suppressions/<str:suppression_id>/remove", Removal.as_view(), name="suppression-remove"),
]
