"""A stored message as people look at it: text, HTML, headers and source. Sensitive values are masked in all of them; nothing here
decides who may look."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.parser import BytesHeaderParser

from messaging import templating
from messaging.delivery import letters, mime
from messaging.models import Attachment, Message

LARGEST_SHOWN = 2 * 1024 * 1024
"""Octets of a source that are shown."""


@dataclass(frozen=True, slots=True)
class Body:
    """Both parts as stored; None where there is none."""

    html: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """The mail as it is built, before any signature; `whole` False: only its first LARGEST_SHOWN octets."""

    octets: bytes
    whole: bool

    @property
    def text(self) -> str:
        return self.octets.decode("utf-8", "replace").replace("\r\n", "\n")


@dataclass(frozen=True, slots=True)
class _Kept:
    """What letters.compose asks of a claim."""

    id: str
    created_at: datetime
    sender: str
    recipient: str
    subject: str
    reply_to: str | None
    headers: str
    unsubscribe: bool
    html: str | None
    text: str | None


def body(message: Message) -> Body:
    content, secrets = message.content, message.content.secrets or []
    return Body(*(part and templating.mask(part, secrets) for part in (content.html, content.text)))


def attachments(message: Message) -> list[Attachment]:
    return list(Attachment.objects.filter(message_id=message.id).order_by("position"))


def headers(message: Message) -> list[tuple[str, str]]:
    """Names and decoded values, in order."""
    head = mime.build(_mail(message, [], with_body=False))
    parsed = BytesHeaderParser(policy=policy.default).parsebytes(head)
    return [(name, str(value)) for name, value in parsed.items()]


def source(message: Message) -> Source:
    """Raises OSError when an attachment can't be read."""
    octets = asyncio.run(_first(mime.stream(_mail(message, attachments(message))), LARGEST_SHOWN + 1))
    return Source(octets[:LARGEST_SHOWN], len(octets) <= LARGEST_SHOWN)


async def _first(chunks: AsyncIterator[bytes], most: int) -> bytes:
    kept = bytearray()
    async for chunk in chunks:
        kept += chunk
        if len(kept) >= most:
            break
    return bytes(kept[:most])


def _mail(message: Message, files: Sequence[Attachment], with_body: bool = True) -> mime.Mail:
    content = message.content
    seen = body(message) if with_body else Body(None, "")
    kept = _Kept(
        id=message.id,
        created_at=message.created_at,
        sender=content.sender,
        recipient=content.recipient,
        subject=content.shown_subject,
        reply_to=content.reply_to,
        headers=json.dumps(content.headers),
        unsubscribe=content.unsubscribe,
        html=seen.html,
        text=seen.text,
    )
    return letters.compose(kept, files)
