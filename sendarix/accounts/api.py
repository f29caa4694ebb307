"""The base of every view under /v1: who calls, how often, with which right, and what the request says, before a
handler runs; and one shape for whatever goes wrong. DRF gives the class and the schema; its request, negotiation
and renderers are passed by, because they cost more than everything here."""

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.views import APIView

from sendarix.accounts import keys, rate, request_log
from sendarix.accounts.audit import Actor
from sendarix.accounts.calls import Call
from sendarix.accounts.keys import Caller
from sendarix.accounts.rate import Standing, Window
from sendarix.accounts.sources import client_address
from sendarix.core import answers, errors, reading, shapes

ANY_KEY = ""
"""The scope of a call that every valid key may make."""

LARGE_BODY = 4 * 1024 * 1024
LARGE_BODIES = 2
LARGE_WAIT = 20.0
"""At most LARGE_BODIES requests with a body over LARGE_BODY octets are worked on in one process at a time; another
one waits up to LARGE_WAIT seconds."""

_large_bodies = threading.BoundedSemaphore(LARGE_BODIES)

_REASONS = {
    Standing.UNKNOWN: "No valid API key was given; send Authorization: Bearer sk_live_… or sk_test_….",
    Standing.REVOKED: "This API key has been revoked.",
    Standing.EXPIRED: "This API key has expired.",
}

Model = TypeVar("Model", bound=shapes.Shape)


class ApiView(APIView):
    """A call of the API. `scopes` names the methods and the scope of each, `queries` the shape of each query, `calls` what
    the API's document says of each.

    A handler gets Django's HttpRequest and the path's arguments; it returns `answer(...)` or raises an ApiError."""

    scopes: ClassVar[Mapping[str, str]] = {}
    queries: ClassVar[Mapping[str, type[shapes.Shape]]] = {}
    calls: ClassVar[Mapping[str, Call]] = {}
    key: Caller
    window: Window | None = None
    made: request_log.Made | None = None
    """The messages that this call made, for the request log."""
    _known: Caller | None = None
    _holds_large = False

    def dispatch(self, request: HttpRequest, *args: str, **kwargs: str) -> HttpResponseBase:
        began, error = time.perf_counter(), None
        try:
            self.admit(request)
            response = self.respond(request, *args, **kwargs)
        except Exception as exception:
            error = errors.of(exception)
            response = refuse(exception, request)
        finally:
            if self._holds_large:
                _large_bodies.release()
        stamp(response, request, self.window)
        if self._known is not None and request_log.kept():
            self._log(self._known, response.status_code, error, (time.perf_counter() - began) * 1000)
        return response

    def _log(self, caller: Caller, status: int, error: errors.ApiError | None, duration_ms: float) -> None:
        """Nobody's requests, those without a usable key, are not kept."""
        request, matched = self.request, self.request.resolver_match
        request_log.note(
            request_log.Entry(
                id=answers.request_id(request),
                at=datetime.now(UTC),
                account_id=caller.account_id,
                livemode=caller.livemode,
                key_id=caller.key_id,
                method=str(request.method)[:10],
                route=matched.route if matched else "",
                path=request.path,
                status=status,
                code=error.code if error else None,
                faults=tuple((fault.field, fault.code) for fault in error.errors) if error else (),
                duration_ms=round(duration_ms, 1),
                source=client_address(request.META, settings.TRUSTED_PROXIES),
                made=self.made,
            )
        )

    def admit(self, request: HttpRequest) -> None:
        """Set `key` and `window`; raises Unauthorized, RateLimited or ApiError (source_ip_not_allowed)."""
        admission = look(request)
        self.window, self._known = admission.window, admission.caller
        if admission.window.over:
            raise errors.RateLimited(admission.window.seconds_left)
        if admission.standing == Standing.ELSEWHERE:
            raise errors.ApiError(code="source_ip_not_allowed")
        if admission.caller is None:
            raise errors.Unauthorized(_REASONS[admission.standing])
        self.key = admission.caller

    def respond(self, request: HttpRequest, *args: str, **kwargs: str) -> HttpResponseBase:
        """The checks that need no handler, then the handler."""
        method = "GET" if request.method == "HEAD" else request.method
        if method not in self.scopes:
            raise errors.MethodNotAllowed(self.scopes)
        scope = self.scopes[method]
        if scope and scope not in self.key.scopes:
            raise errors.Forbidden(scope)
        if scope in keys.LIVE_ONLY and not self.key.livemode:
            raise errors.ApiError(code="live_key_required")
        if "\x00" in request.path_info:
            raise errors.NotFound()
        reading.declared_length(request)
        if method not in self.queries and request.META.get("QUERY_STRING"):
            reading.query(request, shapes.Shape)
        return getattr(self, method.lower())(request, *args, **kwargs)

    def body(self, *also: str) -> bytes:
        """The whole body, declared as JSON or as one of the media types `also`; raises what reading.body raises."""
        length = reading.declared_length(self.request)
        if (length is None or length > LARGE_BODY) and not self._holds_large:
            self._holds_large = _large_bodies.acquire(timeout=LARGE_WAIT)
            if not self._holds_large:
                raise errors.Unavailable(code="busy")
        return reading.body(self.request, also)

    def payload(self) -> dict[str, Any]:
        """The body as the object it must be; raises what reading.body and reading.json_object raise."""
        return reading.json_object(self.body())

    def read(self, model: type[Model]) -> Model:
        """The body as a model; raises what `payload` and shapes.validate raise."""
        return shapes.validate(model, self.payload())

    @property
    def actor(self) -> Actor:
        """The caller, as the audit log names it."""
        source = client_address(self.request.META, settings.TRUSTED_PROXIES)
        return Actor(self.key.account_id, self.key.key_id, str(source or ""), answers.request_id(self.request))

    def query(self, model: type[Model]) -> Model:
        """The query string as the model that `queries` declares for this method; raises what reading.query raises."""
        method = "GET" if self.request.method == "HEAD" else self.request.method
        if self.queries.get(method) is not model:
            raise TypeError(f"{type(self).__name__}.queries does not declare {model.__name__} for {method}")
        return reading.query(self.request, model)


