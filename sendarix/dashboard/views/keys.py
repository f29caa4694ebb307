"""API keys of the visited environment: made, shown once, rotated, revoked. A developer makes and changes test keys only."""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from sendarix.accounts import keys, request_log
from sendarix.accounts.keys import KeyFault
from sendarix.accounts.models import ApiKey
from sendarix.accounts.request_log import Use
from sendarix.dashboard import wording
from sendarix.dashboard.forms import WordsField
from sendarix.dashboard.pages import Page, Visit

SHOWN = 200

SENDING = ("messages:send",)

SCOPES: dict[str, str | Promise] = {
    "messages:send": gettext_lazy("Send messages"),
    "messages:read": gettext_lazy("Read messages, attempts and content"),
    "suppressions:read": gettext_lazy("Read suppressions"),
    "suppressions:write": gettext_lazy("Add and remove suppressions"),
    "templates:read": gettext_lazy("Read templates"),
    "templates:write": gettext_lazy("Write and publish templates"),
    "domains:read": gettext_lazy("Read domains"),
    "domains:write": gettext_lazy("Add, verify and remove domains"),
    "webhooks:read": gettext_lazy("Read webhooks and deliveries"),
    "webhooks:write": gettext_lazy("Change webhooks, replay deliveries"),
    "routing:read": gettext_lazy("Read routes and rules"),
    "routing:write": gettext_lazy("Change routes and rules"),
    "analytics:read": gettext_lazy("Read analytics"),
    "alerts:write": gettext_lazy("Change alert rules, release held mail"),
    "events:read": gettext_lazy("Read events"),
    "audit:read": gettext_lazy("Read the audit log"),
    "suppressions:override": gettext_lazy("Send although the recipient has unsubscribed"),
    "queues:purge": gettext_lazy("Purge queues"),
}

LIVES = {"": pgettext_lazy("expiry", "Never"), "30": gettext_lazy("30 days"), "90": gettext_lazy("90 days"),
         "365": gettext_lazy("1 year")}  # fmt: skip

OVERLAPS = {"0": gettext_lazy("At once"), "1": gettext_lazy("In 1 hour"), "24": gettext_lazy("In 24 hours"),
            "168": gettext_lazy("In 7 days"), "720": gettext_lazy("In 30 days")}  # fmt: skip


class KeyForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=200, help_text=gettext_lazy("Who or what uses it."))
    access = forms.ChoiceField(
        label=gettext_lazy("May"),
        widget=forms.RadioSelect,
        initial="ordinary",
        choices=[
            ("ordinary", gettext_lazy("Everything ordinary")),
            ("sending", gettext_lazy("Send only")),
            ("chosen", gettext_lazy("What is checked below")),
        ],
        help_text=gettext_lazy("Ordinary is all but sending to the unsubscribed and purging queues."),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Scopes"),
        required=False,
        choices=[(scope, SCOPES.get(scope, scope)) for scope in keys.SCOPES],
        widget=forms.CheckboxSelectMultiple,
        initial=list(keys.ORDINARY),
    )
    expires = forms.ChoiceField(label=gettext_lazy("Expires"), required=False, choices=list(LIVES.items()))
    source_ips = WordsField(
        label=gettext_lazy("Source addresses"),
        help_text=gettext_lazy("Addresses or networks it may be used from, like 192.0.2.0/24. Empty: from anywhere."),
    )
    sender_domains = WordsField(
        label=gettext_lazy("Sender domains"),
        help_text=gettext_lazy("Domains it may send from. Empty: all of the account."),
    )
    default_sender = forms.CharField(
        label=gettext_lazy("Default sender"),
        required=False,
        max_length=1_000,
        help_text=gettext_lazy("Of messages that name none. Empty: the account's."),
    )

    def scopes_given(self) -> list[str]:
        chosen = {"ordinary": keys.ORDINARY, "sending": SENDING, "chosen": self.cleaned_data["scopes"]}
        return list(chosen[self.cleaned_data["access"]])


