"""Sending a stored message once more, as a new one with an id of its own: the same content, due now, accepted like any other."""

from datetime import datetime

from django.db import transaction

from messaging import acceptance, content, queries
from messaging.models import Attachment, Message, Status, Tier
from messaging.preparation import File, Prepared
from sendarix.accounts.keys import Caller
from sendarix.core import addresses, ids
from sendarix.core.errors import Conflict


def again(caller: Caller, message_id: str, request_id: str, now: datetime) -> str:
    """The id of the new message. NotFound; Conflict when sensitive content of the old one is redacted or a file of it is gone;
    StorageUnavailable when files can't be kept."""
    with transaction.atomic():  # or retention could take its files away between its content and them
        message = queries.locked(caller, message_id)
        if message.content.redacted_at is not None:
            raise Conflict("Its sensitive content has been redacted: it can't be sent again.")
        prepared = _copy(caller, message, _files(message), now)
    acceptance.accept(caller, [prepared], None, request_id)
    return prepared.id


def _copy(caller: Caller, message: Message, files: list[File], now: datetime) -> Prepared:
    """Without its end, its time and its leave to pass over an unsubscribe: those were meant for then."""
    kept = message.content
    return Prepared(
        id=ids.new("msg"),
        caller=caller,
        created_at=now,
        status=Status.QUEUED,
        tier=Tier(message.tier),
        recipient=addresses.parse(kept.recipient),
        recipient_text=kept.recipient,
        sender=kept.sender,
        subject=kept.subject,
        shown_subject=kept.shown_subject,
        html=kept.html,
        text=kept.text,
        reply_to=kept.reply_to,
        headers=kept.headers,
        template=kept.template,
        tags=kept.tags,
        metadata=kept.metadata,
        sensitive=kept.sensitive,
        scheduled_time=None,
        expires_at=None,
        size=kept.size,
        files=files,
        template_version=kept.template_version,
        locale=kept.locale,
        secrets=kept.secrets or [],
        unsubscribe=kept.unsubscribe,
    )


def _files(message: Message) -> list[File]:
    found = Attachment.objects.filter(message_id=message.id).order_by("position")
    try:
        return [File(one.filename, one.content_type, one.content_id, content.read(one.path, one.size)) for one in found]
    except OSError:
        raise Conflict("An attachment of it can't be read any more: it can't be sent again.") from None
