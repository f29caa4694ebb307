"""Messages: one search over all of an account's mail, counted by status, kept under a name, followed as it comes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging import searching
from messaging.models import Message, Status
from messaging.searching import Counts, Query, Term
from sendarix.accounts import searches
from sendarix.core import addresses
from sendarix.core.errors import ValidationFailed
from sendarix.dashboard import search_help, wording
from sendarix.dashboard.pages import Page, Visit

SHOWN = 50
TAILED = 25
"""Rows that one look of the live tail brings, at most."""

TABS = tuple(str(status) for status in Status)


@dataclass(frozen=True, slots=True)
class Tab:
    """A status with its matches, and the search narrowed to it."""

    status: str
    count: int
    query: str
    current: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a search comes to; `faults` when it can't be read or takes too long."""

    query: Query
    rows: list[Message]
    next_cursor: str | None = None
    reached: datetime | None = None
    counts: Counts | None = None
    faults: tuple[str, ...] = ()


def read(visit: Visit, text: str) -> Query:
    """Raises ValidationFailed."""
    masked = not visit.may("messages.unmasked")
    return searching.parse(text, datetime.now(UTC), ZoneInfo(visit.account.timezone), masked)


def found(visit: Visit, text: str, cursor: str | None) -> Found:
    try:
        query = read(visit, text)
    except ValidationFailed as refused:
        return Found(Query(), [], faults=tuple(wording.said(fault.message) for fault in refused.errors))
    try:
        page, counts = searching.look(visit.caller, query, SHOWN, cursor)
    except ValidationFailed as refused:
        return Found(query, [], faults=tuple(wording.said(fault.message) for fault in refused.errors))
    return Found(query, page.messages, page.next_cursor, page.reached, counts)


def tabs(query: Query, counts: Counts | None) -> list[Tab]:
    """The statuses that there are, and those asked for."""
    asked = {status for term in query.terms if term.word == "status" and not term.negated for status in _names(term)}
    rest = tuple(term for term in query.terms if term.word != "status")
    numbers = counts.by_status if counts else {}
    return [
        Tab(
            status,
            numbers.get(status, 0),
            str(Query((*rest, Term("status", status, (status,))))),
            asked == {status},
        )
        for status in TABS
        if numbers.get(status) or status in asked
    ]


def _names(term: Term) -> tuple[str, ...]:
    return tuple(map(str, term.value)) if isinstance(term.value, tuple) else ()


def without_status(query: Query) -> str:
    return str(Query(tuple(term for term in query.terms if term.word != "status")))


class SaveForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    q = forms.CharField(max_length=500, widget=forms.HiddenInput)


class Messages(Page):
    actions = {"GET": "messages.view"}
    section = "messages"

    def get(self, request: HttpRequest) -> HttpResponse:
        visit, text = self.visit, request.GET.get("q", "").strip()
        seen = found(visit, text, request.GET.get("cursor"))
        elsewhere = seen.query.livemode
        if elsewhere not in (None, visit.livemode):
            path = reverse("messages", args=[visit.account.slug, "live" if elsewhere else "test"])
            return HttpResponseRedirect(f"{path}?{urlencode({'q': text})}")
        context = {
            "seen": seen,
            "search_query": text,
            "rows": seen.rows,
            "next_cursor": seen.next_cursor,
            "live": "live" in request.GET and not seen.faults and "cursor" not in request.GET,
            "views": _views(text),
            "saved": searches.of(visit.user, visit.account),
            "form": SaveForm(initial={"q": text}),
            "words": search_help.WORDS,
            "recipient": _address(seen.query),
            **standing(seen.query, seen.counts),
        }
        return self.render("dashboard/messages/list.html", context, 422 if seen.faults else 200)


def standing(query: Query, counts: Counts | None) -> dict[str, Any]:
    """Counts by status, as tabs."""
    return {"counts": counts, "tabs": tabs(query, counts), "all_query": without_status(query)}


def _views(text: str) -> list[dict[str, Any]]:
    return [{"query": query, "name": name, "current": query == text} for query, name in search_help.VIEWS]


def _address(query: Query) -> str:
    """The address that is looked for, when that is all."""
    if len(query.terms) != 1 or query.terms[0].negated or query.terms[0].word not in ("", "to"):
        return ""
    return addresses.matching(query.terms[0].given)


class Tail(Page):
    """What has come since the newest row shown: rows for the table, and the counts anew."""

    actions = {"GET": "messages.view"}
    section = "messages"

    def get(self, request: HttpRequest) -> HttpResponse:
        visit, text, after = self.visit, request.GET.get("q", ""), request.GET.get("after", "")
        try:
            query = read(visit, text)
            page, counts = searching.look(visit.caller, query, TAILED)
        except ValidationFailed:
            raise Http404 from None
        rows = [message for message in page.messages if message.id > after]
        context = {
            "rows": rows,
            "search_query": text,
            "after": rows[0].id if rows else after,
            "arrived": True,
            "oob": True,
            **standing(query, counts),
        }
        return self.render("dashboard/messages/tail.html", context)


class SaveSearch(Page):
    actions = {"POST": "messages.view"}
    section = "messages"

    def post(self, request: HttpRequest) -> HttpResponse:
        form, visit = SaveForm(request.POST), self.visit
        if not form.is_valid():
            messages.error(request, _("Give the search a name, and something to look for."))
            return self.to("messages", q=request.POST.get("q", ""))
        try:
            searches.save(visit.user, visit.account, form.cleaned_data["name"], form.cleaned_data["q"])
        except searches.Full:
            messages.error(
                request, _("%(count)s searches are kept at most. Remove one first.") % {"count": searches.MOST}
            )
        else:
            messages.success(request, _("The search is kept."))
        return self.to("messages", q=form.cleaned_data["q"])


class ForgetSearch(Page):
    actions = {"POST": "messages.view"}
    section = "messages"

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        if not searches.forget(self.visit.user, self.visit.account, number):
            raise Http404
        messages.success(request, _("The search is removed."))
        return self.to("messages")


urlpatterns = [
    path("messages", Messages.as_view(), name="messages"),
    path("messages/tail", Tail.as_view(), name="messages-tail"),
    path("messages/searches", SaveSearch.as_view(), name="search-save"),
    path("messages/searches/<int:number>/remove", ForgetSearch.as_view(), name="search-remove"),
]
