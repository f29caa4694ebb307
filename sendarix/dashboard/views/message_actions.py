"""What people do to a message: try it now, cancel it, give it another time, send it again. Each is in the audit log."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _

from messaging import actions, queries, resending
from messaging.content import StorageUnavailable
from sendarix.accounts import audit
from sendarix.core.errors import ApiError
from sendarix.core.times import zulu
from sendarix.dashboard import wording
from sendarix.dashboard.pages import Page
from sendarix.dashboard.views.message_forms import RescheduleForm


class ActionPage(Page):
    """One change of one message, told on its page."""

    actions = {"POST": "messages.act"}
    section = "messages"

    def act(self, request: HttpRequest, message_id: str) -> str:
        """Do it; what is said of it. Raises ApiError when the message does not allow it."""
        raise TypeError("a subclass says what happens")

    def post(self, request: HttpRequest, message_id: str) -> HttpResponse:
        queries.one(self.visit.caller, message_id)
        try:
            messages.success(request, self.act(request, message_id))
        except ApiError as refused:
            messages.error(request, wording.refusal(refused))
        return self.to("message", message_id)

    def note(self, name: str, subject: str, **after: Any) -> None:
        audit.record(self.visit.actor, f"message.{name}", subject, after=after or None)


class Retry(ActionPage):
    def act(self, request: HttpRequest, message_id: str) -> str:
        with transaction.atomic():
            actions.retry(self.visit.caller, message_id, datetime.now(UTC))
            self.note("retried", message_id)
        return _("It is tried now.")


class Cancel(ActionPage):
    def act(self, request: HttpRequest, message_id: str) -> str:
        with transaction.atomic():
            actions.cancel(self.visit.caller, message_id)
            self.note("canceled", message_id)
        return _("It is canceled.")


class Reschedule(ActionPage):
    def act(self, request: HttpRequest, message_id: str) -> str:
        form = RescheduleForm(self.visit, request.POST)
        if not form.is_valid():
            raise ApiError(form.errors["at"][0], code="bad_request")
        with transaction.atomic():
            actions.reschedule(self.visit.caller, message_id, form.cleaned_data["at"])
            self.note("rescheduled", message_id, scheduled_time=zulu(form.cleaned_data["at"]))
        return _("Its time is changed.")


class SendAgain(ActionPage):
    def post(self, request: HttpRequest, message_id: str) -> HttpResponse:
        visit = self.visit
        queries.one(visit.caller, message_id)
        try:
            new = resending.again(visit.caller, message_id, visit.request_id, datetime.now(UTC))
        except ApiError as refused:
            messages.error(request, wording.refusal(refused))
            return self.to("message", message_id)
        except StorageUnavailable:
            messages.error(request, _("Its attachments can't be stored now. Try again in a minute."))
            return self.to("message", message_id)
        self.note("sent_again", message_id, message_id=new)
        messages.success(request, _("Sent again as a new message: this one."))
        return self.to("message", new)


urlpatterns = [
    path("messages/<str:message_id>/retry", Retry.as_view(), name="message-retry"),
    path("messages/<str:message_id>/cancel", Cancel.as_view(), name="message-cancel"),
    path("messages/<str:message_id>/reschedule", Reschedule.as_view(), name="message-reschedule"),
    path("messages/<str:message_id>/again", SendAgain.as_view(), name="message-again"),
]
