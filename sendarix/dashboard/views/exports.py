"""Searches of messages as CSV: begun from the list, written in the background, fetched when done."""

from dataclasses import replace
from datetime import datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.translation import gettext as _

from messaging import exports
from messaging.models import ExportStatus
from messaging.searching import Query
from sendarix.core.errors import ApiError
from sendarix.core.times import zulu
from sendarix.dashboard import framing, wording
from sendarix.dashboard.pages import Page
from sendarix.dashboard.views.messages import read

SHOWN = 25
GOING = (ExportStatus.WAITING, ExportStatus.RUNNING)


class Exports(Page):
    actions = {"GET": "messages.export", "POST": "messages.export"}
    section = "messages"

    def get(self, request: HttpRequest) -> HttpResponse:
        found = list(exports.of_account(self.visit.caller)[:SHOWN])
        going = any(one.status in GOING for one in found)
        context = {"exports": found, "going": going}
        if request.htmx:
            return self.render("dashboard/exports/table.html", context)
        return self.render("dashboard/exports/list.html", context)

    def post(self, request: HttpRequest) -> HttpResponse:
        text = request.POST.get("q", "")
        try:
            exports.start(self.visit.caller, str(settled(read(self.visit, text))), self.visit.actor)
        except ApiError as refused:
            messages.error(request, wording.refusal(refused))
            return self.to("messages", q=text)
        messages.success(request, _("The export is being written."))
        return self.to("exports")


def settled(query: Query) -> Query:
    """With its times written out: what a day is depends on the reader's zone, which the job does not know."""
    return Query(
        tuple(
            replace(term, given=zulu(term.value)) if isinstance(term.value, datetime) else term for term in query.terms
        )
    )


class ExportFile(Page):
    actions = {"GET": "messages.export"}
    section = "messages"

    def get(self, request: HttpRequest, export_id: str) -> HttpResponseBase:
        try:
            file = exports.opened(self.visit.caller, export_id)
        except ApiError as refused:
            if refused.status == 404:
                raise
            messages.error(request, wording.refusal(refused))
            return self.to("exports")
        return framing.table(file.blocks, file.name, file.size)


urlpatterns = [
    path("exports", Exports.as_view(), name="exports"),
    path("exports/<str:export_id>", ExportFile.as_view(), name="export"),
]
