"""/v1/webhooks: endpoints, what was delivered to them, and delivering it again."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse

from sendarix.accounts.api import ApiView
from sendarix.core import pagination, reading
from sendarix.core.answers import answer
from sendarix.core.pagination import cursor_part
from sendarix.core.shapes import Page
from sendarix.core.times import zulu
from webhooks import calls, endpoints, queries, recovery
from webhooks.models import WebhookEndpoint
from webhooks.shapes import DeliveryQuery, RecoveryShape, RotationShape, WebhookChangeShape, WebhookShape


class Webhooks(ApiView):
    scopes = {"GET": "webhooks:read", "POST": "webhooks:write"}
    queries = {"GET": Page}
    calls = {"GET": calls.LIST, "POST": calls.CREATE}

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(Page)
        found = queries.endpoints(self.key)
        if asked.cursor:
            found = found.filter(id__lt=pagination.decode_cursor(asked.cursor, 1)[0])
        rows = list(found[: asked.limit + 1])
        shown = dict(zip(rows, queries.shown_endpoints(rows), strict=True))
        return answer(
            pagination.page(rows, asked.limit, lambda row: pagination.encode_cursor(row.id), shown.__getitem__)
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.read(WebhookShape)
        endpoint, secret = endpoints.create(self.key, self.actor, asked.model_dump())
        return answer(_with_secret(endpoint, secret), 201)


class WebhookById(ApiView):
    scopes = {"GET": "webhooks:read", "PATCH": "webhooks:write", "DELETE": "webhooks:write"}
    calls = {"GET": calls.GET, "PATCH": calls.UPDATE, "DELETE": calls.DELETE}

    def get(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        return answer(queries.shown_endpoint(queries.endpoint(self.key, webhook_id)))

    def patch(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        changes = self.read(WebhookChangeShape).changes()
        return answer(queries.shown_endpoint(endpoints.update(self.key, self.actor, webhook_id, changes)))

    def delete(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        endpoints.remove(self.key, self.actor, webhook_id)
        return answer({"id": webhook_id, "deleted": True})


class RotateSecret(ApiView):
    scopes = {"POST": "webhooks:write"}
    calls = {"POST": calls.ROTATE}

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        asked = self.read(RotationShape) if reading.declared_length(request) else RotationShape()
        endpoint, secret = endpoints.rotate_secret(self.key, self.actor, webhook_id, asked.overlap)
        return answer(_with_secret(endpoint, secret))


class TestEvent(ApiView):
    scopes = {"POST": "webhooks:write"}
    calls = {"POST": calls.TEST}

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        delivery = recovery.test(queries.endpoint(self.key, webhook_id))
        return answer(queries.shown_delivery(delivery), 202)


class Recover(ApiView):
    scopes = {"POST": "webhooks:write"}
    calls = {"POST": calls.RECOVER}

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        asked, now = self.read(RecoveryShape), datetime.now(UTC)
        recovery.check_begin(asked.since, now)
        endpoint = queries.endpoint(self.key, webhook_id)
        done = recovery.recover(endpoint, asked.since, asked.until or now)
        next_since = zulu(done.next_since)
        return answer({"recovered": done.count, "truncated": next_since is not None, "next_since": next_since}, 202)


class Deliveries(ApiView):
    scopes = {"GET": "webhooks:read"}
    queries = {"GET": DeliveryQuery}
    calls = {"GET": calls.DELIVERIES}

    def get(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        asked = self.query(DeliveryQuery)
        found = queries.deliveries(self.key, webhook_id).filter(**asked.conditions())
        if asked.cursor:
            (last,) = pagination.decode_cursor(asked.cursor, 1)
            found = found.filter(id__lt=cursor_part(pagination.number, last))
        rows = list(found[: asked.limit + 1])
        shown = dict(zip(rows, queries.shown_deliveries(rows), strict=True))
        return answer(
            pagination.page(rows, asked.limit, lambda row: pagination.encode_cursor(row.pk), shown.__getitem__)
        )


class DeliveryById(ApiView):
    scopes = {"GET": "webhooks:read"}
    calls = {"GET": calls.DELIVERY}

    def get(self, request: HttpRequest, webhook_id: str, delivery_id: str) -> HttpResponse:
        return answer(queries.shown_whole(queries.delivery(self.key, webhook_id, delivery_id)))


class Replay(ApiView):
    scopes = {"POST": "webhooks:write"}
    calls = {"POST": calls.REPLAY}

    def post(self, request: HttpRequest, webhook_id: str, delivery_id: str) -> HttpResponse:
        delivery = recovery.replay(queries.delivery(self.key, webhook_id, delivery_id))
        return answer(queries.shown_delivery(delivery), 202)


def _with_secret(endpoint: WebhookEndpoint, secret: str) -> dict[str, Any]:
    return {**queries.shown_endpoint(endpoint), "secret": secret}