class RotationForm(forms.Form):
    overlap = forms.ChoiceField(
        label=gettext_lazy("The old key ends"), choices=list(OVERLAPS.items()), initial="24"
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A key with its standing (active, expired or revoked), and its requests of 7 days."""

    key: ApiKey
    status: str
    use: Use

    @property
    def usable(self) -> bool:
        return self.status == "active"

    @property
    def scopes(self) -> list[tuple[str, str | Promise]]:
        return [(scope, SCOPES.get(scope, scope)) for scope in self.key.scopes]

    @property
    def ordinary(self) -> bool:
        return self.key.scopes == list(keys.ORDINARY)


def rows(found: Iterable[ApiKey], account_id: int) -> list[Row]:
    now = timezone.now()
    use = request_log.use_of_keys(account_id, now)
    return [Row(key, _status(key, now), use.get(key.pk, Use())) for key in found]


def _status(key: ApiKey, now: datetime) -> str:
    if key.revoked_at:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= now else "active"


class KeyPage(Page):
    section = "keys"

    @property
    def writes(self) -> bool:
        return self.visit.may("keys.write" if self.visit.livemode else "keys.write_test")

    def all(self) -> QuerySet[ApiKey]:
        return ApiKey.objects.filter(account=self.visit.account, livemode=self.visit.livemode).order_by("-id")

    def one(self, key_id: str) -> ApiKey:
        found = self.all().filter(pk=key_id).first()
        if found is None:
            raise Http404
        return found

    def row(self, key: ApiKey) -> Row:
        return rows([key], self.visit.account.pk)[0]

    def show_once(self, key: ApiKey, token: str, until: Any = None) -> HttpResponse:
        """The token, in this answer only; neither the session nor a cache keeps it."""
        site = self.request.build_absolute_uri("/").rstrip("/")
        context = {"row": self.row(key), "token": token, "curl": curl(site, self.visit, key, token), "old_until": until}
        response = self.render("dashboard/keys/made.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response


class Keys(KeyPage):
    actions = {"GET": "keys.view"}

    def get(self, request: HttpRequest) -> HttpResponse:
        shown = rows(self.all()[:SHOWN], self.visit.account.pk)
        context = {
            "usable": [one for one in shown if one.usable],
            "ended": [one for one in shown if not one.usable],
            "writes": self.writes,
        }
        return self.render("dashboard/keys/list.html", context)


class NewKey(KeyPage):
    actions = {"GET": "keys.write_test", "POST": "keys.write_test"}
    live_actions = {"GET": "keys.write", "POST": "keys.write"}

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.render("dashboard/keys/new.html", {"form": KeyForm()})

    def post(self, request: HttpRequest) -> HttpResponse:
        form = KeyForm(request.POST)
        if form.is_valid():
            try:
                return self.show_once(*self._make(form))
            except KeyFault as fault:
                form.add_error(fault.field or None, wording.said(str(fault)))
        return self.render("dashboard/keys/new.html", {"form": form}, 422)

    def _make(self, form: KeyForm) -> tuple[ApiKey, str]:
        given, visit = form.cleaned_data, self.visit
        days = given["expires"]
        return keys.make(
            visit.account,
            livemode=visit.livemode,
            scopes=form.scopes_given(),
            name=given["name"],
            expires_at=timezone.now() + timedelta(days=int(days)) if days else None,
            source_ips=given["source_ips"],
            sender_domains=given["sender_domains"],
            default_sender=given["default_sender"],
            actor=visit.actor,
        )


class KeyDetail(KeyPage):
    actions = {"GET": "keys.view"}

    def get(self, request: HttpRequest, key_id: str) -> HttpResponse:
        context = {"row": self.row(self.one(key_id)), "writes": self.writes, "rotation": RotationForm()}
        return self.render("dashboard/keys/key.html", context)


class Rotation(KeyPage):
    actions = {"POST": "keys.write_test"}
    live_actions = {"POST": "keys.write"}

    def post(self, request: HttpRequest, key_id: str) -> HttpResponse:
        key, form = self.one(key_id), RotationForm(request.POST)
        if form.is_valid():
            overlap = timedelta(hours=int(form.cleaned_data["overlap"]))
            try:
                made, token = keys.rotate(key, overlap, self.visit.actor)
            except KeyFault as fault:
                form.add_error(None, wording.said(str(fault)))
            else:
                key.refresh_from_db()
                return self.show_once(made, token, key.expires_at)
        context = {"row": self.row(key), "writes": self.writes, "rotation": form}
        return self.render("dashboard/keys/key.html", context, 422)


class Revocation(KeyPage):
    actions = {"POST": "keys.write_test"}
    live_actions = {"POST": "keys.write"}

    def post(self, request: HttpRequest, key_id: str) -> HttpResponse:
        key = self.one(key_id)
        keys.revoke(key, self.visit.actor)
        messages.success(
            request, _("The key …%(last4)s is revoked: requests with it are refused.") % {"last4": key.last4}
        )
        return self.to("keys")


def curl(site: str, visit: Visit, key: ApiKey, token: str) -> str:
    """A command that uses the key at once, to be pasted into a shell; empty when it may neither send nor read messages."""
    header = f"-H 'Authorization: Bearer {token}'"
    if "messages:send" in key.scopes:
        sender = key.default_sender or visit.account.default_sender
        mail = {"recipient": visit.user.email, "subject": "Hello from Sendarix", "text": "It works."}
        if not sender:
            mail["from"] = f"hello@{(key.sender_domains or ['example.com'])[0]}"
        body = shlex.quote(json.dumps(mail, ensure_ascii=False))
        return f"curl {site}/v1/messages \\\n  {header} \\\n  -H 'Content-Type: application/json' \\\n  -d {body}"
    return f"curl {site}/v1/messages?limit=1 \\\n  {header}" if "messages:read" in key.scopes else ""


urlpatterns = [
    path("keys", Keys.as_view(), name="keys"),
    path("keys/new", NewKey.as_view(), name="key-new"),
    path("keys/<str:key_id>", KeyDetail.as_view(), name="key"),
    path("keys/<str:key_id>/rotate", Rotation.as_view(), name="key-rotate"),
    path("keys/<str:key_id>/revoke", Revocation.as_view(), name="key-revoke"),
]
