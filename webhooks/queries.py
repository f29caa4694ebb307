"""Reading endpoints and deliveries as the API shows them. Everything goes through the caller's account and environment; a page
is two statements, however many rows it has."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from sendarix.accounts.keys import Caller
from sendarix.core import events, ids
from sendarix.core.errors import NotFound
from sendarix.core.times import zulu
from webhooks import signing
from webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint

LATEST = 250
"""Deliveries of an endpoint that its figures are of, at most: the newest. A page of 50 busy endpoints costs 0.3 s."""

COUNTED = 1_000
"""Waiting deliveries counted, at most."""

ATTEMPTS = 100
"""Attempts shown with a delivery, at most: the newest."""


def endpoints(caller: Caller) -> QuerySet[WebhookEndpoint]:
    """The endpoints of this caller, newest first."""
    return WebhookEndpoint.objects.filter(account_id=caller.account_id, livemode=caller.livemode).order_by("-id")


def endpoint(caller: Caller, endpoint_id: str) -> WebhookEndpoint:
    """NotFound for an unknown id and for anybody else's alike."""
    found = endpoints(caller).filter(id=endpoint_id).first()
    if found is None:
        raise NotFound
    return found


def deliveries(caller: Caller, endpoint_id: str) -> QuerySet[WebhookDelivery]:
    """The deliveries of one endpoint, newest first. Raises NotFound."""
    own = endpoint(caller, endpoint_id).id
    rows = WebhookDelivery.objects.filter(endpoint_id__gte=own, endpoint_id__lte=own)  # why not `=`: see _FIGURES
    return rows.order_by("endpoint_id", "-id")


def of_message(caller: Caller, message_id: str) -> QuerySet[WebhookDelivery]:
    """The deliveries of a message's events to endpoints of this caller, oldest first, with their endpoints."""
    mine = WebhookDelivery.objects.filter(message_id=message_id, endpoint__account_id=caller.account_id)
    return mine.filter(endpoint__livemode=caller.livemode).select_related("endpoint").order_by("id")


def delivery(caller: Caller, endpoint_id: str, delivery_id: str) -> WebhookDelivery:
    """NotFound for an unknown id, another endpoint's and anybody else's alike."""
    number = ids.number_in(delivery_id, "dlv")
    found = deliveries(caller, endpoint_id).select_related("endpoint").filter(id=number).first()
    if found is None or public_id(found) != delivery_id:
        raise NotFound
    return found


def public_id(row: WebhookDelivery) -> str:
    return ids.from_number("dlv", row.created_at, row.pk)


# BETWEEN, and the endpoint in the order, leave the planner one way, through the endpoint's own part of an index; `=` lets it walk
# all customers' deliveries backwards by their ids. OFFSET 0 keeps it from reading all attempts for a hash join.
_FIGURES = """
SELECT e.id, waiting.count, waiting.oldest, latest.attempts, latest.succeeded, latest.p95
FROM unnest(%(ids)s::text[]) AS e(id),
LATERAL (
    SELECT count(*) AS count, min(created_at) AS oldest FROM (
        SELECT created_at FROM webhook_deliveries WHERE endpoint_id BETWEEN e.id AND e.id AND due_at IS NOT NULL
        ORDER BY endpoint_id, due_at, id LIMIT %(counted)s
    ) AS due
) AS waiting,
LATERAL (
    SELECT count(*) AS attempts, count(*) FILTER (WHERE a.succeeded) AS succeeded,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY a.duration_ms) AS p95
    FROM (
        SELECT id FROM webhook_deliveries WHERE endpoint_id BETWEEN e.id AND e.id ORDER BY endpoint_id, id DESC LIMIT %(latest)s
    ) AS d
    CROSS JOIN LATERAL (SELECT * FROM webhook_attempts WHERE delivery_id = d.id OFFSET 0) AS a
    WHERE a.started_at > now() - interval '24 hours'
) AS latest
"""


