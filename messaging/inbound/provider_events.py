"""/hooks/<provider>/<token>: what a provider tells of mail it took from us. Anymail checks and reads it; here it is brought onto
the right message. 200 only after all of it is committed; the provider sends the rest again, and repetitions are harmless."""

import base64
import binascii
import hashlib
import hmac
import importlib
import logging
import re
import time
import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from anymail.exceptions import AnymailWarning, AnymailWebhookValidationFailure
from anymail.signals import AnymailTrackingEvent, EventType, RejectReason
from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection, transaction
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from messaging import lifecycle
from messaging.delivery import destinations, health, providers, queue, replies
from messaging.delivery.outcomes import Cause, Phase, Reply
from messaging.inbound import sns
from messaging.lifecycle import MOVES, Change
from messaging.models import Attempt, Message, Route, Status
from messaging.routes import options
from sendarix.accounts import rate
from sendarix.accounts.sources import client_address
from sendarix.core.errors import RETRY_AFTER
from suppressions import services as suppressions
from suppressions.models import Reason

logger = logging.getLogger(__name__)

ACTOR = "provider"

MOST_BYTES = 1024 * 1024

MOST_TEXT = 1_000

RESEND_TOLERANCE = 300
"""Seconds that the time of a signed request may be off."""

_VIEWS = {
    "brevo": "Brevo", "mailersend": "MailerSend", "mailgun": "Mailgun", "mailjet": "Mailjet", "mailtrap": "Mailtrap",
    "postal": "Postal", "postmark": "Postmark", "resend": "Resend", "sendgrid": "SendGrid", "sparkpost": "SparkPost",
    "unisender_go": "UnisenderGo",
}  # fmt: skip

_TAKEN = {EventType.QUEUED, EventType.SENT, EventType.DEFERRED, EventType.DELIVERED}
_REFUSED = {EventType.BOUNCED, EventType.REJECTED, EventType.FAILED}

_is_id = re.compile(r"msg_[0-9a-z]{26}").fullmatch
_is_token = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_our_message_id = re.compile(r"<?(msg_[0-9a-z]{26})@[^<>\s]+>?").fullmatch
_code = re.compile(r"(?<![\d.])([45]\d\d)(?![\d.])")
_enhanced = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?![\d.])")
_unsafe = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")

warnings.filterwarnings("ignore", category=AnymailWarning)


class Forged(Exception):
    """Whoever sent this has not the provider's secret."""


class Unreadable(Exception):
    """Not what this provider sends."""


@dataclass(frozen=True, slots=True)
class News:
    """One event, made safe to store. `bad_mailbox`: the address is bad for good."""

    kind: str
    message_id: str | None
    reference: str | None
    at: datetime | None
    cause: Cause
    bad_mailbox: bool
    detail: str


@csrf_exempt
def receive(request: HttpRequest, provider: str, token: str) -> HttpResponse:
    """200: all that could be used is committed. 403: not signed by the provider. 404: not a hook of ours. 503: send it again."""
    try:
        route = _route(provider, token)
        if route is None:
            return _unknown(request)
        if request.method in ("HEAD", "GET"):  # some providers look whether anybody is there
            return _answer(200)
        if request.method != "POST":
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        if not _read_body(request):
            return _answer(413)
        news = read(route, request)
        waiting = [one for one in news if not bring(route, one)]
    except Forged:
        return _answer(403)
    except sns.Unasked:
        response = _answer(401)
        response["WWW-Authenticate"] = 'Basic realm="Sendarix"'
        return response
    except sns.Unconfirmed:
        return _answer(503)
    except Unreadable:
        return _answer(400)
    except (OperationalError, InterfaceError):
        connection.close()
        return _answer(503)
    return _answer(503 if waiting else 200)


def _route(provider: str, token: str) -> Route | None:
    """The database takes no NUL, so what can be no token is not asked for."""
    if not (_is_token(token) and _is_token(provider)):
        return None
    return Route.objects.filter(hook_token=token, kind=Route.Kind.PROVIDER, options__backend=provider).first()


def read(route: Route, request: HttpRequest) -> list[News]:
    """The events of a request, in order. Raises Forged and Unreadable."""
    given = options.whole(route).get("settings", {})
    view = _view(route.options["backend"], given)
    view.setup(request)
    if route.options["backend"] == "resend" and "signing_secret" in given:
        _check_svix(given["signing_secret"], request)
    try:
        view.run_validators(request)
        events = view.parse_events(request)
        return [_news(event) for event in events if isinstance(event, AnymailTrackingEvent)]
    except AnymailWebhookValidationFailure:
        raise Forged from None
    except (OperationalError, InterfaceError, sns.Unasked, sns.Unconfirmed):
        raise
    except Exception as error:  # Anymail reads payloads as if they were what the provider documents
        logger.info("a request to the hook of route %s can't be read: %s", route.id, type(error).__name__)
        raise Unreadable from None


