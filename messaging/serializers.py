"""The shapes of message requests: fields, sizes and addresses, every fault at once. What needs the account (its sender, its
templates) is looked at in preparation.py."""

import base64
import binascii
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from messaging import headers as header_rules
from sendarix.core import addresses
from sendarix.core.shapes import Instant, Shape, fault

LARGEST_BODY = 10 * 1024 * 1024
"""Characters of `html` or of `text`."""

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


def _no_unsubscribe(wanted: bool) -> bool:
    if wanted:
        raise fault("not_available", "Unsubscribe links are not available yet; leave the field out or false.")
    return wanted


MailAddress = Annotated[str, AfterValidator(_address)]
Line = Annotated[str, AfterValidator(_line)]

class AttachmentShape(Shape):
    filename: Annotated[Line, Field(min_length=1, max_length=255)]
    content_type: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}$")
    ] = "application/octet-stream"
    content: Annotated[str, Field(description="base64")]
    content_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._@+-]{1,200}$")] | None = None

    def decoded(self) -> bytes | None:
        """The bytes; None when `content` is not base64."""
        try:
            return base64.b64decode(self.content, validate=True)
        except (binascii.Error, ValueError):
            return None


class MessageShape(Shape):
    """One message as POST /v1/messages takes it."""

    recipient: Annotated[MailAddress, Field(description="user@example.com or Name <user@example.com>")]
    sender: Annotated[MailAddress | None, Field(alias="from")] = None
    subject: Annotated[Line, Field(min_length=1, max_length=998)] | None = None
    template: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")] | None = None
    template_data: dict[str, Any] = Field(default_factory=dict)
    html: Annotated[str, Field(min_length=1, max_length=LARGEST_BODY)] | None = None
    text: Annotated[str, Field(min_length=1, max_length=LARGEST_BODY)] | None = None
    reply_to: MailAddress | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    attachments: Annotated[list[AttachmentShape], Field(max_length=100)] = Field(default_factory=list)
    metadata: Annotated[dict[str, str], AfterValidator(_metadata)] = Field(default_factory=dict)
    tags: Annotated[list[Annotated[Line, Field(min_length=1, max_length=100)]], Field(max_length=20)] = Field(
        default_factory=list
    )
    priority: Literal["critical", "high", "normal", "low"] = "normal"
    scheduled_time: Instant | None = None
    expires_at: Instant | None = None
    ttl_seconds: Annotated[int, Field(ge=1, le=90 * 86400)] | None = None
    unsubscribe: Annotated[bool, AfterValidator(_no_unsubscribe)] = False
    sensitive: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=50)] = Field(
        default_factory=list
    )


class BatchShape(Shape):
    """The call's envelope only: each message is looked at on its own, so that one bad one does not refuse the others."""

    messages: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=500)]


class RescheduleShape(Shape):
    scheduled_time: Instant


def scheduling_fault(at: datetime, now: datetime) -> tuple[str, str] | None:
    """Why a message can't be scheduled for `at`: (code, message), or None."""
    if at < now - LATE:
        return "out_of_range", "The time has passed."
    if at > now + FARTHEST:
        return "out_of_range", "The time is more than 90 days ahead."
    return None
