"""Hands messages to a provider's API through its Anymail backend, made with the route's own settings and never with global ones.
Each carrier has a thread of its own, so that a slow provider holds up nobody else's mail: a lane has few carriers."""

import asyncio
import importlib
import warnings
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from email.encoders import encode_base64
from email.headerregistry import Address
from email.mime.base import MIMEBase
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import requests
from anymail.exceptions import (
    AnymailAPIError,
    AnymailError,
    AnymailRecipientsRefused,
    AnymailUnsupportedFeature,
    AnymailWarning,
)
from anymail.message import AnymailMessage

from messaging import content
from messaging.delivery import dns, letters, provider_verdicts, replies, ses
from messaging.delivery.mime import Mail, Mailbox
from messaging.delivery.outcomes import Cause, Outcome, Phase, Reply, Verdict
from messaging.delivery.provider_wire import Call, Line, NotAllowed, Session
from messaging.delivery.queue import Claim
from messaging.delivery.ways import Route
from messaging.models import Attachment
from sendarix.core.grouping import reconnecting

DEADLINE = 60.0
"""Seconds that a call may take before its request goes out, and again after that."""

ADDRESSES_LIVE = 30.0
"""Seconds for which a looked-up address is used for new connections."""

MOST_TEXT = 1_000

REFERENCE = "sendarix_id"
"""The metadata under which the provider's events name our message."""

SENDING: Mapping[str, frozenset[str]] = {
    "amazon_ses": frozenset({"access_key_id", "secret_access_key", "region", "configuration_set_name"}),
    "brevo": frozenset({"api_key"}),
    "mailersend": frozenset({"api_token"}),
    "mailgun": frozenset({"api_key", "sender_domain"}),
    "mailjet": frozenset({"api_key", "secret_key"}),
    "mailtrap": frozenset({"api_token", "sandbox_id"}),
    "mandrill": frozenset({"api_key"}),
    "postal": frozenset({"api_key"}),
    "postmark": frozenset({"server_token", "message_stream"}),
    "resend": frozenset({"api_key"}),
    "scaleway": frozenset({"secret_key", "project_id", "region"}),
    "sendgrid": frozenset({"api_key"}),
    "sparkpost": frozenset({"api_key", "subaccount"}),
    "unisender_go": frozenset({"api_key"}),
}
"""The settings of each provider's backend that a route may have, beside `api_url`. Closed, because Anymail has others that load
code by its name or print requests."""

_EXTRA_HEADERS = {"postmark": {"X-PM-KeepID": "true"}}
"""What makes a provider keep our Message-ID."""

_LABELS = ((None, True), (1, True), (0, True), (1, False), (0, False))
"""How many tags, and whether metadata, until the provider can carry it: a mail can do without. The first that goes is taken."""

_Part = tuple[str, bytes, str] | MIMEBase

warnings.filterwarnings("ignore", category=AnymailWarning)


def backend(route: Route) -> Any:
    """The provider's Anymail backend with this route's settings. Raises what Anymail raises where they are not complete, and
    ImportError."""
    module = ses if route.backend == "amazon_ses" else importlib.import_module(f"anymail.backends.{route.backend}")
    allowed = SENDING[route.backend] | {"api_url"}
    options = {name: str(value) for name, value in route.settings.items() if name in allowed}
    return module.EmailBackend(**options)


