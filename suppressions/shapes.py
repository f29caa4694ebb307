"""Query strings and bodies of the suppressions API."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from sendarix.accounts.calls import one_of
from sendarix.core import addresses
from sendarix.core.shapes import Instant, Page, Shape, ShownAs, fault
from suppressions.models import Reason
from suppressions.queries import Filter
from suppressions.services import Entry, bare

MOST_ROWS = 100_000
"""Of one import."""

MOST_CHECKED = 100
"""Recipients of one check."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address as shown (without a display name) and as matched."""

    text: str
    key: str


def _recipient(value: object) -> Recipient:
    if not isinstance(value, str):
        raise fault("invalid_type", "Must be a string.")
    try:
        return Recipient(bare(value), addresses.parse(value).key)
    except addresses.AddressError as error:
        raise fault(error.code, error.message) from None


def _reason(value: object) -> Reason:
    try:
        return Reason(str(value))
    except ValueError:
        raise fault("invalid_value", f"Must be one of {', '.join(Reason)}.") from None


def _ahead(end: datetime) -> datetime:
    if end <= datetime.now(UTC):
        raise fault("out_of_range", "The time has passed.")
    return end


def _readable(note: str) -> str:
    if "\x00" in note:
        raise fault("invalid_value", "Must not hold a NUL.")
    return note


MailAddress = Annotated[Recipient, PlainValidator(_recipient), WithJsonSchema({"type": "string"})]
ReasonName = Annotated[Reason, BeforeValidator(_reason), one_of(Reason)]
Note = Annotated[str, Field(max_length=1_000), AfterValidator(_readable)]
End = Annotated[Instant, AfterValidator(_ahead)]


class UnsubscribeShape(Shape):
    """Somebody who asked not to be mailed any more."""

    recipient: MailAddress
    """One address; case and IDN spelling do not count."""
    note: Note | None = None
    expires_at: End | None = None
    """From then on the recipient is mailed again; without it, what is set for the reason, which is never by default."""

    def entry(self, reason: Reason) -> Entry:
        return Entry(self.recipient.text, self.recipient.key, reason, None, self.note or "", self.expires_at)


class SuppressionShape(UnsubscribeShape):
    """A recipient who is not to be mailed."""

    reason: ReasonName


class SuppressionRowShape(UnsubscribeShape):
    """One row of an import."""

    reason: ReasonName | None = None
    """Without one, the call's `reason`."""


Rows = Annotated[list[Annotated[Any, ShownAs(SuppressionRowShape)]], Field(min_length=1, max_length=MOST_ROWS)]


class SuppressionImportShape(Shape):
    """Either `rows` or `csv`."""

    rows: Rows | None = None
    csv: Annotated[str, Field(min_length=1)] | None = None
    """A table: columns `recipient`, `reason`, `note`, `expires_at`, named by a header row or in this order; others are ignored.
    Commas, semicolons or tabs."""

    @model_validator(mode="after")
    def _one_of(self) -> "SuppressionImportShape":
        if (self.rows is None) == (self.csv is None):
            raise fault("required", "Give either rows or csv.")
        return self


class ImportQuery(Shape):
    reason: ReasonName = Reason.MANUAL
    """Of rows that name none."""


class CheckQuery(Shape):
    recipient: Annotated[list[MailAddress], Field(min_length=1, max_length=MOST_CHECKED)]
    """May be repeated, up to 100 times."""


class UnsubscribeFilter(Shape):
    recipient: Annotated[str, Field(min_length=1, max_length=320)] | None = None
    """In any spelling."""
    created_after: Instant | None = None
    created_before: Instant | None = None

    def filter(self) -> Filter:
        return Filter(self.recipient, (Reason.USER_UNSUBSCRIBED,), self.created_after, self.created_before)


class UnsubscribeQuery(UnsubscribeFilter, Page):
    """What GET /v1/unsubscribes can be narrowed to."""


class SuppressionFilter(UnsubscribeFilter):
    """What an export can be narrowed to."""

    reason: list[ReasonName] = Field(default_factory=list)
    """May be repeated."""

    def filter(self) -> Filter:
        return Filter(self.recipient, tuple(self.reason), self.created_after, self.created_before)


class SuppressionQuery(SuppressionFilter, Page):
    """What GET /v1/suppressions can be narrowed to."""
