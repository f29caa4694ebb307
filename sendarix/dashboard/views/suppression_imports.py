"""Tables of recipients taken in: the file is read at once, its rows are taken in beside everything else, with progress and a
report per row."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sendarix.core.errors import ApiError
from sendarix.dashboard import framing
from sendarix.dashboard.forms import refuse
from sendarix.dashboard.masking import masked_address, masked_text
from sendarix.dashboard.pages import STOP_ASKING
from sendarix.dashboard.views.suppressions import REASONS, SuppressionPage
from suppressions import imports, spreadsheets
from suppressions.models import Reason
from suppressions.spreadsheets import Table

LARGEST = 20 * 1024 * 1024
"""Octets of a file."""

SHOWN = 100
"""Refused rows shown on the page; the report has all."""

COLUMNS = ("line", "recipient", "result", "fault")


class ImportForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("CSV file"),
        help_text=gettext_lazy(
            "Columns recipient, reason, note, expires_at; only the first is needed. Up to 100,000 rows."
        ),
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,text/csv"}),
    )
    reason = forms.ChoiceField(label=gettext_lazy("Reason of rows without one"), choices=REASONS, initial=Reason.MANUAL)

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > LARGEST:
            raise forms.ValidationError(_("The file is over 20 MB; split it."))
        return file


class NewImport(SuppressionPage):
    actions = {"GET": "suppressions.write", "POST": "suppressions.write"}
    largest = LARGEST + 64 * 1024  # with the form around it

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(ImportForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form, visit = ImportForm(request.POST, request.FILES), self.visit
        if form.is_valid():
            file, reason = form.cleaned_data["file"], Reason(form.cleaned_data["reason"])
            try:
                made = imports.begin(
                    visit.caller, visit.actor, Table(spreadsheets.decoded(file.read())), reason, file.name
                )
            except ApiError as refused:
                refuse(form, refused, {"csv": "file"})
            else:
                return self.to("suppression-import", made.pk)
        return self._show(form, 422)

    def _show(self, form: ImportForm, status: int = 200) -> HttpResponse:
        context = {"form": form, "imports": imports.of_caller(self.visit.caller)[:10]}
        return self.render("dashboard/suppressions/import.html", context, status)


class ImportDetail(SuppressionPage):
    actions = {"GET": "suppressions.write"}

    def get(self, request: HttpRequest, import_id: str) -> HttpResponse:
        one = imports.one(self.visit.caller, import_id)
        context = {"one": one, "refused": list(islice(rows(imports.results(one), "error"), SHOWN)), "shown": SHOWN}
        if request.htmx:
            over = STOP_ASKING if one.ended_at else 200
            return self.render("dashboard/suppressions/progress.html", context, over)
        return self.render("dashboard/suppressions/imported.html", context)


class Report(SuppressionPage):
    """What became of each row, as CSV."""

    actions = {"GET": "suppressions.write"}

    def get(self, request: HttpRequest, import_id: str) -> HttpResponseBase:
        found = rows(imports.results(imports.one(self.visit.caller, import_id)))
        if not self.visit.may("messages.unmasked"):
            found = (
                row | {"recipient": masked_address(row["recipient"]), "fault": masked_text(row["fault"])}
                for row in found
            )
        return framing.table(spreadsheets.written(found, COLUMNS), f"{import_id}.csv")


def rows(results: Iterator[dict[str, Any]], only: str = "") -> Iterator[dict[str, Any]]:
    """Results with their faults as one sentence; `only` those of one result."""
    for one in results:
        if not only or one["result"] == only:
            yield one | {"fault": " ".join(fault["message"] for fault in one.get("errors", ()))}


urlpatterns = [
    path("suppression-imports", NewImport.as_view(), name="suppression-imports"),
    path("suppression-imports/<str:import_id>", ImportDetail.as_view(), name="suppression-import"),
    path("suppression-imports/<str:import_id>/report", Report.as_view(), name="suppression-import-report"),
]
