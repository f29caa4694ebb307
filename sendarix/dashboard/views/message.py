"""One message: what became of it and why, its content for those who may see it, and what can be done about it."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.translation import gettext as _

from messaging import queries, viewing
from messaging.models import Attachment, Message
from sendarix.dashboard import dossier, framing, revealing, summary
from sendarix.dashboard.pages import Page
from sendarix.dashboard.views.message_forms import RescheduleForm

PARTS = ("html", "text", "headers", "source")


class MessagePage(Page):
    actions = {"GET": "messages.view"}
    section = "messages"

    def get(self, request: HttpRequest, message_id: str) -> HttpResponse:
        found = dossier.gather(self.visit, message_id, datetime.now(UTC))
        revealed = revealing.revealed(request, self.visit, found.message.id)
        context = {
            "one": found,
            "message": found.message,
            "content": found.message.content,
            "revealed": revealed,
            "reschedule": RescheduleForm(self.visit, initial={"at": found.message.scheduled_time}),
            "summary": summary.of(found, dossier.clock_of(self.visit, datetime.now(UTC)), revealed),
            **(_content(found.message, request.GET.get("part", "")) if revealed else {}),
        }
        return self.render("dashboard/messages/message.html", context)


def _content(message: Message, asked: str) -> dict[str, Any]:
    """The part of the content that is looked at: the one asked for, or the first there is."""
    body = viewing.body(message)
    there = [name for name in PARTS if name not in ("html", "text") or getattr(body, name) is not None]
    part = asked if asked in there else there[0]
    shown: dict[str, Any] = {"parts": there, "part": part, "text": body.text if part == "text" else None}
    if part == "headers":
        shown["headers"] = viewing.headers(message)
    if part == "source":
        try:
            shown["source"] = viewing.source(message)
        except OSError:
            shown["source"] = None
    return shown


class Revealed(Page):
    """What only those see who may see the content, or have revealed it."""

    actions = {"GET": "messages.view"}
    section = "messages"

    def message(self, request: HttpRequest, message_id: str) -> Message:
        found = queries.one(self.visit.caller, message_id)
        if not revealing.revealed(request, self.visit, found.id):
            raise PermissionDenied("messages.reveal")
        return found


class MessageBody(Revealed):
    """The HTML, for the frame."""

    def get(self, request: HttpRequest, message_id: str) -> HttpResponse:
        return framing.framed(viewing.body(self.message(request, message_id)).html or "")


class MessageSource(Revealed):
    def get(self, request: HttpRequest, message_id: str) -> HttpResponse:
        try:
            return framing.plain(viewing.source(self.message(request, message_id)).octets)
        except OSError:
            raise Http404 from None


class MessageFile(Revealed):
    def get(self, request: HttpRequest, message_id: str, position: int) -> HttpResponseBase:
        message = self.message(request, message_id)
        file = Attachment.objects.filter(message_id=message.id, position=position).first()
        if file is None:
            raise Http404
        try:
            return framing.download(file.path, file.filename)
        except OSError:
            raise Http404 from None


class Reveal(Page):
    actions = {"POST": "messages.reveal"}
    section = "messages"

    def post(self, request: HttpRequest, message_id: str) -> HttpResponse:
        revealing.reveal(request, self.visit, message_id)
        messages.success(request, _("Shown. The audit log has an entry of it."))
        return self.to("message", message_id)


urlpatterns = [
    path("messages/<str:message_id>", MessagePage.as_view(), name="message"),
    path("messages/<str:message_id>/body", MessageBody.as_view(), name="message-body"),
    path("messages/<str:message_id>/source", MessageSource.as_view(), name="message-source"),
    path("messages/<str:message_id>/files/<int:position>", MessageFile.as_view(), name="message-file"),
    path("messages/<str:message_id>/reveal", Reveal.as_view(), name="message-reveal"),
]
