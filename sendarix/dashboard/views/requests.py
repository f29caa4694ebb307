"""The request log: each call of the API and each mail handed to the relay, for a week, with its faults and what it made."""

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sendarix.accounts import request_log
from sendarix.accounts.models import LoggedRequest
from sendarix.accounts.request_log import Filter
from sendarix.core import errors, pagination
from sendarix.dashboard.forms import LocalTimeField, names_of_keys
from sendarix.dashboard.pages import Page, Visit

SHOWN = 50

STATUSES = (
    ("", gettext_lazy("Any status")),
    ("2", gettext_lazy("2xx: done")),
    ("4", gettext_lazy("4xx: refused")),
    ("5", gettext_lazy("5xx: failed")),
)


class FilterForm(forms.Form):
    status = forms.ChoiceField(label=gettext_lazy("Status"), choices=STATUSES, required=False)
    key = forms.ChoiceField(label=gettext_lazy("API key"), required=False)
    path = forms.CharField(
        label=gettext_lazy("Path"),
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs={"placeholder": "/v1/messages", "spellcheck": "false"}),
    )
    request_id = forms.CharField(
        label=gettext_lazy("Request id"),
        required=False,
        max_length=40,
        widget=forms.TextInput(attrs={"placeholder": "req_…", "spellcheck": "false"}),
    )
    since = LocalTimeField(label=gettext_lazy("Since"))
    until = LocalTimeField(label=gettext_lazy("Until"))

    def __init__(self, visit: Visit, keys: dict[str, str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["key"].choices = [("", _("Any key")), *keys.items()]
        self.fields["since"].zone = self.fields["until"].zone = visit.account.timezone

    def wanted(self) -> Filter:
        found = self.cleaned_data
        return Filter(
            status=int(found["status"]) if found["status"] else None,
            key_id=found["key"] or None,
            path=found["path"].strip() or None,
            request_id=found["request_id"].strip() or None,
            since=found["since"],
            until=found["until"],
        )


def tone(status: int) -> str:
    return "good" if status < 400 else "warn" if status < 500 else "bad"


def told(row: LoggedRequest, keys: dict[str, str]) -> dict[str, Any]:
    return {"logged": row, "tone": tone(row.status), "key": keys.get(row.key_id, row.key_id)}


class Requests(Page):
    actions = {"GET": "requests.view"}
    section = "requests"

    def get(self, request: HttpRequest) -> HttpResponse:
        keys = names_of_keys(self.visit, self.visit.livemode)
        form = FilterForm(self.visit, keys, request.GET)
        valid = form.is_valid()
        rows = list(self._found(form)[: SHOWN + 1]) if valid else []
        page = pagination.page(rows, SHOWN, lambda row: pagination.encode_cursor(row.id), lambda row: told(row, keys))
        context = {
            "form": form,
            "requests": page["data"],
            "next_cursor": page["next_cursor"],
            "filtered": valid and form.wanted() != Filter(),
        }
        return self.render("dashboard/requests/log.html", context, 200 if valid else 422)

    def _found(self, form: FilterForm) -> Any:
        cursor = self.request.GET.get("cursor")
        before = pagination.decode_cursor(cursor, 1)[0] if cursor else None
        return request_log.entries(self.visit.account.pk, self.visit.livemode, form.wanted(), before)


class RequestDetail(Page):
    actions = {"GET": "requests.view"}
    section = "requests"

    def get(self, request: HttpRequest, request_id: str) -> HttpResponse:
        account_id, livemode = self.visit.account.pk, self.visit.livemode
        row = request_log.one(account_id, livemode, request_id)
        if row is None:
            raise Http404
        context = {
            **told(row, names_of_keys(self.visit, livemode)),
            "meaning": errors.CODES.get(row.code or ""),
            "faults": [
                (fault["field"], fault["code"], errors.FIELD_CODES.get(fault["code"], "")) for fault in row.faults or ()
            ],
            "replays": request_log.replays(account_id, livemode, row.message_id)[:SHOWN] if row.message_id else (),
        }
        return self.render("dashboard/requests/request.html", context)


urlpatterns = [
    path("requests", Requests.as_view(), name="requests"),
    path("requests/<str:request_id>", RequestDetail.as_view(), name="request"),
]
