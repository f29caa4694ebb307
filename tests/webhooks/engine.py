"""What the stories of the engine begin with: endpoints made in the tables, and drains run in this process."""

import json
from typing import Any

from standardwebhooks import Webhook

from sendarix.accounts.models import Account
from sendarix.core import ids, vault
from tests.webhooks.receiver import Request
from tests.world import Company, sql
from webhooks import dispatch, signing
from webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint


def subscribe(owner: Company, url: str, *types: str, **fields: Any) -> WebhookEndpoint:
    """An endpoint that takes these types, or all."""
    return endpoint(owner.account, url, *types, **fields)


def endpoint(owner: Account, url: str, *types: str, **fields: Any) -> WebhookEndpoint:
    return WebhookEndpoint.objects.create(
        id=ids.new("whk"),
        account=owner,
        url=url,
        event_types=list(types),
        secret=vault.seal(signing.new_key(), signing.PURPOSE),
        **{"livemode": True, **fields},
    )


def deliver() -> int:
    """Deliver what is due; how many POSTs that took."""
    return dispatch.drain(linger=0)


def secret_of(endpoint: WebhookEndpoint) -> str:
    return signing.secret(vault.reveal(endpoint.secret, signing.PURPOSE))


def read(request: Request, endpoint: WebhookEndpoint) -> dict[str, Any]:
    """The event of a request whose signature the published package takes."""
    Webhook(secret_of(endpoint)).verify(request.body, request.headers)
    return json.loads(request.body)


def deliveries(endpoint: WebhookEndpoint) -> list[WebhookDelivery]:
    return list(WebhookDelivery.objects.filter(endpoint=endpoint).order_by("id"))


def types(endpoint: WebhookEndpoint) -> list[str]:
    return [delivery.type for delivery in deliveries(endpoint)]


def attempts(endpoint: WebhookEndpoint) -> list[WebhookAttempt]:
    return list(WebhookAttempt.objects.filter(delivery__endpoint=endpoint).order_by("id"))


def bring_due() -> None:
    """As if the time that deliveries and endpoints wait for had come."""
    sql("UPDATE webhook_deliveries SET due_at = clock_timestamp() - interval '1 ms' WHERE due_at > clock_timestamp()")
    sql("UPDATE webhook_endpoints SET paused_until = NULL")


def jobs_waiting() -> int:
    return sql("SELECT count(*) FROM django_q_ormq WHERE key = 'webhooks'")[0][0]
