"""The bodies of the suppressions API's answers, as its document shows them."""

from typing import Annotated

from sendarix.accounts.calls import SOMETIMES, AnswerShape, Fault, Moment, one_of, public_id
from suppressions.models import Reason

ReasonName = Annotated[str, one_of(Reason)]
MessageId = Annotated[str, public_id("msg")]


class Suppression(AnswerShape):
    """A recipient who is not mailed."""

    id: Annotated[str, public_id("sup")]
    recipient: str
    reason: ReasonName
    message_id: MessageId | None
    """The message that caused it: that bounced, was complained of or was unsubscribed from."""
    actor: str | None
    """Who added it: a key, `recipient`, or `delivery`."""
    note: str | None
    expires_at: Moment | None
    """From then on the recipient is mailed again; null: never."""
    created_at: Moment
    livemode: bool


class SuppressionPage(AnswerShape):
    """Records, newest first."""

    data: list[Suppression]
    has_more: bool
    next_cursor: str | None


class SuppressionCheck(AnswerShape):
    """Whether one recipient is suppressed; where it is not, the rest is null."""

    recipient: str
    suppressed: bool
    reason: ReasonName | None
    since: Moment | None
    expires_at: Moment | None
    message_id: MessageId | None


class SuppressionChecks(AnswerShape):
    """One answer per recipient, in the order of the request."""

    suppressed: bool
    """Whether any of them is."""
    data: list[SuppressionCheck]


class SuppressionRow(AnswerShape):
    """What became of one row of an import."""

    line: int
    """Where the row begins in the table, or its place in `rows`; from 1."""
    recipient: str
    result: Annotated[str, one_of(("created", "exists", "error"))]
    """`exists`: was suppressed already, or stands further up."""
    errors: list[Fault] = SOMETIMES
    """There when the result is `error`."""


class SuppressionImport(AnswerShape):
    """What an import did. Bad rows do not stop good ones."""

    created: int
    existing: int
    failed: int
    ignored_columns: list[str]
    """Columns of the table that are not taken in."""
    results: list[SuppressionRow]
    """One per row, in their order."""
