"""Amazon SES as an Anymail backend: the mail goes raw to SES's HTTP API, signed here. Anymail's own needs boto3, which does its
own HTTP, looks for credentials on the machine and costs some 20 MB in each process."""

import hashlib
import hmac
import json
import re
from base64 import b64encode
from datetime import UTC, datetime
from email.encoders import encode_base64, encode_quopri
from email.mime.base import MIMEBase
from typing import Any
from urllib.parse import quote, urlsplit

from anymail.backends.base_requests import AnymailRequestsBackend, RequestsPayload
from anymail.exceptions import AnymailConfigurationError, AnymailRequestsAPIError
from anymail.message import AnymailRecipientStatus
from anymail.utils import get_anymail_setting

SEND = "v2/email/outbound-emails"
SERVICE = "ses"
is_region = re.compile(r"[a-z]{2,3}(-[a-z]{2,12}){1,2}-[0-9]{1,2}").fullmatch


def origin(service: str, region: str) -> str:
    """https://docs.aws.amazon.com/general/latest/gr/ses.html. China is a partition of its own."""
    return f"https://{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}/"


class EmailBackend(AnymailRequestsBackend):
    esp_name = "Amazon SES"

    def __init__(self, **options: Any) -> None:
        self.access_key_id, self.secret_access_key, self.region, self.configuration_set_name = (
            get_anymail_setting(name, esp_name=self.esp_name, kwargs=options, **default)
            for name, default in (
                ("access_key_id", {}),
                ("secret_access_key", {}),
                ("region", {}),
                ("configuration_set_name", {"default": None}),
            )
        )
        if not is_region(self.region):
            raise AnymailConfigurationError("This is not a region of AWS.")
        api_url = options.pop("api_url", None) or origin("email", self.region)
        super().__init__(api_url if api_url.endswith("/") else f"{api_url}/", **options)

    def build_message_payload(self, message: Any, defaults: Any) -> "_Payload":
        return _Payload(message, defaults, self)

    def parse_recipient_status(self, response: Any, payload: "_Payload", message: Any) -> dict[str, Any]:
        found = self.deserialize_json_response(response, payload, message)
        if not isinstance(found, dict) or not isinstance(found.get("MessageId"), str):
            raise AnymailRequestsAPIError(
                "There is no MessageId in the answer", email_message=message, payload=payload, response=response
            )
        status = AnymailRecipientStatus(message_id=found["MessageId"], status="queued")
        return {one.addr_spec: status for one in payload.to}


class _Payload(RequestsPayload):
    """All that the mail itself says stands in its MIME form; tags and metadata become header fields, which SES gives back with
    its events."""

    def init_payload(self) -> None:
        self.message.attachments[:] = map(_part, self.message.attachments)
        self.mime = self.message.message()
        self.to: list[Any] = []

    def get_api_endpoint(self) -> str:
        return SEND

    def get_request_params(self, api_url: str) -> dict[str, Any]:
        params = super().get_request_params(api_url)
        backend, now = self.backend, datetime.now(UTC)
        signed = signature(
            params["url"], params["data"], now, backend.region, backend.access_key_id, backend.secret_access_key
        )
        return params | {"headers": signed}

    def serialize_data(self) -> bytes:
        for part in self.mime.walk():
            if part["Content-Transfer-Encoding"] == "8bit":  # SES's tracking damages it
                del part["Content-Transfer-Encoding"]
                (encode_quopri if part.get_content_maintype() == "text" else encode_base64)(part)
        data: dict[str, Any] = {
            "Destination": {"ToAddresses": [one.addr_spec for one in self.to]},
            "Content": {"Raw": {"Data": b64encode(self.mime.as_bytes()).decode()}},
        }
        if self.backend.configuration_set_name:
            data["ConfigurationSetName"] = self.backend.configuration_set_name
        return json.dumps(data).encode()

    def set_recipients(self, recipient_type: str, emails: list[Any]) -> None:
        self.to += emails

    def set_metadata(self, metadata: dict[str, Any]) -> None:
        self.mime["X-Metadata"] = json.dumps(metadata)

    def set_tags(self, tags: list[str]) -> None:
        for tag in tags:
            self.mime["X-Tag"] = tag

    def _in_the_mime_form(self, *_: Any) -> None:
        pass

    set_from_email = set_subject = set_reply_to = set_extra_headers = _in_the_mime_form
    set_text_body = set_html_body = set_alternatives = set_attachments = _in_the_mime_form


def _part(attachment: Any) -> Any:
    """With its octets as they are: Django would have text as str, and write its lines anew."""
    if isinstance(attachment, MIMEBase):
        return attachment
    name, data, kind = attachment
    part = MIMEBase(*kind.split("/", 1))
    part.set_payload(data)
    encode_base64(part)
    part.add_header("Content-Disposition", "attachment", filename=name)
    return part


def signature(url: str, body: bytes, at: datetime, region: str, key_id: str, secret: str) -> dict[str, str]:
    """The headers of a signed POST of JSON (AWS Signature Version 4)."""
    parts, time = urlsplit(url), at.strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": "application/json", "host": parts.netloc, "x-amz-date": time}
    names = ";".join(headers)
    canonical = "\n".join(
        ["POST", quote(parts.path, safe="/~"), parts.query, *(f"{name}:{value}" for name, value in headers.items()),
         "", names, hashlib.sha256(body).hexdigest()]
    )  # fmt: skip
    scope = f"{time[:8]}/{region}/{SERVICE}/aws4_request"
    wanted = "\n".join(["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for step in (*scope.split("/"), wanted):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return headers | {
        "authorization": f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    }
