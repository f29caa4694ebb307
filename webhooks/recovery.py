"""Telling again: one delivery replayed, a range of time recovered, an endpoint tried; and forgetting what is too old to tell."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from sendarix.core import events
from sendarix.core.errors import Conflict, FieldError, ValidationFailed
from webhooks import endpoints, outbox
from webhooks.models import WebhookDelivery, WebhookEndpoint

BATCH = 1_000

MOST = 100_000
"""Events looked at by one call of `recover`."""

KEPT = timedelta(days=30)
"""How long deliveries and their attempts are kept after their end."""

RECOVERABLE = KEPT + timedelta(hours=1)
"""How far back a call may begin: 30 days, and what the way, and the calls before it, may take."""


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


def check_begin(since: datetime, now: datetime) -> None:
    """Raises ValidationFailed (since) for a time that `recover` can't begin at."""
    if since >= now:
        raise ValidationFailed([FieldError("since", "out_of_range", "Must be in the past.")])
    if since < now - RECOVERABLE:
        raise ValidationFailed([FieldError("since", "out_of_range", "Must be within the last 30 days.")])


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many deliveries became due, and the time of the first event not looked at: None when all were."""

    count: int
    next_since: datetime | None


def recover(endpoint: WebhookEndpoint, since: datetime, until: datetime) -> Recovered:
    """Every event of that time, of the first MOST, that the endpoint takes and has not taken yet becomes due now, in the order of
    events. Conflict while it is disabled."""
    _require_enabled(endpoint.id)
    count = seen = 0
    after, start = (since, 0), _now()
    while batch := _batch(endpoint, after, until, MOST - seen):
        if seen == MOST:
            return Recovered(count, batch[0].at)
        with transaction.atomic():
            count += _make_due(endpoint, [event for event in batch if _takes(endpoint, event)], start)
            outbox.wake()
        seen, after = seen + len(batch), (batch[-1].at, batch[-1].number)
        start += timedelta(microseconds=BATCH)
    return Recovered(count, None)


def _batch(endpoint: WebhookEndpoint, after: tuple[datetime, int], until: datetime, left: int) -> list[events.Recorded]:
    """The next events, of which so many may be told; one to look at when none may."""
    return events.source().between(endpoint.account_id, endpoint.livemode, after, until, min(BATCH, left) or 1)


def _takes(endpoint: WebhookEndpoint, event: events.Recorded) -> bool:
    return event.type != outbox.TEST and (not endpoint.event_types or event.type in endpoint.event_types)


def _make_due(endpoint: WebhookEndpoint, batch: list[events.Recorded], start: datetime) -> int:
    """Due times a microsecond apart keep the order among old and new rows, by number: the times of two hosts may differ. What is
    due anyway is left alone."""
    batch = sorted(batch, key=lambda event: event.number)
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
    """An event `webhook.test` of the account, for this endpoint only, whatever types it takes. Conflict while it is disabled, or
    when it is at this moment: the outbox has written no delivery then, and the event goes with the transaction."""
    with transaction.atomic():
        _require_enabled(endpoint.id)
        number = events.note(endpoint.account_id, endpoint.livemode, outbox.TEST, endpoint_id=endpoint.id)
        delivery = WebhookDelivery.objects.filter(endpoint=endpoint, event_number=number).first()
        if delivery is None:
            raise _disabled()
        return delivery


def _require_enabled(endpoint_id: str) -> None:
    if not WebhookEndpoint.objects.filter(id=endpoint_id, disabled=None).exists():
        raise _disabled()


def _disabled() -> Conflict:
    return Conflict("The endpoint is disabled: enable it first.")


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
    SELECT id, coalesce(ended_at, due_at) < statement_timestamp() - %(kept)s AS old,
        created_at < statement_timestamp() - %(kept)s AS early
    FROM webhook_deliveries WHERE id > %(after)s ORDER BY id LIMIT %(batch)s
), forgotten AS (
    DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM oldest WHERE old) RETURNING id
), attempts AS (
    DELETE FROM webhook_attempts WHERE delivery_id IN (SELECT id FROM forgotten)
)
SELECT (SELECT count(*) FROM forgotten), CASE WHEN bool_and(early) THEN max(id) END FROM oldest
"""
"""Ids rise with the time of creation: the first batch with a younger one is the last. Early ones told again lately stay."""
