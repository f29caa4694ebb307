"""A recipient: whether mail to the address leaves now and if not why, all mail to it, its suppression. Also reached by a message,
so that whoever sees addresses masked needs none."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging import queries, searching
from messaging.delivery import destinations, routebook
from messaging.models import Message
from messaging.routes import simulation
from messaging.searching import Query, Term
from sendarix.core import addresses
from sendarix.dashboard import explaining, revealing
from sendarix.dashboard.pages import Page, Visit
from suppressions import queries as suppressions
from suppressions import services
from suppressions.models import Reason, Suppression

SHOWN = 25


class NoteForm(forms.Form):
    note = forms.CharField(label=gettext_lazy("Reason"), max_length=1_000)


class RecipientPage(Page):
    """What the pages of one address share: found by itself, or as that of a message."""

    section = "messages"

    def of_message(self, message_id: str) -> Message:
        return queries.one(self.visit.caller, message_id)

    def address(self, text: str) -> addresses.Address:
        try:
            return addresses.parse(text)
        except addresses.AddressError:
            raise Http404 from None

    def record(self, key: str) -> Suppression | None:
        return suppressions.of_keys(self.visit.caller, [key]).get(key)

    def show(self, address: addresses.Address, message: Message | None, form: NoteForm, status: int) -> HttpResponse:
        visit, request = self.visit, self.request
        record = self.record(address.key)
        mail = searching.page(
            visit.caller, Query((Term("to", address.key, address.key),)), SHOWN, request.GET.get("cursor")
        )
        context = {
            "address": address.spec,
            "by_message": message,
            "revealed": message is None or revealing.revealed(request, visit, message.id),
            "record": record,
            "cause": _cause(visit, record),
            "way": _way(visit, address),
            "who": explaining.destination(address.domain, destinations.provider(address.domain)),
            "mail": mail.messages,
            "next_cursor": mail.next_cursor,
            "form": form,
        }
        return self.render("dashboard/recipients/recipient.html", context, status)

    def suppress(self, address: addresses.Address, note: str, message_id: str | None) -> None:
        """By hand; what is suppressed already stays as it is."""
        visit = self.visit
        services.suppress(
            visit.account.pk, visit.livemode, address.spec, address.key, Reason.MANUAL, message_id,
            actor=visit.actor.id, note=note, keep_first=True,
        )  # fmt: skip
        messages.success(self.request, _("Suppressed: nothing is sent to this address."))

    def unsuppress(self, address: addresses.Address, note: str) -> None:
        record = self.record(address.key)
        if record is not None and services.remove(self.visit.actor, record, note):
            messages.success(self.request, _("The suppression is removed: mail to this address leaves again."))
        else:
            messages.error(self.request, _("The suppression has just changed. Look again."))


def _cause(visit: Visit, record: Suppression | None) -> Message | None:
    """The message that the suppression came from."""
    if record is None or record.message_id is None:
        return None
    return queries.messages(visit.caller).select_related("content").filter(id=record.message_id).first()


def _way(visit: Visit, address: addresses.Address) -> dict[str, Any]:
    """What routing makes of an ordinary message to it."""
    facts = simulation.made_up(
        visit.caller, recipient=address.spec, priority="normal", template=None, tags=(), sender=None, size=20_000,
        provider=None, livemode=None,
    )  # fmt: skip
    return simulation.simulate(routebook.snapshot(), facts, datetime.now(UTC), "0")


class Recipient(RecipientPage):
    actions = {"GET": "messages.view"}

    def get(self, request: HttpRequest, text: str) -> HttpResponse:
        return self.show(self.address(text), None, NoteForm(), 200)


class Change(RecipientPage):
    """Suppress an address or let it go, with a reason."""

    actions = {"POST": "suppressions.write"}
    lifts = False

    def post(self, request: HttpRequest, text: str = "", message_id: str = "") -> HttpResponse:
        message = self.of_message(message_id) if message_id else None
        address = self.address(message.content.recipient if message else text)
        form = NoteForm(request.POST)
        if not form.is_valid():
            return self.show(address, message, form, 422)
        if self.lifts:
            self.unsuppress(address, form.cleaned_data["note"])
        else:
            self.suppress(address, form.cleaned_data["note"], message.id if message else None)
        return self.to("message", message.id) if message else self.to("recipient", address.spec)


class OfMessage(RecipientPage):
    actions = {"GET": "messages.view"}

    def get(self, request: HttpRequest, message_id: str) -> HttpResponse:
        message = self.of_message(message_id)
        return self.show(self.address(message.content.recipient), message, NoteForm(), 200)


class Find(Page):
    """From the box to the page of an address."""

    actions = {"GET": "messages.view"}
    section = "messages"

    def get(self, request: HttpRequest) -> HttpResponse:
        key = addresses.matching(request.GET.get("address", "").strip())
        if not key:
            messages.error(request, _("This is not an e-mail address."))
            return self.to("messages")
        return self.to("recipient", key)


urlpatterns = [
    path("recipients", Find.as_view(), name="recipient-find"),
    path("messages/<str:message_id>/recipient", OfMessage.as_view(), name="message-recipient"),
    path("messages/<str:message_id>/suppress", Change.as_view(), name="message-suppress"),
    path("messages/<str:message_id>/unsuppress", Change.as_view(lifts=True), name="message-unsuppress"),
    path("recipients/suppress/<path:text>", Change.as_view(), name="recipient-suppress"),
    path("recipients/unsuppress/<path:text>", Change.as_view(lifts=True), name="recipient-unsuppress"),
    path("recipients/<path:text>", Recipient.as_view(), name="recipient"),
]
