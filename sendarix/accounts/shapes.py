"""Query strings and answers of the calls about an account."""

from typing import Annotated, Any

from pydantic import Field

from sendarix.accounts.calls import AnswerShape, Call, Moment, public_id
from sendarix.core.shapes import Instant, Page


class AuditQuery(Page):
    """What GET /v1/audit-log can be narrowed to."""

    action: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    """As `webhook_endpoint.updated`."""
    subject: Annotated[str, Field(min_length=1, max_length=320)] | None = None
    """The id, key or address of what was changed."""
    actor: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """As `key_…` or `operator`."""
    created_after: Instant | None = None
    created_before: Instant | None = None


class AuditEntry(AnswerShape):
    """One change: who, what, when, from where."""

    id: Annotated[str, public_id("aud")]
    at: Moment
    actor: str
    """A key (`key_…`), `operator` (whoever runs the service), or the part of the system that acted by itself."""
    action: str
    """What was done, as noun.verb: `domain.added`, `api_key.revoked`."""
    subject: str
    """What was changed: an id, key or address."""
    source: str | None
    """The network address of the request."""
    request_id: str | None
    before: dict[str, Any] | None
    """The fields that changed, as they were."""
    after: dict[str, Any] | None
    """The fields that changed, as they are now."""


class AuditPage(AnswerShape):
    """Entries, newest first."""

    data: list[AuditEntry]
    has_more: bool
    next_cursor: str | None


AUDIT_LOG = Call(
    name="listAuditLog",
    summary="Read the audit log",
    about="Every change of what the account may do or how it is seen, newest first: keys, domains, templates published,"
    " suppressions removed or overridden, webhook endpoints. It is the account's, and holds the changes of both environments.",
    answer=AuditPage,
)
