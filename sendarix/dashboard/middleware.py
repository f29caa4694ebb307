"""Middleware that only pages need, most of it Django's and others'. /v1 passes it by, where sessions, CSRF and the rest
would double what Django itself takes for a call."""

from collections.abc import Callable
from typing import Any

from axes.middleware import AxesMiddleware
from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.translation import gettext as _
from django_htmx.middleware import HtmxMiddleware
from django_otp.middleware import OTPMiddleware

from sendarix.accounts.edge import is_api

LARGEST = 4 * 1024 * 1024
"""Octets of what a page takes, where its view has no `largest` of its own."""

OWN_LIMIT = "/hooks/"
"""Below it is what providers post, which is measured there."""


class ForPages:
    """Put before a middleware class: under /v1 the next one is called at once."""

    get_response: Callable[[HttpRequest], HttpResponseBase]

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if is_api(request.path_info):
            return self.get_response(request)
        return super().__call__(request)  # type: ignore[misc]  # of the class this is put before


class Policy(ForPages, CSPMiddleware):
    pass


class Session(ForPages, SessionMiddleware):
    pass


class Discretion:
    """Refuses what is too large before anything reads it, and what the database can't be asked for; lets nobody keep a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not is_api(request.path_info):
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, words: dict[str, Any]) -> HttpResponse | None:
        if is_api(request.path_info):
            return None
        if any("\x00" in word for word in words.values() if isinstance(word, str)):
            raise Http404
        if request.path_info.startswith(OWN_LIMIT):
            return None
        largest = getattr(getattr(view, "view_class", None), "largest", LARGEST)
        if int(request.META.get("CONTENT_LENGTH") or 0) <= largest:
            return None
        return HttpResponse(_("This is too large."), status=413, content_type="text/plain; charset=utf-8")


class Csrf(ForPages, CsrfViewMiddleware):
    def process_view(self, request: HttpRequest, *view: Any) -> Any:
        return None if is_api(request.path_info) else super().process_view(request, *view)


class Authentication(ForPages, AuthenticationMiddleware):
    pass


class SecondFactor(ForPages, OTPMiddleware):
    pass


class Messages(ForPages, MessageMiddleware):
    pass


class Htmx(ForPages, HtmxMiddleware):
    pass


class LockOut(ForPages, AxesMiddleware):
    pass