_TRIED = """
SELECT count(*), count(*) FILTER (WHERE NOT a.succeeded) FROM webhook_endpoints e
CROSS JOIN LATERAL (
    SELECT id FROM webhook_deliveries WHERE endpoint_id BETWEEN e.id AND e.id ORDER BY endpoint_id, id DESC LIMIT %(latest)s
) AS d
CROSS JOIN LATERAL (SELECT * FROM webhook_attempts WHERE delivery_id = d.id OFFSET 0) AS a
WHERE e.account_id = %(account)s AND e.livemode = %(livemode)s AND a.started_at >= %(since)s
"""


def tried(account_id: int, livemode: bool, since: datetime) -> tuple[int, int]:
    """How many POSTs were made since, and how many of them failed; of each endpoint's LATEST deliveries."""
    with connection.cursor() as cursor:
        cursor.execute(_TRIED, {"account": account_id, "livemode": livemode, "since": since, "latest": LATEST})
        return cursor.fetchone()


def shown_endpoints(rows: Sequence[WebhookEndpoint]) -> list[dict[str, Any]]:
    """Endpoints with their figures, by one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_FIGURES, {"ids": [row.id for row in rows], "counted": COUNTED, "latest": LATEST})
        figures = {row[0]: row[1:] for row in cursor.fetchall()}
    return [_endpoint(row, *figures[row.id]) for row in rows]


def shown_endpoint(row: WebhookEndpoint) -> dict[str, Any]:
    return shown_endpoints([row])[0]


def _endpoint(row: WebhookEndpoint, waiting, oldest, attempts, succeeded, p95) -> dict[str, Any]:
    return {
        "id": row.id,
        "url": row.url,
        "description": row.description,
        "event_types": row.event_types,
        "enabled": row.disabled is None,
        "disabled": {"reason": row.disabled, "since": zulu(row.disabled_at)} if row.disabled else None,
        "created_at": zulu(row.created_at),
        "failing_since": zulu(row.failing_since),
        "last_success_at": zulu(row.last_success_at),
        "previous_secret_until": zulu(row.previous_secret_until),
        "waiting": {"count": waiting, "oldest_at": zulu(oldest)},
        "last_day": {
            "attempts": attempts,
            "success_rate": round(succeeded / attempts, 4) if attempts else None,
            "p95_ms": None if p95 is None else round(p95),
        },
        "livemode": row.livemode,
    }


def shown_deliveries(rows: Sequence[WebhookDelivery]) -> list[dict[str, Any]]:
    """Deliveries as lists show them; the ids of their events by one statement."""
    objects = events.source().objects([row.event_number for row in rows])
    return [_delivery(row, objects.get(row.event_number)) for row in rows]


def shown_delivery(row: WebhookDelivery) -> dict[str, Any]:
    return shown_deliveries([row])[0]


def shown_whole(row: WebhookDelivery) -> dict[str, Any]:
    """A delivery with the event it carries and every try, oldest first."""
    event = events.source().objects([row.event_number]).get(row.event_number)
    tries = WebhookAttempt.objects.filter(delivery=row).order_by("-id")[:ATTEMPTS]
    body = signing.body(event).decode() if event else None
    return {**_delivery(row, event), "body": body, "attempts": [_attempt(each) for each in reversed(tries)]}


def _delivery(row: WebhookDelivery, event: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": public_id(row),
        "webhook_id": row.endpoint_id,
        "event_id": event["id"] if event else None,
        "type": row.type,
        "message_id": row.message_id,
        "status": row.status,
        "attempt": row.attempt,
        "created_at": zulu(row.created_at),
        "next_attempt_at": zulu(row.due_at),
        "ended_at": zulu(row.ended_at),
    }


def _attempt(row: WebhookAttempt) -> dict[str, Any]:
    reply = {"code": row.code, "headers": row.reply_headers, "body": row.reply} if row.code is not None else None
    return {
        "number": row.number,
        "at": zulu(row.started_at),
        "duration_ms": row.duration_ms,
        "succeeded": row.succeeded,
        "cause": row.cause,
        "detail": row.detail,
        "address": row.address,
        "request": {"headers": row.request_headers},
        "reply": reply,
    }
