"""Overview: how the account's mail does now."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from messaging import queries
from sendarix.dashboard.pages import Page

NEWEST = 10


class Overview(Page):
    actions = {"GET": "overview.view"}
    section = "overview"

    def get(self, request: HttpRequest) -> HttpResponse:
        newest = queries.messages(self.visit.caller).order_by("-id")[:NEWEST]
        return self.render("dashboard/overview.html", {"newest": newest})


urlpatterns = [path("", Overview.as_view(), name="overview")]
