"""Sender domains of the account: adding, the records to publish with what is found of them, checking now, new keys, removing.
Both environments share them."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.domains import conclusions, records, registry, rotation
from messaging.domains.records import Purpose
from messaging.domains.verdicts import Verdict
from messaging.models import SenderDomain
from messaging.views.domain_shapes import DomainShape
from sendarix.core import pagination, shapes
from sendarix.core.errors import ApiError
from sendarix.dashboard import wording
from sendarix.dashboard.forms import refuse
from sendarix.dashboard.pages import Page

SHOWN = 50

PURPOSES: dict[str, tuple[str | Promise, str | Promise]] = {
    Purpose.OWNERSHIP: (gettext_lazy("Ownership"), gettext_lazy("Proves that the domain is yours.")),
    Purpose.DKIM: (gettext_lazy("DKIM"), gettext_lazy("The key that your mail is signed with.")),
    Purpose.SPF: (gettext_lazy("SPF"), gettext_lazy("Says that our servers may send for you.")),
    Purpose.RETURN_PATH: (
        gettext_lazy("Return path"),
        gettext_lazy("Bounces come back to your domain, and SPF aligns."),
    ),
    Purpose.DMARC: (gettext_lazy("DMARC"), gettext_lazy("Tells receivers what to do with forged mail.")),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of the zone as the page shows it."""

    label: str | Promise
    about: str | Promise
    record: dict[str, Any]

    @property
    def right(self) -> bool:
        return self.record["verdict"] == Verdict.OK


class DomainForm(forms.Form):
    domain = forms.CharField(
        label=gettext_lazy("Domain"),
        max_length=300,
        help_text=gettext_lazy("What stands behind the @ of your senders, like mail.example.com."),
        widget=forms.TextInput(attrs={"placeholder": "example.com", "autocomplete": "off", "spellcheck": "false"}),
    )


class DomainPage(Page):
    section = "domains"

    def one(self, domain_id: str) -> SenderDomain:
        return registry.one(self.visit.account.pk, domain_id)


class Domains(DomainPage):
    actions = {"GET": "domains.view", "POST": "domains.write"}

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(DomainForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = DomainForm(request.POST)
        if form.is_valid():
            try:
                asked = shapes.validate(DomainShape, form.cleaned_data)
                made = registry.add(self.visit.account.pk, asked.domain, self.visit.actor)
            except ApiError as refused:
                refuse(form, refused)
            else:
                messages.success(request, _("Added. Publish the records below, then check them."))
                return self.to("domain", made.pk)
        return self._show(form, 422)

    def _show(self, form: DomainForm, status: int = 200) -> HttpResponse:
        found = registry.of_account(self.visit.account.pk).order_by("-id")
        if cursor := self.request.GET.get("cursor"):
            found = found.filter(id__lt=pagination.decode_cursor(cursor, 1)[0])
        page = pagination.page(list(found[: SHOWN + 1]), SHOWN, _cursor, lambda domain: domain)
        context = {"domains": page["data"], "next_cursor": page["next_cursor"], "form": form}
        return self.render("dashboard/domains/list.html", context, status)


def _cursor(domain: SenderDomain) -> str:
    return pagination.encode_cursor(domain.pk)


class DomainDetail(DomainPage):
    actions = {"GET": "domains.view"}

    def get(self, request: HttpRequest, domain_id: str) -> HttpResponse:
        domain = self.one(domain_id)
        expected = records.expected(domain, domain.dkim_keys.all())
        rows = [Row(*PURPOSES[one.purpose], records.shown(one, domain.findings)) for one in expected]
        context = {
            "domain": domain,
            "needed": [row for row in rows if row.record["required"]],
            "useful": [row for row in rows if not row.record["required"]],
        }
        return self.render("dashboard/domains/domain.html", context)


class Verification(DomainPage):
    actions = {"POST": "domains.write"}

    def post(self, request: HttpRequest, domain_id: str) -> HttpResponse:
        domain = self.one(domain_id)
        try:
            conclusions.verify(domain, self.visit.actor)
        except ApiError as refused:
            messages.error(request, wording.refusal(refused))
            return self.to("domain", domain_id)
        if self.one(domain_id).status == SenderDomain.Status.VERIFIED:
            messages.success(request, _("Checked: the domain is verified."))
        else:
            messages.warning(request, _("Checked: not yet. Each record below says what is wrong."))
        return self.to("domain", domain_id)


class KeyRotation(DomainPage):
    actions = {"POST": "domains.write"}

    def post(self, request: HttpRequest, domain_id: str) -> HttpResponse:
        rotation.rotate(self.one(domain_id), self.visit.actor)
        messages.success(request, _("Publish the new DKIM records. Mail is signed with the new key once it is found."))
        return self.to("domain", domain_id)


class Removal(DomainPage):
    actions = {"POST": "domains.write"}

    def post(self, request: HttpRequest, domain_id: str) -> HttpResponse:
        domain = self.one(domain_id)
        registry.remove(domain, self.visit.actor)
        messages.success(request, _("%(domain)s is removed.") % {"domain": domain.domain})
        return self.to("domains")


urlpatterns = [
    path("domains", Domains.as_view(), name="domains"),
    path("domains/<str:domain_id>", DomainDetail.as_view(), name="domain"),
    path("domains/<str:domain_id>/verify", Verification.as_view(), name="domain-verify"),
    path("domains/<str:domain_id>/rotate", KeyRotation.as_view(), name="domain-rotate"),
    path("domains/<str:domain_id>/remove", Removal.as_view(), name="domain-remove"),
]
