"""The OpenAPI document of /v1, made from the views, and the page that shows it."""

import functools
import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator

URLCONF = "sendarix.urls"

ABOUT = """\
Transactional e-mail: one JSON API, a durable queue, delivery that explains itself.

- **Keys.** `Authorization: Bearer sk_live_…` or `sk_test_…`. A key belongs to one account and one environment; live and test
  data never mix, and another account's objects are 404.
- **Errors.** Every answer of 400 and above has one shape, also for an unknown path (404) and a method that is not listed here
  (405). [All codes](/docs/errors). Unknown fields and query parameters are faults.
- **Limits.** Per account and minute of the clock, with `X-RateLimit-*` on every answer. A body has at most 50 MiB.
- **Times** are ISO 8601 in UTC with `Z`. **Lists** give `next_cursor`, to be passed on as it is.
"""

TAGS = {
    "Messages": "Send, follow, cancel and retry.",
    "Events": "Everything that happened, in order.",
    "Dead letters": "What delivery gave up on, and how to queue it again.",
    "Routes": "The ways for mail to leave, a test call by each, and how each has fared.",
    "Routing": "Ask where a message would go, and why.",
    "Routing rules": "Which mail takes which route: ordered rules, in versions.",
    "Delivery policies": "How hard messages are tried.",
    "Queues": "What waits, where and how long; pause, resume and purge.",
    "Templates": "What your mails say: versions, locales, layouts and partials.",
    "Domains": "Where you send from: the records to publish, and what is found of them.",
    "Webhooks": "Endpoints that are told what happened, and what was delivered to them.",
    "Analytics": "What happened, counted by time.",
    "Alert rules": "What is watched, and what is done when it crosses its line.",
    "Alerts": "What has crossed its line; letting go what an alert holds.",
    "Audit log": "Who changed what.",
    "Suppressions": "Who must not be mailed, since when and why.",
    "Unsubscribes": "Those of them who asked for it.",
    "Document": "This document.",
}

POLICY = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""For the page. `data:` is for the small pictures inside Swagger UI's style sheet."""


class Undescribed(Exception):
    """The document can't be made without guessing; the message says where."""


@functools.cache
def document() -> dict[str, Any]:
    """The document, the same in every process of one version. Raises Undescribed."""
    made = described()
    made["info"]["description"] = ABOUT
    made["servers"] = [{"url": "/"}]
    made["tags"] = [{"name": name, "description": about} for name, about in TAGS.items()]
    made["paths"]["/v1/openapi.json"] = {"get": _own_operation(made)}
    return made


def described(patterns: list[Any] | None = None) -> dict[str, Any]:
    """The calls of these URL patterns (all of ours by default). Raises Undescribed on anything drf-spectacular warns of,
    ImproperlyConfigured where a view does not describe a method."""
    with GENERATOR_STATS.silence():
        made = SchemaGenerator(urlconf=URLCONF, patterns=patterns).get_schema(public=True)
    if GENERATOR_STATS:
        raise Undescribed("; ".join([*GENERATOR_STATS._error_cache, *GENERATOR_STATS._warn_cache]))
    return made


def _own_operation(made: dict[str, Any]) -> dict[str, Any]:
    """This document's own call, whose answers' headers are those of all others."""
    headers = {
        name: {"$ref": f"#/components/headers/{name}"} for name in made["components"]["headers"] if name[:2] == "X-"
    }
    content = {"application/json": {"schema": {"type": "object", "required": ["openapi", "info", "paths"]}}}
    return {
        "operationId": "getDocument",
        "summary": "Read this document",
        "description": "Needs no key.",
        "tags": ["Document"],
        "security": [],
        "responses": {"200": {"description": "OK", "headers": headers, "content": content}},
    }


def text() -> str:
    """The document as it is kept in docs/openapi.json."""
    return json.dumps(document(), ensure_ascii=False, indent=1) + "\n"


@functools.cache
def _compact() -> bytes:
    return json.dumps(document(), ensure_ascii=False, separators=(",", ":")).encode()


@require_safe
def served(request: HttpRequest) -> HttpResponse:
    """/v1/openapi.json"""
    return HttpResponse(_compact(), content_type="application/json")


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """/docs/api"""
    response = render(request, "docs/api.html")
    response["Content-Security-Policy"] = POLICY
    return response
