"""What a caller says of pauses and purges."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from messaging.delivery.destinations import PROVIDERS
from messaging.models import Tier as TierNumber
from messaging.queues import pauses, purge
from messaging.serializers import Line
from messaging.views.routing_shapes import DAY, Tier
from sendarix.core import addresses
from sendarix.core.shapes import Instant, Shape, fault

LONGEST = timedelta(days=366)


def _destination(text: str) -> str:
    try:
        return text if text in PROVIDERS else addresses.parse(f"postmaster@{text}").domain
    except addresses.AddressError:
        raise fault("invalid_value", f"Must be a domain or one of {', '.join(PROVIDERS)}.") from None


def _expiry(at: datetime) -> datetime:
    if not datetime.now(UTC) < at <= datetime.now(UTC) + LONGEST:
        raise fault("out_of_range", f"Must lie within the next {LONGEST.days} days.")
    return at


Destination = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_destination)]


class WhichShape(Shape):
    """At least one of tier, destination, route and key, all of which must hold; or `all`."""

    tier: Tier | None = None
    destination: Destination | None = None
    """A provider group (`gmail`) or a domain."""
    route: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    """The id of a route: mail goes on by the others that may carry it."""
    key: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    """The id of a live API key: what it has sent and will send."""
    all: Literal[True] | None = None

    @property
    def conditions(self) -> pauses.Conditions:
        tier = TierNumber[self.tier.upper()] if self.tier else None
        return pauses.Conditions(tier, self.destination, self.route, self.key)

    @property
    def says_which(self) -> bool:
        """Raises a fault for both `all` and a condition."""
        given = self.conditions != pauses.Conditions()
        if given and self.all:
            raise fault("conflict", "Give either all or conditions.")
        return given or bool(self.all)


class PauseShape(WhichShape):
    """Which mail is held back, why, and until when."""

    reason: Annotated[Line, Field(min_length=1, max_length=200)]
    """Shown with each message that waits."""
    expires_at: Annotated[Instant, AfterValidator(_expiry)] | None = None
    seconds: Annotated[int, Field(ge=1, le=LONGEST.days * DAY)] | None = None
    """In place of `expires_at`; without either it lasts until it is resumed."""

    @model_validator(mode="after")
    def _clear(self) -> "PauseShape":
        if not self.says_which:
            raise fault("required", "Give tier, destination, route or key, or all: true.")
        if self.expires_at is not None and self.seconds is not None:
            raise fault("conflict", "Give either expires_at or seconds.")
        return self

    @property
    def ends_at(self) -> datetime | None:
        return self.expires_at if self.seconds is None else datetime.now(UTC) + timedelta(seconds=self.seconds)


class ResumeShape(WhichShape):
    """A pause by its id, or the conditions it was made with."""

    id: Annotated[str, Field(max_length=40)] | None = None

    @model_validator(mode="after")
    def _clear(self) -> "ResumeShape":
        if self.says_which == (self.id is not None):
            raise fault("required", "Give either id or the conditions of the pause.")
        return self


class PurgeFilterShape(Shape):
    """At least one; all that are given must hold."""

    tier: Tier | None = None
    destination: Destination | None = None
    """A provider group (`gmail`) or a domain."""
    recipient: Annotated[str, Field(min_length=1, max_length=320)] | None = None
    template: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    tag: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    key: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    """The id of the API key that sent them."""
    status: Literal["scheduled", "queued", "accepted", "deferred"] | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None

    @model_validator(mode="after")
    def _some(self) -> "PurgeFilterShape":
        if not self.model_dump(exclude_none=True):
            raise fault("required", "Say which messages.")
        return self

    @property
    def filter(self) -> purge.Filter:
        given = self.model_dump()
        return purge.Filter(**given | {"tier": TierNumber[self.tier.upper()] if self.tier else None})


class PurgeShape(Shape):
    """First a preview, then the same filter with the count that it gave."""

    filter: PurgeFilterShape
    dry_run: bool = True
    expected: Annotated[int, Field(ge=0, le=purge.MOST)] | None = None
    """`matched` of the preview; needed when `dry_run` is false."""
