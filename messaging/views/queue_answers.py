"""The bodies of the answers on queues, as the API's document shows them."""

from typing import Annotated

from messaging.views.answers import Priority
from sendarix.accounts.calls import AnswerShape, Moment, one_of, public_id

PauseId = Annotated[str, public_id("pse")]
RouteId = Annotated[str, public_id("rte")]


class WaitingFigures(AnswerShape):
    """How much waits. With `truncated` it is at least so much: of each tier the 20,000 messages that are due first are counted,
    by destination and route 1,000 of them."""

    depth: int
    """Messages that wait."""
    due: int
    """Of these, the ones that could go now."""
    oldest_seconds: float | None
    """Age of the one that is due the longest; null when none is due."""
    truncated: bool


class QueueFigures(WaitingFigures):
    in_flight: int
    """Messages that workers hold."""
    per_minute: float
    """Messages that delivery brought to an end, over the last five minutes or (at high rates) the last thousands."""
    drain_seconds: float | None
    """How long it takes at this rate until what is due now has left; null when nothing leaves."""


class TierFigures(QueueFigures):
    tier: Priority


class DestinationFigures(QueueFigures):
    destination: str
    """A provider group, or a domain."""


class RouteFigures(QueueFigures):
    route: str | None
    """The name of the route chosen last; null: none was yet."""


class WaitFigures(WaitingFigures):
    waits_for: Annotated[str, one_of(("scheduled", "queued", "retry", "paced", "paused", "held"))]


class Queues(AnswerShape):
    """The queue of the account and environment. Of destinations and routes, the 100 deepest."""

    at: Moment
    total: QueueFigures
    tiers: list[TierFigures]
    destinations: list[DestinationFigures]
    routes: list[RouteFigures]
    waiting: list[WaitFigures]


class Pause(AnswerShape):
    """Mail held back. What is null matches everything."""

    id: PauseId
    tier: Priority | None
    destination: str | None
    route: RouteId | None
    key: Annotated[str, public_id("key")] | None
    reason: str
    platform: bool
    """True for the platform's, which holds everybody's mail: only its operator ends it."""
    created_by: str
    """An API key's id, a user, or `operator`."""
    created_at: Moment
    expires_at: Moment | None


class PausePage(AnswerShape):
    """The pauses in force, newest first."""

    data: list[Pause]
    has_more: bool
    next_cursor: str | None


class Resumed(AnswerShape):
    """What was ended."""

    resumed: int
    """Pauses."""
    released: int
    """Messages that are due again. Of very many the rest follows within seconds."""


class Purged(AnswerShape):
    """What a purge canceled, or with `dry_run` would cancel."""

    dry_run: bool
    matched: int
    """At most 10,000, the oldest."""
    more: bool
    """There are others: purge again."""
    canceled: int
    """Those that were not being sent by then."""
