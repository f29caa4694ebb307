"""The audit log: who changed what, from where, before and after; also as a table to take away."""

import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.translation import gettext_lazy, pgettext_lazy

from sendarix.accounts import audit
from sendarix.accounts.models import AuditEntry, Users
from sendarix.core import pagination
from sendarix.core.times import zulu
from sendarix.dashboard import framing
from sendarix.dashboard.forms import LocalTimeField, given
from sendarix.dashboard.pages import Page
from suppressions import spreadsheets

SHOWN = 50
NEWEST = 1_000
"""Entries among which the actions to choose from are looked for."""

MOST = 50_000
"""Rows of a table."""

EMPTY = "–"

COLUMNS = ("at", "actor", "action", "subject", "source", "request_id", "before", "after")


class FilterForm(forms.Form):
    """An address is a member or operator of this address; anything else is taken to the letter."""

    action = forms.CharField(label=gettext_lazy("Action"), required=False, max_length=60)
    actor = forms.CharField(label=gettext_lazy("By"), required=False, max_length=300)
    subject = forms.CharField(label=pgettext_lazy("audit", "Subject"), required=False, max_length=320)
    since = LocalTimeField(label=gettext_lazy("Since"))
    until = LocalTimeField(label=gettext_lazy("Until"))

    def __init__(self, zone: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["since"].zone = self.fields["until"].zone = zone
        self.fields["action"].widget.attrs |= {"list": "actions", "autocomplete": "off"}

    def wanted(self) -> dict[str, Any]:
        """As audit.entries takes it."""
        found = self.cleaned_data
        return given(
            {
                "action": found["action"].strip(),
                "subject": found["subject"].strip(),
                "actor": _actors(found["actor"].strip()),
                "created_after": found["since"],
                "created_before": found["until"],
            }
        )


def _actors(asked: str) -> list[str] | None:
    if "@" in asked and ":" not in asked:
        return [f"{kind}:{Users.normalize(asked)}" for kind in ("user", "operator")]
    return [asked] if asked else None


def differences(entry: AuditEntry) -> list[tuple[str, str | None, str | None]]:
    """(field, before, after) as text; None where a side does not have the field. What is empty on every side is left out."""
    before, after = _fields(entry.before), _fields(entry.after)
    told = [(name, _text(before, name), _text(after, name)) for name in dict.fromkeys([*before, *after])]
    return [one for one in told if {one[1], one[2]} - {None, EMPTY}]


def _fields(side: Any) -> dict[str, Any]:
    return side if isinstance(side, dict) else {} if side is None else {"": side}


def _text(side: dict[str, Any], name: str) -> str | None:
    if name not in side:
        return None
    value = side[name]
    if value is None or value in ("", [], {}):
        return EMPTY
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class AuditPage(Page):
    section = "audit"

    def filter(self) -> FilterForm:
        return FilterForm(self.visit.account.timezone, self.request.GET)


class AuditLog(AuditPage):
    actions = {"GET": "audit.view"}

    def get(self, request: HttpRequest) -> HttpResponse:
        form, account_id = self.filter(), self.visit.account.pk
        valid = form.is_valid()
        found = audit.entries(account_id, **form.wanted()) if valid else AuditEntry.objects.none()
        if cursor := request.GET.get("cursor"):
            (last,) = pagination.decode_cursor(cursor, 1)
            found = found.filter(pk__lt=pagination.cursor_part(pagination.number, last))
        page = pagination.page(
            list(found[: SHOWN + 1]),
            SHOWN,
            lambda row: pagination.encode_cursor(row.pk),
            lambda row: (row, differences(row)),
        )
        known = audit.entries(account_id).values_list("action", flat=True)[:NEWEST]
        context = {
            "form": form,
            "entries": page["data"],
            "next_cursor": page["next_cursor"],
            "known": sorted(set(known)),
            "filtered": valid and bool(form.wanted()),
        }
        return self.render("dashboard/audit/log.html", context, 200 if valid else 422)


class AuditTable(AuditPage):
    """The same, as CSV: the newest MOST rows."""

    actions = {"GET": "audit.view"}

    def get(self, request: HttpRequest) -> HttpResponseBase:
        form = self.filter()
        if not form.is_valid():
            return self.to("audit", **request.GET.dict())
        found = audit.entries(self.visit.account.pk, **form.wanted())[:MOST]
        table = spreadsheets.written(rows(found.iterator(chunk_size=2_000)), COLUMNS)
        return framing.table(table, f"audit-{self.visit.account.pk}.csv")


def rows(found: Iterator[AuditEntry]) -> Iterator[dict[str, str]]:
    for entry in found:
        plain = {name: getattr(entry, name) for name in ("actor", "action", "subject", "source", "request_id")}
        sides = {name: json.dumps(getattr(entry, name), ensure_ascii=False) for name in ("before", "after")}
        yield {**plain, **sides, "at": zulu(entry.at.astimezone(UTC))}


urlpatterns = [
    path("audit", AuditLog.as_view(), name="audit"),
    path("audit/table", AuditTable.as_view(), name="audit-table"),
]
