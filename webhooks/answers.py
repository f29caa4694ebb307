"""The bodies of the webhooks API's answers, as its document shows them. The views build plain dictionaries; the tests hold every
answer against these."""

from typing import Annotated

from pydantic import WithJsonSchema

from sendarix.accounts.calls import AnswerShape, Moment, one_of, public_id
from webhooks.models import DeliveryStatus, WebhookEndpoint

WebhookId = Annotated[str, public_id("whk")]
DeliveryId = Annotated[str, public_id("dlv")]
EventId = Annotated[str, public_id("evt")]


class _Page(AnswerShape):
    has_more: bool
    next_cursor: str | None


class Disablement(AnswerShape):
    """Why an endpoint takes nothing, and since when."""

    reason: Annotated[str, one_of(WebhookEndpoint.Disabled.values)]
    """`customer`: by a call; `gone`: it answered 410; `failing`: nothing but failures for five days."""
    since: Moment | None


class WaitingDeliveries(AnswerShape):
    """What an endpoint has still to take."""

    count: int
    """Counted up to 1,000."""
    oldest_at: Moment | None


class LastDay(AnswerShape):
    """How the last 24 hours went, by the attempts of the newest 250 deliveries."""

    attempts: int
    success_rate: float | None
    """Of 0 to 1; null without attempts."""
    p95_ms: int | None
    """Of a hundred attempts, 95 took no longer."""


class Webhook(AnswerShape):
    """An endpoint and how it does. Its secret is shown only where it is made."""

    id: WebhookId
    url: str
    description: str
    event_types: list[str]
    """The types it takes; empty: all of them."""
    enabled: bool
    disabled: Disablement | None
    created_at: Moment
    failing_since: Moment | None
    """The first failure after the last success."""
    last_success_at: Moment | None
    previous_secret_until: Moment | None
    """Until then deliveries carry two signatures, the older secret's too."""
    waiting: WaitingDeliveries
    last_day: LastDay
    livemode: bool


class WebhookWithSecret(Webhook):
    """An endpoint with its new secret, which is shown this once."""

    secret: Annotated[str, WithJsonSchema({"type": "string", "pattern": "^whsec_[A-Za-z0-9+/]+=*$"})]
    """The key of the signatures, as libraries of Standard Webhooks take it."""


class WebhookPage(_Page):
    """Endpoints, newest first."""

    data: list[Webhook]


class WebhookRemoved(AnswerShape):
    """An endpoint that is no more."""

    id: WebhookId
    deleted: bool


class _Delivery(AnswerShape):
    id: DeliveryId
    webhook_id: WebhookId
    event_id: EventId | None
    """The event it carries; also the header `webhook-id`. Null once the event has been thrown away."""
    type: str
    message_id: Annotated[str, public_id("msg")] | None
    """Null for an event of the account."""
    status: Annotated[str, one_of(DeliveryStatus)]
    """`waiting`: it will be tried, or tried again; `failed`: given up."""
    attempt: int
    """Tries so far; a replay begins anew."""
    created_at: Moment
    next_attempt_at: Moment | None
    ended_at: Moment | None


class WebhookDelivery(_Delivery):
    """One event for one endpoint."""


class WebhookDeliveryPage(_Page):
    """Deliveries, newest first."""

    data: list[WebhookDelivery]


class WebhookPost(AnswerShape):
    """What we sent; its body is the delivery's."""

    headers: dict[str, str]


class WebhookReply(AnswerShape):
    """What the endpoint answered."""

    code: int
    headers: dict[str, str]
    body: str
    """The first 20 KB."""


class WebhookAttempt(AnswerShape):
    """One POST."""

    number: int
    at: Moment
    duration_ms: int
    succeeded: bool
    cause: str | None
    """Why it failed, as `status`, `timeout`, `connection`, `tls` or `refused`."""
    detail: str
    address: str | None
    """The address we connected to."""
    request: WebhookPost
    reply: WebhookReply | None


class WebhookDeliveryDetail(_Delivery):
    """A delivery with what it carries and every try."""

    body: str | None
    """The very text that is sent and signed."""
    attempts: list[WebhookAttempt]
    """Oldest first; the newest 100."""


class Recovered(AnswerShape):
    """How many deliveries will be made."""

    recovered: int
    truncated: bool
    """There were more events than one call looks at: call again with `next_since` as `since`."""
    next_since: Moment | None
