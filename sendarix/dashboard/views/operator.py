"""The accounts as operators see them: finding one, its plan and limits, and acting as it, which its audit log shows."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from analytics import queries as analytics
from analytics.figures import Counts
from sendarix.accounts import audit, provisioning, rate
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account, SenderPolicy
from sendarix.accounts.provisioning import AccountFault
from sendarix.dashboard import wording
from sendarix.dashboard.pages import ACTING, OperatorPage
from sendarix.dashboard.views.audit import differences
from sendarix.dashboard.views.settings import ZONES, SettingsForm, start

SHOWN = 200
ENTRIES = 10

POLICIES = {
    SenderPolicy.VERIFIED: gettext_lazy("Only domains whose records were found right"),
    SenderPolicy.REGISTERED: gettext_lazy("Every domain of the account, with a warning"),
}


class Accounts(OperatorPage):
    """All accounts, by name; `q` narrows by a part of the name, the short name, or a member's address."""

    section = "operator-accounts"

    def get(self, request: HttpRequest) -> HttpResponse:
        wanted = request.GET.get("q", "").strip()[:200].replace("\x00", "")
        accounts = Account.objects.order_by("name", "pk")
        if wanted:
            named = Q(name__icontains=wanted) | Q(slug__icontains=wanted)
            accounts = accounts.filter(named | Q(memberships__user__email__icontains=wanted)).distinct()
        found = list(accounts[: SHOWN + 1])
        context = {"accounts": _listed(found[:SHOWN]), "more": len(found) > SHOWN, "wanted": wanted, "shown": SHOWN}
        return self.render("dashboard/operator/accounts.html", context)


def _listed(found: list[Account]) -> list[dict[str, Any]]:
    """With their people and the figures of the last 24 hours, in two statements."""
    ids = [account.pk for account in found]
    people = dict(Account.objects.filter(pk__in=ids).annotate(n=Count("memberships")).values_list("pk", "n"))
    counts = analytics.by_account(ids, timezone.now() - timedelta(hours=24))
    return [
        {"account": account, "people": people[account.pk], "counts": counts.get(account.pk, Counts())}
        for account in found
    ]


class AccountForm(SettingsForm):
    """Also what only an operator may change."""

    plan = forms.ChoiceField(label=gettext_lazy("Plan"), choices=list(wording.PLANS.items()))
    rate_limit = forms.IntegerField(
        label=gettext_lazy("Requests a minute"),
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text=gettext_lazy("Empty: what the plan has."),
    )
    sender_policy = forms.ChoiceField(label=gettext_lazy("Sender policy"), choices=list(POLICIES.items()))

    field_order = ("name", "plan", "rate_limit", "sender_policy")


class AccountDetail(OperatorPage):
    section = "operator-accounts"

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        account = get_object_or_404(Account, slug=slug)
        return self._show(account, AccountForm(initial=start(account)))

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        account, form = get_object_or_404(Account, slug=slug), AccountForm(request.POST)
        if not form.is_valid():
            return self._show(account, form, 422)
        try:
            provisioning.change_account(account, form.cleaned_data, self.of(account))
        except AccountFault as fault:
            form.add_error("default_sender", wording.said(str(fault)))
            return self._show(account, form, 422)
        messages.success(request, _("The account is changed."))
        return redirect("operator-account", slug)

    def of(self, account: Account) -> Actor:
        by = self.actor
        return Actor(account.pk, by.id, by.source, by.request_id)

    def _show(self, account: Account, form: AccountForm, status: int = 200) -> HttpResponse:
        context = {
            **_listed([account])[0],
            "form": form,
            "zones": ZONES,
            "members": account.memberships.select_related("user").order_by("user__email")[:SHOWN],
            "limit": rate.limit_of(account),
            "used": rate.used(account),
            "entries": [(entry, differences(entry)) for entry in audit.entries(account.pk)[:ENTRIES]],
        }
        return self.render("dashboard/operator/account.html", context, status)


class Enter(OperatorPage):
    """Act as an account."""

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        account = get_object_or_404(Account, slug=slug)
        by = self.actor
        audit.record(Actor(account.pk, by.id, by.source, by.request_id), "operator.entered", account.slug)
        request.session[ACTING] = account.slug
        return redirect("overview", account.slug, "live")


@require_POST
@login_required
def leave(request: HttpRequest) -> HttpResponse:
    """Act as nobody any more."""
    request.session.pop(ACTING, None)
    return redirect("operator-accounts")


urlpatterns = [
    path("", Accounts.as_view(), name="operator-accounts"),
    path("accounts/<str:slug>", AccountDetail.as_view(), name="operator-account"),
    path("accounts/<str:slug>/enter", Enter.as_view(), name="operator-enter"),
    path("leave", leave, name="operator-leave"),
]
