"""Mail kept on this machine instead of being sent: what the inbox route and the sandbox write, and /inbox shows."""

from datetime import UTC, datetime

from messaging import content
from messaging.delivery.queue import Claim
from messaging.models import CapturedMail


def keep(claim: Claim, sender: str, recipient: str, source: bytes) -> None:
    """Store the mail as it would have gone out; its row last, so that a row always has its bytes."""
    CapturedMail.objects.create(
        message_id=claim.id,
        account_id=claim.account_id,
        livemode=claim.livemode,
        sender=sender,
        recipient=recipient,
        subject=claim.subject,
        size=len(source),
        path=content.store(source),
        at=datetime.now(UTC),
    )
