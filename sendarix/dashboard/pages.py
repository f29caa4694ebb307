"""The base of every page of an account: who looks, which account and environment, what they may do. A page names the action each
method needs; nothing is shown or done without it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views import View

from sendarix.accounts.audit import Actor
from sendarix.accounts.keys import ORDINARY, Caller
from sendarix.accounts.models import Account, Membership, User
from sendarix.accounts.sources import client_address
from sendarix.core import answers
from sendarix.core.errors import BadRequest, NotFound
from sendarix.dashboard import navigation, permissions

ACTING = "acting_as"
"""In an operator's session: the slug of the account they act as."""

ENVIRONMENTS = ("live", "test")

STOP_ASKING = 286
"""The status by which htmx ends its polling."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Who looks at which account, in which environment, and what they may do there. `role` is "operator" for one who acts as
    the account."""

    user: User
    account: Account
    livemode: bool
    role: str
    allowed: frozenset[str]
    source: str
    request_id: str

    def may(self, action: str) -> bool:
        if action not in permissions.ACTIONS:
            raise KeyError(f"no action {action}")
        return action in self.allowed

    @property
    def environment(self) -> str:
        return "live" if self.livemode else "test"

    @property
    def actor(self) -> Actor:
        """As the audit log names them."""
        kind = "operator" if self.role == "operator" else "user"
        return Actor(self.account.pk, f"{kind}:{self.user.email}", self.source, self.request_id)

    @property
    def caller(self) -> Caller:
        """For services that take the caller of an API key: the same account and environment, as this person."""
        return Caller(
            account_id=self.account.pk,
            account_slug=self.account.slug,
            key_id=f"user:{self.user.pk}",
            livemode=self.livemode,
            scopes=frozenset(ORDINARY),
            sender_domains=(),
            default_sender=self.account.default_sender,
        )

    @property
    def accounts(self) -> list[Account]:
        """Those this person may switch to."""
        return list(Account.objects.filter(memberships__user=self.user).order_by("name")[:50])

    @property
    def live_url(self) -> str:
        return reverse("overview", args=[self.account.slug, "live"])

    @property
    def test_url(self) -> str:
        return reverse("overview", args=[self.account.slug, "test"])

    def url(self, name: str, *args: Any, **query: Any) -> str:
        """The path of a page of this account and environment."""
        path = reverse(name, args=[self.account.slug, self.environment, *args])
        return f"{path}?{urlencode(query, doseq=True)}" if query else path


class Page(View):
    """A page of an account under /app/ACCOUNT/live|test/. `actions` names the action that each method needs."""

    actions: ClassVar[dict[str, str]] = {}
    live_actions: ClassVar[dict[str, str]] = {}
    """In place of `actions` where live mail needs more than a test."""
    section: ClassVar[str] = ""
    visit: Visit

    @classmethod
    def action(cls, method: str, livemode: bool) -> str | None:
        """What a method needs; None when the page has no such method."""
        return (cls.live_actions.get(method) if livemode else None) or cls.actions.get(method)

    def dispatch(
        self, request: HttpRequest, slug: str, environment: str, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        gate = barred(request)
        if gate is not None:
            return gate
        self.visit = visiting(request, slug, environment)
        method = "GET" if request.method == "HEAD" else request.method or ""
        needed = self.action(method, self.visit.livemode)
        if needed is None:
            return self.http_method_not_allowed(request)
        if not self.visit.may(needed):
            raise PermissionDenied(needed)
        with found():
            return super().dispatch(request, *args, **kwargs)

    def render(self, template: str, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
        """The template with `visit`, the navigation and this page's own context."""
        shown = {
            "visit": self.visit,
            "navigation": navigation.menu(self.visit, self.section),
            "section": self.section,
            **(context or {}),
        }
        return render(self.request, template, shown, status=status)

    def to(self, name: str, *args: Any, **query: Any) -> HttpResponseRedirect:
        """On to another page of this account and environment."""
        return HttpResponseRedirect(self.visit.url(name, *args, **query))


class OperatorPage(View):
    """A page of the platform, for operators only."""

    section: ClassVar[str] = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        gate = barred(request)
        if gate is not None:
            return gate
        if not request.user.is_staff:
            raise Http404
        with found():
            return super().dispatch(request, *args, **kwargs)

    def render(self, template: str, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
        shown = {"operator_navigation": navigation.operator_menu(self.section), "section": self.section}
        return render(self.request, template, shown | (context or {}), status=status)

    @property
    def actor(self) -> Actor:
        return Actor(None, f"operator:{_user(self.request).email}", *_origin(self.request))


@contextmanager
def found() -> Iterator[None]:
    """What a service does not find, and a cursor that is none of ours, is a page that does not exist."""
    try:
        yield
    except (NotFound, BadRequest) as refused:
        raise Http404(refused.message) from None


def barred(request: HttpRequest) -> HttpResponseBase | None:
    """Where somebody goes first who is not logged in, has not given the second factor, or must set one up; else None. Raises
    Http404 for a path with a NUL, which no page has and the database does not take."""
    if "\x00" in request.path_info:
        raise Http404
    if not request.user.is_authenticated:
        if request.headers.get("HX-Request"):
            return HttpResponse(status=204, headers={"HX-Redirect": reverse("login")})
        return redirect_to_login(request.get_full_path())
    if not request.user.is_verified():
        if _has_device(_user(request)):
            return redirect(f"{reverse('second-factor')}?{urlencode({'next': request.get_full_path()})}")
        if request.user.is_staff and not settings.DEVELOPMENT:
            return redirect("second-factor-setup")
    return None


def visiting(request: HttpRequest, slug: str, environment: str) -> Visit:
    """Raises Http404: no such account, or none that this person may see."""
    if environment not in ENVIRONMENTS:
        raise Http404
    user = _user(request)
    member = Membership.objects.select_related("account").filter(user=user, account__slug=slug).first()
    if member is not None:
        return _visit(request, user, member.account, environment, member.role, permissions.ALLOWED[member.role])
    account = Account.objects.filter(slug=slug).first() if user.is_staff else None
    if account is None or request.session.get(ACTING) != slug:
        raise Http404
    return _visit(request, user, account, environment, "operator", permissions.OPERATOR)


def _visit(
    request: HttpRequest, user: User, account: Account, environment: str, role: str, allowed: frozenset[str]
) -> Visit:
    return Visit(user, account, environment == "live", role, allowed, *_origin(request))


def _origin(request: HttpRequest) -> tuple[str, str]:
    source = client_address(request.META, settings.TRUSTED_PROXIES)
    return str(source or ""), answers.request_id(request)


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user


def _has_device(user: User) -> bool:
    return user.totpdevice_set.filter(confirmed=True).exists()
