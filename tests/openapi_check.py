"""Holds every answer that the tests see against the document: path, method, status, headers and body. Bodies allow no field
that the document does not name, so that neither side can move alone."""

import functools
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from sendarix.core.errors import CODES
from sendarix.dashboard import openapi

DOCUMENT = "urn:openapi"
NOWHERE = (400, 401, 404, 405, 413, 429, 500, 503)
"""What paths and methods that are not in the document can be answered with, in the shape of errors."""

formats = FormatChecker(formats=())


@formats.checks("date-time")
def _is_moment(value: object) -> bool:
    """RFC 3339; an answer's is in UTC besides, which the schema of Moment says by its pattern."""
    return not isinstance(value, str) or bool(
        re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ][\d:.]{5,15}([Zz]|[+-]\d\d:?\d\d)", value)
    )


def check(method: str, url: str, status: int, headers: Mapping[str, str], answer: Any, sent: Any = None) -> None:
    """AssertionError where an answer under /v1 (and the request, when it was accepted) is not as the document has it.
    Other paths, and a test's own URLconf, are none of the document's business."""
    parts = urlsplit(url)
    if not parts.path.startswith("/v1/") or settings.ROOT_URLCONF != openapi.URLCONF:
        return
    template, operation = find("GET" if method == "HEAD" else method, parts.path)
    place = f"{method} {template or parts.path} -> {status}"
    described = _described(operation, status)
    assert described is not None, f"{place} is not in the document"
    _check_headers(place, described["headers"], headers)
    media_type = headers.get("Content-Type", "application/json").partition(";")[0]
    if method != "HEAD":
        assert media_type in described["content"], f"{place} is of another media type"
    if method != "HEAD" and media_type == "application/json":
        assert answer is not None, f"{place} has no JSON"
        _hold(place, described["content"]["application/json"]["schema"], answer)
    if status >= 400:
        code = answer["error"]["code"]
        assert CODES[code].status == status, f"{place}: {code} is another status's"
    elif operation:
        _check_request(place, operation, parts.query, sent, answer)


def find(method: str, path: str) -> tuple[str, dict[str, Any] | None]:
    """The path's template and its operation; ("", None) for an unknown path."""
    for pattern, template in _templates():
        if pattern.fullmatch(path):
            return template, openapi.document()["paths"][template].get(method.lower())
    return "", None


@functools.cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """Fixed paths before those with parameters, as the document's readers must match them (OpenAPI 3.1, 4.8.8.2)."""
    paths = sorted(openapi.document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), path) for path in paths]


def resolved(described: dict[str, Any]) -> dict[str, Any]:
    """What a reference of the document refers to; other objects as they are."""
    if "$ref" not in described:
        return described
    found: Any = openapi.document()
    for step in described["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with a value. A schema is a reference into the document, or holds none."""
    judge = _component(schema["$ref"]) if "$ref" in schema else Draft202012Validator(schema, format_checker=formats)
    return [f"{fault.json_path}: {fault.message}" for fault in judge.iter_errors(value)]


@functools.cache
def _registry() -> Registry:
    resource = Resource.from_contents(openapi.document(), default_specification=DRAFT202012)
    return Registry().with_resource(DOCUMENT, resource)


@functools.cache
def _component(reference: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": DOCUMENT + reference}, registry=_registry(), format_checker=formats)


def _hold(place: str, schema: dict[str, Any], value: Any) -> None:
    found = faults(schema, value)
    assert not found, f"{place} differs from the document: {found}"


def _described(operation: dict[str, Any] | None, status: int) -> dict[str, Any] | None:
    """The document's description of an answer; for a status that needs no operation, that of a plain refusal."""
    if operation is not None:
        found = operation["responses"].get(str(status))
        return resolved(found) if found else None
    name = "BadRequest" if status == 400 else "NotFound"
    return openapi.document()["components"]["responses"][name] if status in NOWHERE else None


def _check_headers(place: str, described: dict[str, Any], headers: Mapping[str, str]) -> None:
    for name, about in described.items():
        about = resolved(about)
        assert name in headers or not about.get("required"), f"{place}: the header {name} is missing"
        if name in headers:
            value = headers[name]
            _hold(f"{place}, {name}", about["schema"], int(value) if about["schema"]["type"] == "integer" else value)


def _check_request(place: str, operation: dict[str, Any], query: str, sent: Any, answer: Any) -> None:
    """What was accepted must be in the document too; a batch is looked at when every message of it was."""
    known = {item["name"] for item in operation.get("parameters", ()) if item["in"] == "query"}
    unknown = {name.partition("[")[0] for name, _ in parse_qsl(query, keep_blank_values=True)} - known
    assert not unknown, f"{place} took query parameters that the document does not have: {unknown}"
    refused = any(result.keys() & {"error", "errors"} for result in (answer or {}).get("results", ()))
    if sent is not None and "requestBody" in operation and not refused:
        _hold(f"{place}, request", operation["requestBody"]["content"]["application/json"]["schema"], sent)
