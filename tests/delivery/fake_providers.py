"""The send APIs of five providers on loopback, as their public documentation has them: each checks what the real one would refuse
at once (credentials, required fields) and answers in its shape. `FakeProviders().mails` holds what was taken, `step` replaces the
next answer (tests.webhooks.receiver has the steps)."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any
from urllib.parse import parse_qs

from messaging.delivery import ses
from tests.webhooks.receiver import Receiver, Reply, Request, Step

KEY = "key-8c1f40aa"
DOMAIN = "mg.acme.example"

SETTINGS: dict[str, dict[str, str]] = {
    "postmark": {"server_token": KEY},
    "sendgrid": {"api_key": KEY},
    "mailgun": {"api_key": KEY, "sender_domain": DOMAIN},
    "brevo": {"api_key": KEY},
    "amazon_ses": {"access_key_id": "AKIAEXAMPLE", "secret_access_key": KEY, "region": "ap-northeast-2"},
}
"""The settings of a route to each, without `api_url`."""


@dataclass(frozen=True, slots=True)
class TakenMail:
    """What a provider was given: fields by their names in its API, and its id of it."""

    provider: str
    fields: dict[str, Any]
    reference: str


class FakeProviders:
    """Serves all five under one origin; `url(provider)` is what goes into the route's `api_url`."""

    def __init__(self, *, tls: bool = False) -> None:
        self.receiver = Receiver(tls=tls)
        self.receiver.answer = self._answer
        self.mails: list[TakenMail] = []
        self.steps: list[Step] = []
        self.always: Step | None = None

    def __enter__(self) -> "FakeProviders":
        self.receiver.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.receiver.stop()

    def url(self, provider: str) -> str:
        return f"{self.receiver.origin}/{provider}/"

    @property
    def requests(self) -> list[Request]:
        return self.receiver.requests

    def _answer(self, request: Request) -> Step:
        if self.steps:
            return self.steps.pop(0)
        if self.always is not None:
            return self.always
        provider, _, path = request.path.lstrip("/").partition("/")
        return _APIS[provider](self, path, request)

    def take(self, provider: str, fields: dict[str, Any], reference: str) -> None:
        self.mails.append(TakenMail(provider, fields, reference))


def reply(status: int, body: Any, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"Content-Type": "application/json", **named}, json.dumps(body).encode())


def _postmark(fake: FakeProviders, path: str, request: Request) -> Step:
    """https://postmarkapp.com/developer/api/email-api"""
    if request.headers.get("x-postmark-server-token") != KEY:
        return reply(401, {"ErrorCode": 10, "Message": "No Account or Server API tokens were supplied"})
    fields = json.loads(request.body)
    if path != "email" or not fields.get("From") or not (fields.get("TextBody") or fields.get("HtmlBody")):
        return reply(422, {"ErrorCode": 300, "Message": "Provide either email TextBody or HtmlBody or both."})
    if "@invalid" in fields["To"]:
        message = "Error parsing 'To': Illegal email domain 'invalid' in address 'kim@invalid'."
        return reply(422, {"ErrorCode": 300, "Message": message})
    if "inactive" in fields["To"]:
        message = (
            "You tried to send to a recipient that has been marked as inactive. Found inactive addresses:"
            f" {fields['To']}. Inactive recipients are ones that have generated a hard bounce, a spam complaint, or a"
            " manual suppression."
        )
        return reply(422, {"ErrorCode": 406, "Message": message})
    reference = f"b7bc2f4a-e38e-4336-af7d-{len(fake.mails):012d}"
    fake.take("postmark", fields, reference)
    answer = {"To": fields["To"], "SubmittedAt": "2026-11-24T03:00:00Z", "MessageID": reference}
    return reply(200, {**answer, "ErrorCode": 0, "Message": "OK"})


