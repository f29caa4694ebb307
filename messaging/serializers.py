"""The shapes of message requests: fields, sizes and addresses, every fault at once. What needs the account (its sender, its
templates) is looked at in preparation.py."""

import base64
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from messaging import headers as header_rules
from sendarix.core import addresses
from sendarix.core.shapes import Instant, Shape, ShownAs, fault

LARGEST_BODY = 10 * 1024 * 1024
"""Characters of `html` or of `text`."""

LOCALE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$"
"""BCP 47, as messages and templates name a language."""

FARTHEST = timedelta(days=90)
LATE = timedelta(seconds=60)
"""A scheduled time may lie this far back (clocks differ, requests take time); it is sent now."""


def _address(text: str) -> str:
    try:
        addresses.parse(text)
    except addresses.AddressError as error:
        raise fault(error.code, error.message) from None
    return text


def _line(text: str) -> str:
    if reason := header_rules.line_fault(text):
        raise fault("invalid_value", f"This value {reason}.")
    return text


def _metadata(pairs: dict[str, str]) -> dict[str, str]:
    if len(pairs) > 50:
        raise fault("too_long", "At most 50 pairs are allowed.")
    for name, value in pairs.items():
        if not 1 <= len(name) <= 100 or len(value) > 500:
            raise fault("too_long", "A name has 1 to 100 characters, a value at most 500.")
    return pairs


def _base64(text: object) -> bytes:
    if not isinstance(text, str):
        raise fault("invalid_type", "Must be a string.")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise fault("invalid_value", "Must be base64.") from None


MailAddress = Annotated[str, AfterValidator(_address)]
Line = Annotated[str, AfterValidator(_line)]


class AttachmentShape(Shape):
    filename: Annotated[Line, Field(min_length=1, max_length=255)]
    content_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}$")] = (
        "application/octet-stream"
    )
    content: Annotated[bytes, BeforeValidator(_base64), WithJsonSchema({"type": "string", "contentEncoding": "base64"})]
    """Base64 (RFC 4648), with padding."""
    content_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._@+-]{1,200}$")] | None = None


class MessageShape(Shape):
    """One message as POST /v1/messages takes it."""

    recipient: MailAddress
    """One address, `user@example.com` or `Name <user@example.com>`; UTF-8 is allowed (RFC 6531)."""
    sender: Annotated[MailAddress | None, Field(alias="from")] = None
    """Without it the template's sender, the key's or the account's."""
    subject: Annotated[Line, Field(min_length=1, max_length=998)] | None = None
    """Without it the template's."""
    template: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")] | None = None
    """The key of a template. At least one of template, html and text is required."""
    template_data: dict[str, Any] = Field(default_factory=dict)
    """The template's variables; a missing one is a fault, never a blank."""
    html: Annotated[str, Field(min_length=1, max_length=LARGEST_BODY)] | None = None
    text: Annotated[str, Field(min_length=1, max_length=LARGEST_BODY)] | None = None
    """Made from the HTML when absent."""
    reply_to: MailAddress | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    """More headers of the mail, except those that Sendarix sets; `X-Idempotency-Key` is read and not sent."""
    attachments: Annotated[list[AttachmentShape], Field(max_length=100)] = Field(default_factory=list)
    metadata: Annotated[dict[str, str], AfterValidator(_metadata)] = Field(default_factory=dict)
    """Up to 50 pairs, names of 1 to 100 characters, values of up to 500; returned with events."""
    tags: Annotated[list[Annotated[Line, Field(min_length=1, max_length=100)]], Field(max_length=20)] = Field(
        default_factory=list
    )
    priority: Literal["critical", "high", "normal", "low"] = "normal"
    """A lower tier never goes before a higher one; within a tier, first come, first served."""
    scheduled_time: Instant | None = None
    """With offset or Z, at most 90 days ahead; up to a minute ago means now."""
    expires_at: Instant | None = None
    """After this it is not sent any more."""
    ttl_seconds: Annotated[int, Field(ge=1, le=90 * 86400)] | None = None
    """The same, counted from acceptance or from its scheduled time."""
    unsubscribe: bool = False
    """Adds List-Unsubscribe and List-Unsubscribe-Post (RFC 8058) with a link of its own."""
    override_suppression: bool = False
    """Security mail (`critical` only, scope `suppressions:override`): goes out although the recipient has unsubscribed. A dead
    mailbox or a complaint is never overridden."""
    locale: Annotated[str, Field(pattern=LOCALE, max_length=20)] | None = None
    """The language of the template's variant (BCP 47: `ko`, `en-GB`); without that one, a nearer or the default one is taken."""
    sensitive: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=50)] = Field(
        default_factory=list
    )
    """Template variables that are masked in lists, logs and search."""


class BatchShape(Shape):
    """The call's envelope only: each message is looked at on its own, so that one bad one does not refuse the others."""

    messages: Annotated[list[Annotated[dict[str, Any], ShownAs(MessageShape)]], Field(min_length=1, max_length=500)]


class RescheduleShape(Shape):
    scheduled_time: Instant


def scheduling_fault(at: datetime, now: datetime) -> tuple[str, str] | None:
    """Why a message can't be scheduled for `at`: (code, message), or None."""
    if at < now - LATE:
        return "out_of_range", "The time has passed."
    if at > now + FARTHEST:
        return "out_of_range", "The time is more than 90 days ahead."
    return None