def _view(backend: str, given: dict[str, Any]) -> Any:
    """Anymail's view of the provider's events, with what it needs of the route's settings."""
    made = _view_class(backend)
    wanted = options.HOOKS.get(backend, frozenset()) | {"webhook_secret", "api_key"}
    kept = {name: str(value) for name, value in given.items() if name in wanted}
    if backend == "resend":
        kept.pop("signing_secret", None)  # see _check_svix
    try:
        return made(**kept)
    except Exception as error:  # a secret that it can't do without is not in the settings, or is no key
        logger.warning(
            "the settings of a %s route are not enough to check its events: %s", backend, type(error).__name__
        )
        raise Forged from None


def _view_class(backend: str) -> Any:
    if backend == "amazon_ses":
        return sns.TrackingView
    if backend == "mandrill":
        return importlib.import_module("anymail.webhooks.mandrill").MandrillCombinedWebhookView
    if backend not in _VIEWS:
        raise Unreadable
    return getattr(importlib.import_module(f"anymail.webhooks.{backend}"), f"{_VIEWS[backend]}TrackingWebhookView")


def _check_svix(secret: str, request: HttpRequest) -> None:
    """Resend's signature, which Anymail checks with a library that is not here (docs.svix.com/receiving/verifying-payloads)."""
    number, at = request.headers.get("svix-id", ""), request.headers.get("svix-timestamp", "")
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise Forged from None
    expected = hmac.new(key, f"{number}.{at}.".encode() + request.body, hashlib.sha256).digest()
    fresh = at.isdecimal() and len(at) < 12 and abs(time.time() - int(at)) < RESEND_TOLERANCE
    signatures = request.headers.get("svix-signature", "").split(" ")
    wanted = f"v1,{base64.b64encode(expected).decode()}"
    if not fresh or not any(hmac.compare_digest(one.encode(), wanted.encode()) for one in signatures):
        raise Forged


def _news(event: AnymailTrackingEvent) -> News:
    reference = _text(event.message_id, 200) or None
    named = event.metadata.get(providers.REFERENCE) if isinstance(event.metadata, dict) else None
    message_id = named if isinstance(named, str) and _is_id(named) else None
    if message_id is None and reference and (ours := _our_message_id(reference)):
        message_id = ours[1]
    said = _text(event.mta_response, MOST_TEXT) or _text(event.description, MOST_TEXT)
    cause = _cause(event, said)
    at = event.timestamp if isinstance(event.timestamp, datetime) and event.timestamp.tzinfo else None
    bad = event.event_type in _REFUSED and cause in (Cause.MAILBOX_UNKNOWN, Cause.MAILBOX_DISABLED)
    return News(str(event.event_type), message_id, reference, at, cause, bad, said)


def _cause(event: AnymailTrackingEvent, said: str) -> Cause:
    """From what the recipient's server said, else from what the provider says itself. What was never offered to a server bounces
    by the provider's policy, unless the address is none."""
    code, enhanced = _code.search(said), _enhanced.search(said)
    if event.event_type == EventType.BOUNCED and (code or enhanced):
        number = int(code[1]) if code else int(f"{enhanced[1][0]}50") if enhanced else 550
        _, cause = replies.from_reply(Reply(number, enhanced[1] if enhanced else None, said), Phase.RCPT)
        permanent = number >= 500 and not (enhanced and enhanced[1].startswith("4"))
        vague = cause in (Cause.OTHER, None)
        if not permanent and cause in (Cause.MAILBOX_UNKNOWN, Cause.MAILBOX_DISABLED):
            return Cause.OTHER
        if not vague:
            return cause or Cause.OTHER
    if event.reject_reason == RejectReason.INVALID or _says_hard(event):
        return Cause.MAILBOX_UNKNOWN
    return Cause.POLICY if event.event_type == EventType.REJECTED else Cause.OTHER


def _says_hard(event: AnymailTrackingEvent) -> bool:
    """The provider's own word that there is no such mailbox: Postmark's, Brevo's, SendGrid's and Amazon's."""
    raw = event.esp_event if isinstance(event.esp_event, dict) else {}
    status = raw.get("status")
    return (
        sns.is_hard(raw)
        or raw.get("Type") in ("HardBounce", "BadEmailAddress")
        or raw.get("event") in ("hard_bounce", "invalid_email")
        or (event.event_type == EventType.BOUNCED and isinstance(status, str) and status.startswith("5.1."))
    )


def _text(value: object, most: int) -> str:
    return _unsafe.sub(" ", value)[:most].strip() if isinstance(value, str) else ""


def bring(route: Route, news: News) -> bool:
    """Move the message, suppress its recipient where that follows, count it for the route's health: one transaction. False: the
    message is on its way at this moment, so the event has to come again."""
    if news.kind not in (*_TAKEN, *_REFUSED, EventType.COMPLAINED, EventType.UNSUBSCRIBED):
        return True
    with transaction.atomic():
        message = _message(route, news)
        if message is None:
            return True
        if message.worker is not None:
            return False
        if news.kind in _TAKEN:
            _move(message, _steps(message, Status.DELIVERED), route, news)
        elif news.kind in _REFUSED:
            _bounce(message, route, news)
        elif news.kind == EventType.COMPLAINED:
            _leave(message, Status.COMPLAINED, Reason.SPAM_COMPLAINT, route, news)
        else:
            _leave(message, Status.UNSUBSCRIBED, Reason.USER_UNSUBSCRIBED, route, news)
    return True


