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
NO_OPERATION = {404: "not_found", 405: "method_not_allowed"}
"""What an unknown path or method is answered with; besides, every refusal that is made before the path counts."""
ANYWHERE = {400, 401, 403, 413, 429, 500, 503}

formats = FormatChecker(formats=())


@formats.checks("date-time")
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value))


def check(
    method: str, url: str, status: int, headers: Mapping[str, str], answer: Any, *, sent: Any = None, binding: bool = True
) -> None:
    """AssertionError where an answer under /v1 (and the request, when it was accepted) is not as the document has it.
    Calls of other paths, and of a test's own URLconf, are held to the shape of errors only."""
    parts = urlsplit(url)
    if not parts.path.startswith("/v1/") or settings.ROOT_URLCONF != openapi.URLCONF:
        return
    template, operation = find("GET" if method == "HEAD" else method, parts.path)
    place = f"{method} {template or parts.path} -> {status}"
    if status >= 400 and answer is not None:
        assert CODES[answer["error"]["code"]].status == status, f"{place}: {answer['error']['code']} is another status's"
    if operation is None:
        _check_refused(place, status, answer)
        return
    described = operation["responses"].get(str(status))
    assert described is not None, f"{place} is not in the document"
    described = resolved(described)
    _check_headers(place, described.get("headers", {}), headers)
    if answer is not None:
        _hold(place, described["content"]["application/json"]["schema"], answer)
    if status < 300:
        _check_request(place, operation, parts.query, sent)


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
    return [(re.compile(re.sub(r"{\w+}", "[^/]+", re.escape(path).replace(r"\{", "{").replace(r"\}", "}"))), path) for path in paths]


def resolved(described: dict[str, Any]) -> dict[str, Any]:
    """What a reference of the document refers to; other objects as they are."""
    if "$ref" not in described:
        return described
    found: Any = openapi.document()
    for step in described["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """A validator of a schema whose references point into the document."""
    return Draft202012Validator(schema, registry=_registry(), format_checker=formats)


@functools.cache
def _registry() -> Registry:
    resource = Resource.from_contents(openapi.document(), default_specification=DRAFT202012)
    return Registry().with_resource("", resource)


@functools.cache
def _component(reference: str) -> Draft202012Validator:
    return validator({"$ref": reference})


def _hold(place: str, schema: dict[str, Any], value: Any) -> None:
    judge = _component(schema["$ref"]) if schema.keys() == {"$ref"} else validator(schema)
    faults = [f"{fault.json_path}: {fault.message}" for fault in judge.iter_errors(value)]
    assert not faults, f"{place} differs from the document: {faults}"


def _check_refused(place: str, status: int, answer: Any) -> None:
    assert status in NO_OPERATION or status in ANYWHERE, f"{place} is not in the document"
    if answer is not None:
        _hold(place, {"$ref": f"#/components/schemas/{'ErrorWithFaults' if status == 400 else 'Error'}"}, answer)


def _check_headers(place: str, described: dict[str, Any], headers: Mapping[str, str]) -> None:
    for name, about in described.items():
        about = resolved(about)
        assert name in headers or not about.get("required"), f"{place}: the header {name} is missing"
        if name in headers:
            value = headers[name]
            _hold(f"{place}, {name}", about["schema"], int(value) if about["schema"]["type"] == "integer" else value)


def _check_request(place: str, operation: dict[str, Any], query: str, sent: Any) -> None:
    """What was accepted must be in the document too."""
    known = {item["name"] for item in operation.get("parameters", ()) if item["in"] == "query"}
    unknown = {name.partition("[")[0] for name, _ in parse_qsl(query, keep_blank_values=True)} - known
    assert not unknown, f"{place} took query parameters that the document does not have: {unknown}"
    if sent is not None and "requestBody" in operation:
        _hold(f"{place}, request", operation["requestBody"]["content"]["application/json"]["schema"], sent)
