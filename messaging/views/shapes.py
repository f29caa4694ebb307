"""Query strings and small bodies of the messages API."""

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from messaging.models import Status
from messaging.searching import Query, Term, parse
from sendarix.core.shapes import Instant, Limit, Page, Shape, fault
from sendarix.core.times import zulu

_STATUSES = {"type": "array", "items": {"type": "string", "enum": [str(status) for status in Status]}}


def _statuses(names: list[str]) -> list[str]:
    known = {str(status) for status in Status}
    wanted = [part for name in names for part in name.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise fault("invalid_value", f"{unknown[0]!r} is not a status; expected one of {', '.join(sorted(known))}.")
    return wanted


class MessageQuery(Page):
    """What GET /v1/messages can be narrowed to; `status` may be repeated or hold several with commas."""

    status: Annotated[list[str], AfterValidator(_statuses), WithJsonSchema(_STATUSES)] = Field(default_factory=list)
    """May be repeated, or hold several with commas."""
    recipient: Annotated[str, Field(min_length=1, max_length=320)] | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None
    tag: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    template: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    """`metadata[key]=value`, as often as there are keys."""
    q: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """Words of the recipient or the subject, a request id, an idempotency key or a metadata value, and conditions like
    `status:bounced`, `domain:naver.com`, `after:7d`, `-tag:test`, `meta.order:"A 7"`. A word that does not exist is a fault."""

    def search(self) -> Query:
        """The filters and `q` as one query. Raises ValidationFailed for a `q` that can't be read."""
        given = [
            *([Term("status", ",".join(self.status), tuple(self.status))] if self.status else []),
            *([Term("to", self.recipient, self.recipient)] if self.recipient else []),
            *([Term("after", zulu(self.created_after), self.created_after)] if self.created_after else []),
            *([Term("before", zulu(self.created_before), self.created_before)] if self.created_before else []),
            *([Term("tag", self.tag, self.tag)] if self.tag else []),
            *([Term("template", self.template, self.template)] if self.template else []),
            *(Term("meta", value, value, key=key) for key, value in self.metadata.items()),
        ]
        return Query((*given, *parse(self.q or "").terms))


class EventQuery(Shape):
    """Where in the feed to read on."""

    after: str | None = None
    """`next_cursor` of the page before; without it the feed begins at its beginning."""
    limit: Limit = Field(25, validate_default=False)


class DeadLetterQuery(Page):
    """`group=cause` counts them instead of listing them."""

    cause: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    group: Annotated[str, Field(pattern="^cause$")] | None = None
    """`cause`: count them instead of listing them."""


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
