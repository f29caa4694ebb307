"""Middleware of Django's and others' that only pages need. /v1 passes it by, where sessions, CSRF and the rest
would double what Django itself takes for a call."""

from collections.abc import Callable
from typing import Any

from axes.middleware import AxesMiddleware
from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django_htmx.middleware import HtmxMiddleware
from django_otp.middleware import OTPMiddleware

from sendarix.accounts.edge import is_api


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