def _sendgrid(fake: FakeProviders, path: str, request: Request) -> Step:
    """https://www.twilio.com/docs/sendgrid/api-reference/mail-send"""
    if request.headers.get("authorization") != f"Bearer {KEY}":
        error = {"message": "The provided authorization grant is invalid, expired, or revoked", "field": None}
        return reply(401, {"errors": [{**error, "help": None}]})
    fields = json.loads(request.body)
    to = fields["personalizations"][0]["to"][0]["email"]
    if path != "mail/send" or to.endswith("@invalid"):
        error = {"message": "Does not contain a valid address.", "field": "personalizations.0.to.0.email"}
        return reply(400, {"errors": [{**error, "help": None}]})
    reference = fields["personalizations"][0]["custom_args"]["anymail_id"]
    fake.take("sendgrid", fields, reference)
    return Reply(202, {"X-Message-Id": "14c5d75ce93.dfd.64b469"}, b"")


def _mailgun(fake: FakeProviders, path: str, request: Request) -> Step:
    """https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages"""
    if request.headers.get("authorization") != f"Basic {b64encode(f'api:{KEY}'.encode()).decode()}":
        return Reply(401, {"Content-Type": "text/html"}, b"Forbidden")
    if path != f"{DOMAIN}/messages":
        return reply(404, {"message": "Domain not found: " + path})
    fields = _form(request)
    if "@invalid" in fields["to"][0]:
        return reply(400, {"message": "'to' parameter is not a valid address. please check documentation"})
    reference = fields["h:Message-Id"][0]
    fake.take("mailgun", fields, reference)
    return reply(200, {"id": reference, "message": "Queued. Thank you."})


def _form(request: Request) -> dict[str, Any]:
    kind = request.headers["content-type"]
    if kind == "application/x-www-form-urlencoded":
        return parse_qs(request.body.decode(), keep_blank_values=True)
    whole = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + request.body, policy=policy.HTTP)
    fields: dict[str, Any] = {}
    for part in whole.iter_parts():
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        fields.setdefault(name, []).append((part.get_filename(), value) if part.get_filename() else value.decode())
    return fields


def _brevo(fake: FakeProviders, path: str, request: Request) -> Step:
    """https://developers.brevo.com/reference/sendtransacemail"""
    if request.headers.get("api-key") != KEY:
        return reply(401, {"message": "Key not found", "code": "unauthorized"})
    fields = json.loads(request.body)
    if path != "smtp/email" or not fields.get("sender"):
        return reply(400, {"code": "missing_parameter", "message": "sender is missing"})
    if fields["to"][0]["email"].endswith("@invalid"):
        return reply(400, {"code": "invalid_parameter", "message": "email is not valid in to"})
    reference = f"<2026112403{len(fake.mails):04d}.1@smtp-relay.mailin.fr>"
    fake.take("brevo", fields, reference)
    return reply(201, {"messageId": reference})


def _amazon_ses(fake: FakeProviders, path: str, request: Request) -> Step:
    """https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html"""
    at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    url = f"http://{request.headers['host']}{request.path}"
    given = SETTINGS["amazon_ses"]
    signed = ses.signature(url, request.body, at, given["region"], given["access_key_id"], KEY)
    if request.headers.get("authorization") != signed["authorization"]:
        message = "The request signature we calculated does not match the signature you provided."
        return reply(403, {"message": message}, x_amzn_ErrorType="SignatureDoesNotMatch:")
    fields = json.loads(request.body)
    if path != "v2/email/outbound-emails" or fields["Destination"]["ToAddresses"][0].endswith("@invalid"):
        return reply(400, {"message": "Invalid domain name: 'invalid'"}, x_amzn_ErrorType="BadRequestException:")
    reference = f"0102019{len(fake.mails):09d}-3f8c-4b8e-9d1a-000000"
    raw = b64decode(fields["Content"]["Raw"]["Data"], validate=True).decode("ascii")
    fake.take("amazon_ses", fields | {"raw": raw}, reference)
    return reply(200, {"MessageId": reference})


_APIS: dict[str, Callable[[FakeProviders, str, Request], Step]] = {
    "postmark": _postmark,
    "sendgrid": _sendgrid,
    "mailgun": _mailgun,
    "brevo": _brevo,
    "amazon_ses": _amazon_ses,
}
