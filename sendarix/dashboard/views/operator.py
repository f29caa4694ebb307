"""The platform's own pages: all accounts, and acting as one of them, which its audit log and a banner show."""

from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.views.decorators.http import require_POST

from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account
from sendarix.dashboard.pages import ACTING, OperatorPage

SHOWN = 200


class Accounts(OperatorPage):
    """All accounts, by name; `q` narrows by a part of it."""

    section = "operator-accounts"

    def get(self, request: HttpRequest) -> HttpResponse:
        wanted = request.GET.get("q", "").strip()
        accounts = Account.objects.annotate(people=Count("memberships")).order_by("name")
        if wanted:
            accounts = accounts.filter(name__icontains=wanted)
        return self.render("dashboard/operator/accounts.html", {"accounts": accounts[:SHOWN], "wanted": wanted})


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
    path("accounts/<str:slug>/enter", Enter.as_view(), name="operator-enter"),
    path("leave", leave, name="operator-leave"),
]
