"""From a claimed message to the letter that goes out: the mail built once per attempt, attachments streamed from their store."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial

from messaging import content
from messaging.delivery import mime, queue
from messaging.delivery.queue import Claim
from messaging.delivery.smtp import Letter
from messaging.models import Attachment
from sendarix.core import addresses


def complete(claim: Claim) -> list[Attachment]:
    """Read what did not come with the claim (a large body, the list of attachments). For a thread with a database connection."""
    if claim.size > queue.INLINE_LIMIT:
        claim.html, claim.text = queue.body(claim.id)
    if not claim.attachment_count:
        return []
    return list(Attachment.objects.filter(message_id=claim.id).order_by("position"))


def needs_more(claim: Claim) -> bool:
    return claim.size > queue.INLINE_LIMIT or claim.attachment_count > 0


def write(claim: Claim, attachments: list[Attachment]) -> Letter:
    """The letter of a complete claim. The same claim makes the same bytes on every attempt, Message-ID and Date included."""
    sender, recipient = addresses.parse(claim.sender), addresses.parse(claim.recipient)
    mail = mime.Mail(
        message_id=f"{claim.id}@{sender.domain}",
        date=claim.created_at,
        sender=_mailbox(sender),
        recipient=_mailbox(recipient),
        subject=claim.subject,
        reply_to=_mailbox(addresses.parse(claim.reply_to)) if claim.reply_to else None,
        headers=tuple(json.loads(claim.headers).items()) if claim.headers != "{}" else (),
        text=claim.text,
        html=claim.html,
        attachments=tuple(_part(attachment) for attachment in attachments),
    )
    smtputf8, eight_bit = mime.flags(mail)
    chunks: Callable[[], AsyncIterator[bytes]] | bytes = partial(mime.stream, mail) if attachments else mime.build(mail)
    size = len(chunks) if isinstance(chunks, bytes) else mime.size(mail)
    return Letter(sender.spec, recipient.spec, size, smtputf8, eight_bit, chunks)


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
