"""Messages: finding mail."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from messaging import queries
from sendarix.dashboard.pages import Page

NEWEST = 25


class Messages(Page):
    actions = {"GET": "messages.view"}
    section = "messages"

    def get(self, request: HttpRequest) -> HttpResponse:
        newest = queries.messages(self.visit.caller).order_by("-id")[:NEWEST]
        return self.render("dashboard/overview.html", {"newest": newest})


urlpatterns = [path("messages", Messages.as_view(), name="messages")]
