"""The vocabulary of errors: complete, documented, and the same for whoever raised what."""

import ast
from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404
from rest_framework.exceptions import NotAuthenticated, ParseError, UnsupportedMediaType

from sendarix.core import errors

ROOT = Path(__file__).resolve().parents[2]
FAMILY = {"ApiError", *(kind.__name__ for kind in errors.ApiError.__subclasses__())}


def calls():
    """Every call in the product: the name called, and the call."""
    for app in ("sendarix", "messaging", "suppressions", "webhooks", "analytics"):
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


def texts(nodes):
    return {node.value for node in nodes if isinstance(node, ast.Constant)}


def test_every_code_raised_in_the_product_is_in_the_table():
    words = [word.value for name, call in calls() if name in FAMILY for word in call.keywords if word.arg == "code"]
    assert "bad_json" in texts(words)
    assert texts(words) <= errors.CODES.keys()
    assert {kind.default_code for kind in errors.ApiError.__subclasses__()} <= errors.CODES.keys()


def test_every_code_of_a_field_is_in_its_table():
    places = {"fault": 0, "FieldError": 1, "_wrong": 1}
    words = [call.args[places[name]] for name, call in calls() if name in places and len(call.args) > places[name]]
    assert "required" in texts(words)
    assert texts(words) <= errors.FIELD_CODES.keys()


def test_an_error_outside_the_table_cant_be_made():
    with pytest.raises(KeyError):
        errors.ApiError(code="made_up")


def test_the_body_lists_faults_on_400_and_422_only():
    fault = errors.FieldError("template_data.code", "required", "This field is required.")
    shown = errors.body(errors.ValidationFailed([fault]), "req_1")["error"]
    assert shown["errors"] == [
        {"field": "template_data.code", "code": "required", "message": "This field is required."}
    ]
    assert shown["doc_url"] == "/docs/errors#validation_failed"
    assert "template_data.code" in shown["message"]
    assert errors.body(errors.BadRequest(), "req_1")["error"]["errors"] == []
    assert "errors" not in errors.body(errors.NotFound(), "req_1")["error"]


@pytest.mark.parametrize(
    ("exception", "status", "code"),
    [
        (Http404(), 404, "not_found"),
        (PermissionDenied(), 403, "forbidden"),
        (RequestDataTooBig(), 413, "too_large"),
        (SuspiciousOperation(), 400, "bad_request"),
        (ParseError(), 400, "bad_request"),
        (NotAuthenticated(), 401, "unauthorized"),
        (UnsupportedMediaType("x"), 415, "unsupported_media_type"),
        (OperationalError(), 503, "database_unavailable"),
        (InterfaceError(), 503, "database_unavailable"),
        (DataError(), 500, "internal_error"),
        (RecursionError(), 500, "internal_error"),
        (errors.Conflict(retry_after=1), 409, "conflict"),
    ],
)
def test_every_exception_has_its_answer(exception, status, code):
    error = errors.of(exception)
    assert (error.status, error.code) == (status, code)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 418, 429, 500, 502])
def test_a_bare_status_becomes_an_error_of_its_kind(status):
    assert errors.of_status(status).status == {418: 400, 502: 500}.get(status, status)


def test_waits_are_whole_seconds_and_never_none():
    assert errors.RateLimited(0).headers == {"Retry-After": "1"}
    assert errors.Unavailable().headers == {"Retry-After": "5"}
    assert errors.Conflict().headers == {}


def test_the_page_has_an_anchor_for_every_code(client):
    page = client.get("/docs/errors").content.decode()
    assert [code for code in errors.CODES if f'id="{code}"' not in page] == []
