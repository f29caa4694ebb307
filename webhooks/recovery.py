"""Telling again: one delivery replayed, a range of time recovered, an endpoint tried; and forgetting what is too old to tell."""

from datetime import datetime, timedelta

from django.db import connection, transaction

from sendarix.core import events
from sendarix.core.errors import Conflict
from webhooks import endpoints, outbox
from webhooks.models import WebhookDelivery, WebhookEndpoint

BATCH = 1_000

KEPT = timedelta(days=30)
"""How long deliveries and their attempts are kept after their end."""


def replay(delivery: WebhookDelivery) -> WebhookDelivery:
    """The same event once more, with the same webhook-id, and the whole ladder before it. One that is due anyway is left alone.
    Conflict while its endpoint is disabled."""
    with transaction.atomic(), connection.cursor() as cursor:
        _require_enabled(delivery.endpoint_id)
        cursor.execute(
            "UPDATE webhook_deliveries SET status = 'waiting', attempt = 0, due_at = statement_timestamp(), ended_at = NULL"
            " WHERE id = %s AND (due_at IS NULL OR due_at > statement_timestamp())",
            [delivery.pk],
        )
        outbox.wake()
    delivery.refresh_from_db()
    return delivery


def recover(endpoint: WebhookEndpoint, since: datetime, until: datetime) -> int:
    """Every event of that time that the endpoint takes and has not taken yet becomes due now, in the order of events; how many.
    Conflict while it is disabled."""
    _require_enabled(endpoint.id)
    recovered = after = 0
    start = _now()
    while batch := events.source().between(endpoint.account_id, endpoint.livemode, since, until, after, BATCH):
        with transaction.atomic():
            recovered += _make_due(endpoint, [event for event in batch if _takes(endpoint, event)], start)
            outbox.wake()
        after = batch[-1].number
        start += timedelta(microseconds=BATCH)
    return recovered


def _takes(endpoint: WebhookEndpoint, event: events.Recorded) -> bool:
    return event.type != outbox.TEST and (not endpoint.event_types or event.type in endpoint.event_types)


def _make_due(endpoint: WebhookEndpoint, batch: list[events.Recorded], start: datetime) -> int:
    """Due times a microsecond apart keep the order among old and new rows. What is due anyway is left alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO webhook_deliveries AS d"
            " (endpoint_id, event_number, type, message_id, status, attempt, due_at, created_at)"
            " SELECT %s, number, type, message_id, 'waiting', 0, %s::timestamptz + place * interval '1 microsecond',"
            " statement_timestamp() FROM unnest(%s::bigint[], %s::text[], %s::text[])"
            " WITH ORDINALITY AS e(number, type, message_id, place) ORDER BY place"
            " ON CONFLICT (endpoint_id, event_number) DO UPDATE"
            " SET status = 'waiting', attempt = 0, due_at = excluded.due_at, ended_at = NULL"
            " WHERE d.status <> 'succeeded' AND (d.due_at IS NULL OR d.due_at > statement_timestamp())",
            [
                endpoint.id,
                start,
                [event.number for event in batch],
                [event.type for event in batch],
                [event.message_id for event in batch],
            ],
        )
        return cursor.rowcount


def test(endpoint: WebhookEndpoint) -> WebhookDelivery:
    """An event `webhook.test` of the account, for this endpoint only, whatever types it takes. Conflict while it is disabled."""
    with transaction.atomic():
        _require_enabled(endpoint.id)
        events.note(endpoint.account_id, endpoint.livemode, outbox.TEST, endpoint_id=endpoint.id)
        return WebhookDelivery.objects.filter(endpoint=endpoint, type=outbox.TEST).latest("id")


def _require_enabled(endpoint_id: str) -> None:
    if WebhookEndpoint.objects.filter(id=endpoint_id, disabled=None).exists():
        return
    raise Conflict("The endpoint is disabled: enable it first.")


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def housekeeping() -> int:
    """Delete, in batches, deliveries that ended (or have waited in vain) longer than KEPT ago, and what belonged to endpoints
    that are gone; returns how many deliveries."""
    deleted, after = endpoints.sweep(), 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_FORGET, {"after": after, "batch": BATCH, "kept": KEPT})
            count, last = cursor.fetchone()
        deleted += count
        if last is None:
            return deleted
        after = last


_FORGET = """
WITH oldest AS (
    SELECT id, coalesce(ended_at, due_at) < statement_timestamp() - %(kept)s AS old FROM webhook_deliveries
    WHERE id > %(after)s ORDER BY id LIMIT %(batch)s
), forgotten AS (
    DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM oldest WHERE old) RETURNING id
), attempts AS (
    DELETE FROM webhook_attempts WHERE delivery_id IN (SELECT id FROM forgotten)
)
SELECT (SELECT count(*) FROM forgotten), CASE WHEN bool_or(old) THEN max(id) END FROM oldest
"""
"""Ids rise with time: the first batch without anything old is the last."""
