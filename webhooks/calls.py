"""The webhooks API in its document: one Call per method, in the words a customer reads."""

from sendarix.accounts.calls import Call
from webhooks import answers
from webhooks.shapes import RecoveryShape, RotationShape, WebhookChangeShape, WebhookShape

LIST = Call(
    name="listWebhooks",
    summary="List webhook endpoints",
    about="Newest first, each with how it does: whether it fails and since when, what waits for it, and its last 24 hours.",
    answer=answers.WebhookPage,
)
CREATE = Call(
    name="createWebhook",
    summary="Add a webhook endpoint",
    about="Events of this environment are posted to it from now on, signed as Standard Webhooks 1.0 has it. The secret is shown"
    " this once. An environment has at most 50 endpoints. The URL's host is resolved: a private address is refused, now and"
    " each time we connect.",
    body=WebhookShape,
    answer=answers.WebhookWithSecret,
    status=201,
    refusals=(409,),
    body_example={"url": "https://acme.example/hooks", "event_types": ["message.delivered", "message.bounced"]},
)
GET = Call(name="getWebhook", summary="Read a webhook endpoint", answer=answers.Webhook)
UPDATE = Call(
    name="updateWebhook",
    summary="Change a webhook endpoint",
    about="What is left out stays. `enabled: true` also enables an endpoint that we disabled; what waits for it is sent then.",
    body=WebhookChangeShape,
    answer=answers.Webhook,
    body_example={"enabled": True},
)
DELETE = Call(
    name="deleteWebhook",
    summary="Remove a webhook endpoint",
    about="Its deliveries go with it.",
    answer=answers.WebhookRemoved,
)
ROTATE = Call(
    name="rotateWebhookSecret",
    summary="Give a webhook endpoint a new secret",
    about="Shown this once. Until `overlap_seconds` have passed, deliveries carry a signature by the secret before it as well.",
    body=RotationShape,
    answer=answers.WebhookWithSecret,
    body_example={"overlap_seconds": 86_400},
)
TEST = Call(
    name="testWebhook",
    summary="Send a test event",
    about="Posts an event `webhook.test` to this endpoint, whatever types it takes.",
    answer=answers.WebhookDelivery,
    status=202,
    refusals=(409,),
)
RECOVER = Call(
    name="recoverWebhook",
    summary="Deliver a time again",
    about="Everything of that time that the endpoint would take and has not taken, in order. `since` is within the last 30 days."
    " One call looks at 100,000 events; when there are more, `truncated` is true: call again with `next_since` as `since`.",
    body=RecoveryShape,
    answer=answers.Recovered,
    status=202,
    refusals=(409,),
    body_example={"since": "2026-04-19T00:00:00Z", "until": "2026-04-20T00:00:00Z"},
)
DELIVERIES = Call(
    name="listWebhookDeliveries",
    summary="List the deliveries of a webhook endpoint",
    about="Newest first. Filters narrow together.",
    answer=answers.WebhookDeliveryPage,
)
DELIVERY = Call(
    name="getWebhookDelivery",
    summary="Read a delivery",
    about="The body, and every try: what was sent, to which address, what came back, how long it took.",
    answer=answers.WebhookDeliveryDetail,
)
REPLAY = Call(
    name="replayWebhookDelivery",
    summary="Deliver one again",
    about="The same event with the same `webhook-id`, with a fresh retry ladder.",
    answer=answers.WebhookDelivery,
    status=202,
    refusals=(409,),
)
