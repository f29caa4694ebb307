"""From a claimed message to the letter that goes out: the mail built and signed once per attempt, attachments streamed from their
store."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from messaging import content
from messaging.delivery import dkim, mime, queue, unsubscribe_links, verp
from messaging.delivery.queue import Claim
from messaging.delivery.smtp import Letter
from messaging.models import Attachment
from sendarix.core import addresses

Chunks = bytes | Callable[[], AsyncIterator[bytes]]


class Written(Protocol):
    """What a mail is composed of; `headers` is a JSON object."""

    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def sender(self) -> str: ...
    @property
    def recipient(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def reply_to(self) -> str | None: ...
    @property
    def headers(self) -> str: ...
    @property
    def unsubscribe(self) -> bool: ...
    @property
    def html(self) -> str | None: ...
    @property
    def text(self) -> str | None: ...


def complete(claim: Claim) -> list[Attachment]:
    """Read what did not come with the claim (a large body, the list of attachments). For a thread with a database connection."""
    if claim.size > queue.INLINE_LIMIT:
        claim.html, claim.text = queue.body(claim.id)
    if not claim.attachment_count:
        return []
    return list(Attachment.objects.filter(message_id=claim.id).order_by("position"))


def needs_more(claim: Claim) -> bool:
    return claim.size > queue.INLINE_LIMIT or claim.attachment_count > 0


def write(claim: Claim) -> Letter:
    """The letter of a claim without attachments. The same claim makes the same bytes on every attempt, Message-ID, Date and, as
    long as its keys stay, signatures included."""
    mail = compose(claim, [])
    content = mime.build(mail)
    keys = claim.identity.keys
    signatures = dkim.sign_content(content, keys, mail.date) if keys else b""
    return _letter(claim, mail, signatures + content, len(signatures) + len(content))


async def write_with(claim: Claim, attachments: Sequence[Attachment]) -> Letter:
    """The same with attachments, which are read once for the signatures and once more on their way."""
    mail = compose(claim, attachments)
    signatures = b""
    if claim.identity.keys:
        head, body = await dkim.hash_stream(mime.stream(mail))
        signatures = dkim.sign(head, body, claim.identity.keys, mail.date)
    return _letter(claim, mail, partial(_stream, signatures, mail), len(signatures) + mime.size(mail))


async def _stream(signatures: bytes, mail: mime.Mail) -> AsyncIterator[bytes]:
    if signatures:
        yield signatures
    async for chunk in mime.stream(mail):
        yield chunk


def compose(claim: Written, attachments: Sequence[Attachment]) -> mime.Mail:
    """Everything of the mail that is said before any signature."""
    sender, recipient = addresses.parse(claim.sender), addresses.parse(claim.recipient)
    headers = tuple(json.loads(claim.headers).items()) if claim.headers != "{}" else ()
    if claim.unsubscribe:
        headers += unsubscribe_links.headers(claim.id)
    return mime.Mail(
        message_id=f"{claim.id}@{sender.domain}",
        date=claim.created_at,
        sender=_mailbox(sender),
        recipient=_mailbox(recipient),
        subject=claim.subject,
        reply_to=_mailbox(addresses.parse(claim.reply_to)) if claim.reply_to else None,
        headers=headers,
        text=claim.text,
        html=claim.html,
        attachments=tuple(_part(attachment) for attachment in attachments),
    )


def _letter(claim: Claim, mail: mime.Mail, chunks: Chunks, size: int) -> Letter:
    """With a return path of ours the envelope's sender is an address that names the message (VERP), so that a bounce finds it."""
    return_path = claim.identity.return_path
    envelope = verp.address(claim.id, return_path) if return_path else mail.sender[1]
    smtputf8, eight_bit = mime.flags(mail)
    return Letter(envelope, mail.recipient[1], size, smtputf8, eight_bit, chunks)


def _mailbox(address: addresses.Address) -> tuple[str, str]:
    return address.name, address.spec


def _part(attachment: Attachment) -> mime.Part:
    return mime.Part(
        attachment.filename,
        attachment.content_type,
        attachment.content_id,
        attachment.size,
        partial(content.open_blocks, attachment.path),
    )