class UnknownPath(ApiView):
    """The rest of /v1: a 404 in the one shape to whoever has a key."""

    def respond(self, request: HttpRequest, *args: str, **kwargs: str) -> HttpResponseBase:
        raise errors.NotFound("There is no such path; /docs/api lists all of them.")


def look(request: HttpRequest) -> rate.Admission:
    """Find the caller of a request and count it, in one statement."""
    digest = keys.digest_of_header(request.META.get("HTTP_AUTHORIZATION", ""))
    return rate.admit(digest, client_address(request.META, settings.TRUSTED_PROXIES))


def refuse(exception: Exception, request: HttpRequest) -> HttpResponse:
    """The answer to an exception. A fault of ours is logged; a broken connection is closed, so the next is new."""
    error = errors.of(exception)
    if error.status >= 500 and error is not exception:
        errors.log(exception, answers.request_id(request))
    if error.code == "database_unavailable":
        connection.close()
    return answers.refusal(error, request)


def stamp(response: HttpResponseBase, request: HttpRequest, window: Window | None) -> None:
    """Put on the headers of every answer. No window (the database is away): nothing remains until Retry-After."""
    if window is None:
        reset = int(time.time()) + errors.RETRY_AFTER
        window = Window(settings.RATE_LIMIT_STANDARD, settings.RATE_LIMIT_STANDARD, reset, errors.RETRY_AFTER)
    headers = response.headers
    headers["X-Request-Id"] = answers.request_id(request)
    headers["X-RateLimit-Limit"] = str(window.limit)
    headers["X-RateLimit-Remaining"] = str(window.remaining)
    headers["X-RateLimit-Reset"] = str(window.ends_at)
