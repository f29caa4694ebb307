"""/inbox: captured mail as a plain page, for development. It has no login and is off unless SENDARIX_INBOX_PAGE says so."""

from email.message import MIMEPart

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from messaging import content
from messaging.models import CapturedMail
from sendarix.dashboard import framing

NEWEST = 100


def _on() -> None:
    if not settings.INBOX_PAGE:
        raise Http404


def listing(request: HttpRequest) -> HttpResponse:
    _on()
    return render(request, "inbox/listing.html", {"mails": CapturedMail.objects.order_by("-id")[:NEWEST]})


def mail(request: HttpRequest, number: int) -> HttpResponse:
    _on()
    captured = get_object_or_404(CapturedMail, pk=number)
    parsed = framing.captured(captured)
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
    body = framing.captured(get_object_or_404(CapturedMail, pk=number)).get_body(("html",))
    return framing.framed(_text(body) if body else "")


def source(request: HttpRequest, number: int) -> HttpResponse:
    _on()
    captured = get_object_or_404(CapturedMail, pk=number)
    return framing.plain(content.read(captured.path, framing.LARGEST_SHOWN))


def _text(part: MIMEPart) -> str:
    return part.get_content()