def _message(route: Route, news: News) -> Message | None:
    """The message it is about, locked; only one that this route may have carried."""
    found = Message.objects.select_related("content")
    if route.account_id is not None:
        found = found.filter(account_id=route.account_id)
    number = news.message_id or _by_reference(route, news.reference)
    if number is None:
        return None
    message = found.select_for_update(of=("self",)).filter(id=number).first()
    if message is None or (route.account_id is None and not _attempts(message, route)):
        return None
    return message


def _by_reference(route: Route, reference: str | None) -> str | None:
    if not reference:
        return None
    rows = Attempt.objects.filter(explanation__has_key="reference", route=route.name)
    rows = rows.alias(known=KT("explanation__reference")).filter(known=reference)
    if route.account_id is not None:
        rows = rows.filter(message__account_id=route.account_id)
    return rows.values_list("message_id", flat=True).first()


def _attempts(message: Message, route: Route) -> bool:
    return Attempt.objects.filter(message=message, route=route.name).exists()


def _steps(message: Message, status: Status) -> list[Status]:
    """The way there: who complains or unsubscribes has the mail, even where we did not know that it arrived."""
    now = Status(message.status)
    if status in MOVES[now]:
        return [status]
    if now in (Status.ACCEPTED, Status.DEFERRED) and status in MOVES[Status.DELIVERED]:
        return [Status.DELIVERED, status]
    return []


def _move(message: Message, steps: list[Status], route: Route, news: News) -> bool:
    data: dict[str, Any] = {"attempt": message.attempt, "route": route.name, "provider": route.options["backend"]}
    if news.detail:
        data["detail"] = news.detail
    previous, moved = Status(message.status), False
    for status in steps:
        told = {**data, "handed_to": route.options["backend"]} if status == Status.DELIVERED else data
        reason = None
        if status == Status.BOUNCED:
            reason = str(news.cause)
            told = {**data, "reason": reason}
        change = Change(message.id, previous, status, message.fence, message.attempt, reason, data=told)
        moved = bool(lifecycle.record([change]))
        previous = status
    return moved


def _bounce(message: Message, route: Route, news: News) -> None:
    if _is_old(message, news) or not _move(message, _steps(message, Status.BOUNCED)[-1:], route, news):
        return
    queue.bury([message.id])
    health.note(route.id, _destination(message), bounced=1)
    if news.bad_mailbox:
        _suppress(message, Reason.HARD_BOUNCE)


def _is_old(message: Message, news: News) -> bool:
    """Whether it is about an earlier hand-over of a message that was sent again since."""
    if news.at is None:
        return False
    started = list(Attempt.objects.filter(message=message).order_by("-id").values_list("started_at", flat=True)[:2])
    return len(started) > 1 and news.at < started[0]


def _leave(message: Message, status: Status, reason: Reason, route: Route, news: News) -> None:
    """A repetition finds the status it has led to, and changes nothing any more."""
    now = Status(message.status)
    if now == status:
        return
    if _move(message, _steps(message, status), route, news) and status == Status.COMPLAINED:
        health.note(route.id, _destination(message), complained=1)
    _suppress(message, reason)


def _suppress(message: Message, reason: Reason) -> None:
    content = message.content
    suppressions.suppress(
        message.account_id, message.livemode, content.recipient, content.recipient_key, reason, message.id, actor=ACTOR
    )


def _destination(message: Message) -> str:
    domain = message.content.recipient_key.rpartition("@")[2]
    destinations.prefetch([domain])
    return destinations.provider(domain) or domain


def _read_body(request: HttpRequest) -> bool:
    """Take the body in, unless it is over MOST_BYTES; Django's own limit is off."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if request.META.get("wsgi.input_terminated") and length == "0":
        body = request.META["wsgi.input"].read(MOST_BYTES + 1)
    elif length.isascii() and length.isdecimal() and len(length) < 10 and int(length) <= MOST_BYTES:
        body = request.read(int(length))
    else:
        return False
    request._body = body  # where HttpRequest.body and .POST look first
    return len(body) <= MOST_BYTES


def _unknown(request: HttpRequest) -> HttpResponse:
    """404, and 429 for an address that tries one token after the other."""
    try:
        window = rate.admit(None, client_address(request.META, settings.TRUSTED_PROXIES)).window
    except Error:
        return _answer(503)
    if not window.over:
        return _answer(404)
    response = _answer(429)
    response["Retry-After"] = str(max(1, window.seconds_left))
    return response


def _answer(status: int) -> HttpResponse:
    response = HttpResponse(status=status, content_type="text/plain")
    response["Cache-Control"] = "no-store"
    if status == 503:
        response["Retry-After"] = str(RETRY_AFTER)
    response._has_been_logged = True  # Django would log the path: a secret
    return response