class Provider:
    """Calls the API for one message after another, over one session."""

    def __init__(self, route: Route, thread: Executor) -> None:
        self.route = route
        self.thread = thread
        self._own = ThreadPoolExecutor(1, thread_name_prefix="provider")
        self._backend: Any = None
        self._line = Line("", plain=False)
        self._looked_up = float("-inf")
        self._clock: asyncio.TimerHandle | None = None

    async def deliver(self, claim: Claim, mark: Any) -> Outcome:
        ready = self._ready() or await self._addresses()
        if ready is not None:
            return ready
        mail, attachments = await self._mail(claim)
        loop = asyncio.get_running_loop()
        call = self._line.call = Call(lambda: asyncio.run_coroutine_threadsafe(self._allowed(mark), loop).result())
        self._start_clock()
        try:
            return await loop.run_in_executor(self._own, self._send, call, claim, mail, attachments)
        except asyncio.CancelledError:
            self._line.break_off()
            raise
        finally:
            self._stop_clock()

    async def close(self) -> None:
        self._line.break_off()
        self._own.shutdown(wait=False)
        if self._backend is not None and self._backend.session is not None:
            self._backend.session.close()

    def _ready(self) -> Outcome | None:
        """Make the backend once; None when it is there."""
        if self._backend is not None:
            return None
        try:
            made = backend(self.route)
            url = urlsplit(made.api_url)
            host = url.hostname or ""
        except Exception as error:  # Anymail's own classes of faults, and those of what it builds on
            detail = f"the route's settings are not right: {type(error).__name__}"
            return self._outcome(Verdict.DEFERRED, Cause.AUTH, Phase.AUTH, detail=detail)
        if url.scheme != "https" and not self.route.allow_private:
            return self._outcome(Verdict.DEFERRED, Cause.TLS, Phase.CONNECTING, detail="the API's URL is not https")
        self._line = Line(host, plain=self.route.allow_private)
        made.session = Session(self._line)
        self._backend = made
        return None

    async def _addresses(self) -> Outcome | None:
        """Look the API's host up, judge its addresses, and let connections be made to those only."""
        if monotonic() - self._looked_up < ADDRESSES_LIVE:
            return None
        found = await dns.smarthost(self._line.host, allow_private=self.route.allow_private)
        if isinstance(found, Outcome):  # whatever is wrong with the URL, it is not the message
            return self._outcome(Verdict.DEFERRED, Cause.DNS, Phase.RESOLVING, detail=found.detail)
        self._line.addresses, self._looked_up = found, monotonic()
        return None

    async def _mail(self, claim: Claim) -> tuple[Mail, list[Attachment]]:
        attachments: list[Attachment] = []
        if letters.needs_more(claim):
            loop = asyncio.get_running_loop()
            attachments = await loop.run_in_executor(self.thread, reconnecting, letters.complete, claim)
        return letters.compose(claim, attachments), attachments

    async def _allowed(self, mark: Any) -> bool:
        """The mark may wait for the database; that is not the provider's time."""
        self._stop_clock()
        try:
            return await mark()
        finally:
            self._start_clock()

    def _start_clock(self) -> None:
        self._clock = asyncio.get_running_loop().call_later(DEADLINE, self._line.break_off)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _send(self, call: Call, claim: Claim, mail: Mail, attachments: list[Attachment]) -> Outcome:
        """In the carrier's own thread."""
        parts = [_part(attachment) for attachment in attachments]
        for most_tags, metadata in _LABELS:
            message = _message(mail, parts, _EXTRA_HEADERS.get(self.route.backend, {}))
            if claim.tags[:most_tags]:
                message.tags = claim.tags[:most_tags]
            if metadata:
                message.metadata = {REFERENCE: claim.id}
            try:
                self._backend.send_messages([message])
            except AnymailUnsupportedFeature as unsupported:
                refusal = unsupported
                continue
            except NotAllowed:
                return self._not_sent(call)
            except Exception as error:  # Anymail lets faults of ours and of what it builds on through
                return self._failed(error, message, call)
            return self._accepted(message)
        return self._outcome(Verdict.BOUNCED, Cause.CONTENT, Phase.BODY, detail=_first_line(refusal))

    def _not_sent(self, call: Call) -> Outcome:
        if call.expired:
            return self._outcome(Verdict.DEFERRED, Cause.TIMEOUT, Phase.CONNECTING, detail="no connection in time")
        return self._outcome(Verdict.DEFERRED, Cause.SYSTEM, Phase.BODY, detail="given up before the request")

    def _accepted(self, message: AnymailMessage) -> Outcome:
        """The provider has taken it: what a 250 is elsewhere. Its own events tell what becomes of it."""
        status = message.anymail_status
        one = next(iter(status.recipients.values()), None)
        verdict, cause, phase = provider_verdicts.of_recipient(one.status if one else None)
        reference = str(status.message_id)[:200] if isinstance(status.message_id, str) else None
        return self._outcome(verdict, cause, phase, status.esp_response, reference=reference)

    def _failed(self, error: Exception, message: AnymailMessage, call: Call) -> Outcome:
        response = getattr(error, "response", None)
        if isinstance(error, AnymailRecipientsRefused):
            statuses = message.anymail_status.status or set()
            refused = provider_verdicts.of_recipient("invalid" if statuses == {"invalid"} else "rejected")
            return self._outcome(*refused, response)
        if isinstance(response, requests.Response):
            kind = response.headers.get("x-amzn-ErrorType", "")
            judged = provider_verdicts.of_status(response.status_code, response.text, kind.partition(":")[0])
            return self._outcome(*judged, response)
        if call.whole or (call.begun and not isinstance(error, AnymailAPIError | requests.RequestException)):
            detail = f"no answer to the request: {self._reason(error, call)}"
            return self._outcome(Verdict.UNCERTAIN, Cause.UNCERTAIN, Phase.DOT, detail=detail)
        if isinstance(error, requests.RequestException):
            cause, phase = _unreached(error, call)
            return self._outcome(Verdict.DEFERRED, cause, phase, detail=self._reason(error, call))
        if isinstance(error, AnymailError | ValueError):
            return self._outcome(Verdict.BOUNCED, Cause.CONTENT, Phase.BODY, detail=_first_line(error))
        raise error

    def _reason(self, error: Exception, call: Call) -> str:
        if call.expired:
            return "no answer in time"
        return self._clean(_first_line(error.__cause__ or error))

    def _outcome(
        self,
        verdict: Verdict,
        cause: Cause | None,
        phase: Phase,
        response: requests.Response | None = None,
        detail: str = "",
        reference: str | None = None,
    ) -> Outcome:
        reply = wait = None
        if response is not None:
            reply = Reply(response.status_code, None, self._clean(response.text))
        if response is not None and verdict is Verdict.DEFERRED:
            wait = provider_verdicts.retry_after(response.headers, datetime.now(UTC))
        line = self._line
        return Outcome(
            verdict, cause, phase, reply, self._clean(detail), line.host or None, line.address, line.tls, wait,
            provider=self.route.backend, reference=reference,
        )  # fmt: skip

    def _clean(self, text: str) -> str:
        """Printable, short, and without the route's own secrets, should the provider say them."""
        for value in self.route.settings.values():
            if isinstance(value, str) and len(value) > 5 and "://" not in value:
                text = text.replace(value, "…")
        return replies.printable(text[:MOST_TEXT])


