"""The OpenAPI document of /v1 and its page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from sendarix.core.answers import answer


def document() -> dict:
    return {}


@require_safe
def served(request: HttpRequest) -> HttpResponse:
    return answer(document())


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "docs/api.html")
