"""Pages of documentation made from the code they document."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from sendarix.core.errors import CODES, FIELD_CODES


@require_safe
def errors(request: HttpRequest) -> HttpResponse:
    """/docs/errors: every code with an anchor, where the `doc_url` of an error leads."""
    codes = sorted(CODES.items(), key=lambda item: item[1].status)
    return render(request, "docs/errors.html", {"codes": codes, "field_codes": FIELD_CODES.items()})