def _message(mail: Mail, parts: list[_Part], extra: Mapping[str, str]) -> AnymailMessage:
    message = AnymailMessage(
        subject=mail.subject,
        body=mail.html if mail.text is None and mail.html is not None else mail.text or "",
        from_email=_address(mail.sender),
        to=[_address(mail.recipient)],
        reply_to=[_address(mail.reply_to)] if mail.reply_to else None,
        headers={**dict(mail.headers), "Message-ID": f"<{mail.message_id}>", **extra},
    )
    if mail.html is not None and mail.text is None:
        message.content_subtype = "html"
    elif mail.html is not None:
        message.attach_alternative(mail.html, "text/html")
    message.attachments.extend(parts)
    return message


def _address(mailbox: Mailbox) -> str:
    name, spec = mailbox
    return str(Address(name, addr_spec=spec)) if name and spec.isascii() else spec


def _part(attachment: Attachment) -> _Part:
    """An attachment whole in memory, as APIs want it. Raises OSError when its file does not have its size."""
    data = content.read(attachment.path, attachment.size + 1)
    if len(data) != attachment.size:
        raise OSError(f"an attachment of {attachment.size} octets has {len(data)}")
    composite = attachment.content_type.lower().startswith(("message/", "multipart/"))
    kind = "application/octet-stream" if composite else attachment.content_type
    if not attachment.content_id:
        return attachment.filename, data, kind
    part = MIMEBase(*kind.split("/", 1))
    part.set_payload(data)
    encode_base64(part)
    part.add_header("Content-Disposition", "inline", filename=attachment.filename)
    part.add_header("Content-ID", f"<{attachment.content_id}>")
    return part


def _unreached(error: requests.RequestException, call: Call) -> tuple[Cause, Phase]:
    if call.begun:
        return Cause.TIMEOUT if call.expired else Cause.CONNECTION, Phase.BODY
    if isinstance(error, requests.exceptions.SSLError):
        return Cause.TLS, Phase.STARTTLS
    if call.expired or isinstance(error, requests.Timeout):
        return Cause.TIMEOUT, Phase.CONNECTING
    return Cause.CONNECTION, Phase.CONNECTING


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
