"""/inbox: captured mail as a plain page, for development. It has no login and is off unless SENDARIX_INBOX_PAGE says so."""

import email
import email.policy
from email.message import EmailMessage, MIMEPart

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from messaging import content
from messaging.models import CapturedMail

NEWEST = 100
LARGEST_SHOWN = 5 * 1024 * 1024
"""Octets of source that are parsed for the page; a larger mail is shown by its first part."""

FRAME_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""For the frame with a mail's HTML: nothing runs and nothing is fetched, whatever the mail says."""


def _on() -> None:
    if not settings.INBOX_PAGE:
        raise Http404


def listing(request: HttpRequest) -> HttpResponse:
    _on()
    return render(request, "inbox/listing.html", {"mails": CapturedMail.objects.order_by("-id")[:NEWEST]})


def mail(request: HttpRequest, number: int) -> HttpResponse:
    _on()
    captured = get_object_or_404(CapturedMail, pk=number)
    parsed = _parsed(captured)
    body = parsed.get_body(("plain",))
    context = {
        "mail": captured,
        "headers": list(parsed.items()),
        "text": _text(body) if body else None,
        "has_html": parsed.get_body(("html",)) is not None,
        "attachments": [(part.get_filename(), part.get_content_type()) for part in parsed.iter_attachments()],
    }
    return render(request, "inbox/mail.html", context)


def html(request: HttpRequest, number: int) -> HttpResponse:
    """The HTML part alone, for the sandboxed frame."""
    _on()
    body = _parsed(get_object_or_404(CapturedMail, pk=number)).get_body(("html",))
    response = HttpResponse(_text(body) if body else "")
    response["Content-Security-Policy"] = FRAME_POLICY
    response["X-Frame-Options"] = "SAMEORIGIN"
    return response


def source(request: HttpRequest, number: int) -> HttpResponse:
    _on()
    captured = get_object_or_404(CapturedMail, pk=number)
    response = HttpResponse(content.read(captured.path, LARGEST_SHOWN), content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _parsed(captured: CapturedMail) -> EmailMessage:
    source = content.read(captured.path, LARGEST_SHOWN)
    return email.message_from_bytes(source, _class=EmailMessage, policy=email.policy.default)


def _text(part: MIMEPart) -> str:
    return part.get_content()
