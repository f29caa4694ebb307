"""The outermost middleware: what goes wrong under /v1 outside a view gets the API's shape and headers too."""

from collections.abc import Callable

from django.core.exceptions import DisallowedHost
from django.db import Error
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from sendarix.accounts import api
from sendarix.core import answers, errors

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class ApiEdge:
    """Gives every request its id, and every answer under /v1 its headers; turns an error page there into JSON."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = answers.request_id(request)
        response = self.get_response(request)
        if "X-RateLimit-Limit" in response:
            return response
        response["X-Request-Id"] = request_id
        return finish(request, response) if is_api(request.path_info) else response


def is_api(path: str) -> bool:
    return path == "/v1" or path.startswith("/v1/")


def finish(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """An answer under /v1 that no ApiView made: counted now, and in JSON when it is an error."""
    if response.status_code >= 400 and response.get("Content-Type") != "application/json":
        response = answers.refusal(_fault(request, response.status_code), request)
    try:
        window = api.look(request).window
    except Error:
        window = None
    api.stamp(response, request, window)
    return response


def _fault(request: HttpRequest, status: int) -> errors.ApiError:
    try:
        request.get_host()
    except DisallowedHost:
        return errors.BadRequest(code="bad_host")
    return errors.of_status(status)
