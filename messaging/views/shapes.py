"""Query strings and small bodies of the messages API."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from messaging.models import Status
from messaging.queries import Filter
from sendarix.core.shapes import Instant, Page, Shape, Whole, fault

def _statuses(names: list[str]) -> list[str]:
    known = {str(status) for status in Status}
    wanted = [part for name in names for part in name.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise fault("invalid_value", f"{unknown[0]!r} is not a status; expected one of {', '.join(sorted(known))}.")
    return wanted


class MessageQuery(Page):
    """What GET /v1/messages can be narrowed to; `status` may be repeated or hold several with commas."""

    status: Annotated[list[str], AfterValidator(_statuses)] = Field(default_factory=list)
    recipient: Annotated[str, Field(min_length=1, max_length=320)] | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None
    tag: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    template: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    metadata: Annotated[dict[str, str], Field(description="metadata[key]=value")] = Field(default_factory=dict)
    q: Annotated[str, Field(min_length=1, max_length=200, description="words of the recipient or the subject")] | None = None

    def filter(self) -> Filter:
        return Filter(
            status=tuple(self.status),
            recipient=self.recipient,
            created_after=self.created_after,
            created_before=self.created_before,
            tag=self.tag,
            template=self.template,
            metadata=self.metadata,
            words=tuple((self.q or "").split()),
        )


class EventQuery(Shape):
    """`after` is the next_cursor of an earlier page; without it the feed starts at its beginning."""

    after: str | None = None
    limit: Annotated[Whole, Field(ge=1, le=100)] = Field(25, validate_default=False)


class DeadLetterQuery(Page):
    """`group=cause` counts them instead of listing them."""

    cause: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    group: Annotated[str, Field(pattern="^cause$")] | None = None


class RedriveFilter(Shape):
    cause: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    recipient: Annotated[str, Field(min_length=1, max_length=320)] | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None


class RedriveShape(Shape):
    """Either `ids` or `filter`; `dry_run` only counts."""

    ids: Annotated[list[Annotated[str, Field(max_length=40)]], Field(min_length=1, max_length=1000)] | None = None
    filter: RedriveFilter | None = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _one_of(self) -> "RedriveShape":
        if (self.ids is None) == (self.filter is None):
            raise fault("required", "Give either ids or filter.")
        return self
