"""/u/<token>: the link of List-Unsubscribe. A POST acts at once, for whoever holds the link: no cookie, no key, no question (RFC
8058 section 3.2). A GET shows a page and changes nothing, because scanners and previews follow links."""

from dataclasses import dataclass

import idna
from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.csrf import csrf_exempt

from messaging import lifecycle
from messaging.delivery.unsubscribe_links import PURPOSE
from messaging.lifecycle import MOVES, Change
from messaging.models import Message, Status
from sendarix.accounts import rate
from sendarix.accounts.sources import client_address
from sendarix.core import addresses, tokens
from sendarix.core.errors import RETRY_AFTER
from suppressions import services as suppressions
from suppressions.models import Reason

ACTOR = "recipient"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a link is about, as much as may be shown: the sender's name and domain, the recipient's address in part."""

    sender: str
    domain: str
    recipient: str


@csrf_exempt
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """The page, or what was asked for. 404 for a link that we did not write, whatever is wrong with it."""
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    message_id = tokens.read(PURPOSE, token) or ""
    try:
        subject = _act(message_id) if request.method == "POST" else _look(message_id)
        if subject is None:
            return _unknown(request)
    except (OperationalError, InterfaceError):
        connection.close()
        return _page(request, "unavailable", 503)
    return _page(request, "done" if request.method == "POST" else "ask", 200, subject)


def _look(message_id: str) -> Subject | None:
    message = Message.objects.select_related("content").filter(id=message_id).first()
    return _subject(message) if message else None


def _act(message_id: str) -> Subject | None:
    """Suppress the message's recipient and move the message, if it was delivered, in one transaction; a second time changes
    nothing. None: there is no such message."""
    with transaction.atomic():
        found = Message.objects.select_for_update(of=("self",)).select_related("content").filter(id=message_id)
        message = found.first()
        if message is None:
            return None
        content = message.content
        suppressions.suppress(
            message.account_id, message.livemode, content.recipient, content.recipient_key, Reason.USER_UNSUBSCRIBED,
            message.id, actor=ACTOR,
        )  # fmt: skip
        status = Status(message.status)
        if Status.UNSUBSCRIBED in MOVES[status]:
            lifecycle.record([Change(message.id, status, Status.UNSUBSCRIBED, message.fence, message.attempt)])
        return _subject(message)


def _subject(message: Message) -> Subject:
    sender = addresses.parse(message.content.sender)
    local, _, domain = suppressions.bare(message.content.recipient).rpartition("@")
    first = local[0] if len(local) > 2 else ""
    return Subject(sender.name, _readable(sender.domain), f"{first}•••@{domain}")


def _readable(domain: str) -> str:
    try:
        return idna.decode(domain)
    except idna.IDNAError:
        return domain


def _unknown(request: HttpRequest) -> HttpResponse:
    """404, and 429 for an address that tries one link after the other. Links that we wrote are never counted: mail providers
    unsubscribe many people from few addresses."""
    try:
        window = rate.admit(None, client_address(request.META, settings.TRUSTED_PROXIES)).window
    except Error:
        return _page(request, "unavailable", 503)
    if not window.over:
        return _page(request, "unknown", 404)
    response = _page(request, "unavailable", 429)
    response["Retry-After"] = str(max(1, window.seconds_left))
    return response


def _page(request: HttpRequest, name: str, status: int, subject: Subject | None = None) -> HttpResponse:
    """A page in the reader's language that needs no other file and is kept by nobody."""
    language = translation.get_language_from_request(request)
    with translation.override(language):
        context = {"subject": subject, "language": language}
        response = render(request, f"unsubscribe/{name}.html", context, status=status)
    response["Content-Language"] = language
    response["Content-Security-Policy"] = POLICY
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["Vary"] = "Accept-Language"
    response["X-Robots-Tag"] = "noindex, nofollow"
    if status == 503:
        response["Retry-After"] = str(RETRY_AFTER)
    response._has_been_logged = True  # Django would log each 404 with its path: a link that somebody mistyped
    return response
