"""What a mail to the bounce domain can turn out to be. Pure values; who acts on them is not known here."""

from dataclasses import dataclass
from enum import StrEnum

from messaging.delivery.outcomes import Cause


class Action(StrEnum):
    """RFC 3464 section 2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class FeedbackType(StrEnum):
    """RFC 5965 section 7.3, RFC 6430 (not-spam), RFC 6591 (auth-failure), and `opt-out` as several mailbox
    providers send it."""

    ABUSE = "abuse"
    OPT_OUT = "opt-out"
    AUTH_FAILURE = "auth-failure"
    NOT_SPAM = "not-spam"
    FRAUD = "fraud"
    VIRUS = "virus"
    OTHER = "other"


class ReplyKind(StrEnum):
    VACATION = "vacation"
    READ_RECEIPT = "read_receipt"
    CHALLENGE = "challenge"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """What a report says of one recipient.

    `address` is the one the mail was sent to as far as the report tells it, `final` where a forwarding or an alias
    took it; either may be missing. `code`, `enhanced` and `text` (at most 1,000 characters) are what the server said,
    or the reporting host's own words. `cause` is None when nothing failed. `doubtful`: the mailbox is called unknown in
    a reply that comes without status code and without the command it answered, which is how filters talk as well.
    """

    address: str | None
    action: Action
    cause: Cause | None
    final: str | None = None
    code: int | None = None
    enhanced: str | None = None
    text: str = ""
    remote_mta: str | None = None
    doubtful: bool = False

    @property
    def permanent(self) -> bool:
        """The reporting host has given up: this mail will not arrive. True also after a temporary fault that
        lasted too long."""
        return self.action is Action.FAILED

    @property
    def hard(self) -> bool:
        """No mail will ever arrive there: no such mailbox, or no such mail domain, and no 4.x.x status that doubts
        it."""
        doubtful = self.doubtful or (self.enhanced or "").startswith("4")
        return self.permanent and not doubtful and self.cause in (Cause.MAILBOX_UNKNOWN, Cause.DNS)

    @property
    def dead_mailbox(self) -> bool:
        """The address itself is bad for good, by the rule of `Outcome.dead_mailbox`: suppress it."""
        return self.permanent and not self.doubtful and self.cause in (Cause.MAILBOX_UNKNOWN, Cause.MAILBOX_DISABLED)


@dataclass(frozen=True, slots=True)
class Original:
    """What is left of the mail that is reported on, from its headers. Addresses are as written there, redacted ones
    left out."""

    message_id: str | None = None
    return_path: str | None = None
    recipients: tuple[str, ...] = ()
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Bounce:
    """A report on delivery. `recipients` is never empty."""

    recipients: tuple[FailedRecipient, ...]
    original: Original
    reporting_mta: str | None = None
    envelope_id: str | None = None

    @property
    def permanent(self) -> bool:
        return any(recipient.permanent for recipient in self.recipients)


@dataclass(frozen=True, slots=True)
class Complaint:
    """A feedback report (RFC 5965). `recipients` is empty when the provider redacts them; `arrival` is the date of
    the mail complained of, as written."""

    feedback_type: FeedbackType
    recipients: tuple[str, ...]
    original: Original
    user_agent: str | None = None
    arrival: str | None = None
    source_ip: str | None = None


@dataclass(frozen=True, slots=True)
class AutoReply:
    """An automatic answer by or for the recipient: the mail did arrive."""

    kind: ReplyKind
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else, such as a person's answer."""

    subject: str = ""


Report = Bounce | Complaint | AutoReply | Other
