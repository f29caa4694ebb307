"""Bodies and query strings of the webhooks API."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from sendarix.core import outbound
from sendarix.core.events import TYPES
from sendarix.core.shapes import Instant, Page, Shape, fault
from webhooks.models import DeliveryStatus

DAY = 24 * 60 * 60
_NAMES = {"type": "string", "enum": list(TYPES)}


def _known(name: str) -> str:
    if name not in TYPES:
        raise fault("invalid_value", f"There is no such type of event; known are {', '.join(TYPES)}.")
    return name


def _statuses(names: list[str]) -> list[str]:
    wanted = [part for name in names for part in name.split(",")]
    if unknown := [name for name in wanted if name not in list(DeliveryStatus)]:
        raise fault("invalid_value", f"{unknown[0]!r} is not a status; expected one of {', '.join(DeliveryStatus)}.")
    return wanted


Url = Annotated[str, Field(min_length=1, max_length=outbound.MAX_URL)]
EventTypes = Annotated[
    list[Annotated[str, AfterValidator(_known), WithJsonSchema(_NAMES)]], Field(max_length=2 * len(TYPES))
]
Description = Annotated[str, Field(max_length=200)]


class WebhookShape(Shape):
    """A new endpoint."""

    url: Url
    """Begins with https://, and leads to no private address."""
    event_types: EventTypes = []
    """The types it takes; empty: all of them."""
    description: Description = ""
    enabled: bool = True


class WebhookChangeShape(Shape):
    """What is to be changed of an endpoint; what is left out stays."""

    url: Url = Field("", validate_default=False)
    event_types: EventTypes = []
    """The types it takes from now on; empty: all of them."""
    description: Description = ""
    enabled: bool = True
    """`true` also enables an endpoint that we disabled."""

    def changes(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class RotationShape(Shape):
    """How long the secret before the new one signs too."""

    overlap_seconds: Annotated[int, Field(ge=0, le=7 * DAY)] = DAY

    @property
    def overlap(self) -> timedelta:
        return timedelta(seconds=self.overlap_seconds)


class RecoveryShape(Shape):
    """A time; every event of it that the endpoint has not taken is delivered again."""

    since: Instant
    """Within the last 30 days."""
    until: Instant | None = None
    """Without it: now."""

    @field_validator("until")
    @classmethod
    def _in_order(cls, until: datetime | None, others: ValidationInfo) -> datetime | None:
        since = others.data.get("since")
        if until is not None and since is not None and until <= since:
            raise fault("out_of_range", "Must be later than since.")
        return until


class DeliveryQuery(Page):
    """What the deliveries of an endpoint can be narrowed to."""

    status: Annotated[
        list[str],
        AfterValidator(_statuses),
        WithJsonSchema({"type": "array", "items": {"type": "string", "enum": list(DeliveryStatus)}}),
    ] = Field(default_factory=list)
    """May be repeated, or hold several with commas."""
    type: Annotated[str, AfterValidator(_known), WithJsonSchema(_NAMES)] | None = None
    message_id: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None

    def conditions(self) -> dict[str, Any]:
        """As the fields of a delivery are filtered."""
        asked = {
            "status__in": self.status or None,
            "type": self.type,
            "message_id": self.message_id,
            "created_at__gte": self.created_after,
            "created_at__lt": self.created_before,
        }
        return {name: value for name, value in asked.items() if value is not None}
