"""What goes back to callers: JSON by the standard library, times in UTC with Z, and the one shape of every error."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse

from sendarix.core import errors, ids
from sendarix.core.times import zulu


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A JSON answer. Values may be what JSON knows and aware datetimes."""
    return HttpResponse(_encode(data), content_type="application/json", status=status, headers=headers)


def refusal(error: errors.ApiError, request: HttpRequest) -> HttpResponse:
    """An error in its one shape."""
    response = answer(errors.body(error, request_id(request)), error.status, error.headers)
    response._has_been_logged = True  # Django would log each 4xx, with a path that may hold an address
    return response


def request_id(request: HttpRequest) -> str:
    """The id of this request, always our own: made when first asked for, the same ever after."""
    try:
        return request.request_id
    except AttributeError:
        request.request_id = ids.new("req")
        return request.request_id


def _plain(value: object) -> str | None:
    if isinstance(value, datetime):
        return zulu(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), default=_plain
).encode
