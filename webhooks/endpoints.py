"""Endpoints as their owners manage them: made, changed, given a new secret, taken away. Every change is in the audit log, no
secret ever is. The names in URLs are resolved before a transaction begins."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.keys import Caller
from sendarix.accounts.models import Account
from sendarix.core import ids, outbound, vault
from sendarix.core.errors import Conflict, FieldError, NotFound, ValidationFailed
from sendarix.core.times import zulu
from sendarix.core.turns import outside
from webhooks import outbox, signing
from webhooks.models import WebhookEndpoint, without_query

MOST = 50
"""Endpoints of one account and environment."""

BATCH = 1_000
AT_ONCE = 10
"""Deliveries deleted by one statement, and statements of one request; the sweep does the rest."""


def create(caller: Caller, actor: Actor, fields: Mapping[str, Any]) -> tuple[WebhookEndpoint, str]:
    """A new endpoint of these `url`, `event_types`, `description` and `enabled`, and its secret, which can't be read again.

    Raises ValidationFailed (url) and Conflict when there are MOST already."""
    _check_url(caller, fields["url"])
    key = signing.new_key()
    endpoint = WebhookEndpoint(
        id=ids.new("whk"),
        account_id=caller.account_id,
        livemode=caller.livemode,
        secret=vault.seal(key, signing.PURPOSE),
        created_at=timezone.now(),
    )
    _set(endpoint, fields)
    with transaction.atomic():
        _make_room(caller)
        endpoint.save(force_insert=True)
        audit.record(actor, "webhook_endpoint.created", endpoint.id, after=_state(endpoint))
    return endpoint, signing.secret(key)


def update(caller: Caller, actor: Actor, endpoint_id: str, changes: Mapping[str, Any]) -> WebhookEndpoint:
    """The endpoint with these fields changed. Enabling one that was disabled, and another URL, forget past failures: what waits
    is tried at once. Raises NotFound and ValidationFailed (url)."""
    _held(caller, endpoint_id)
    if "url" in changes:
        _check_url(caller, changes["url"])
    with transaction.atomic():
        endpoint = _held(caller, endpoint_id, lock=True)
        url, before = endpoint.url, _state(endpoint)
        _set(endpoint, changes)
        after = _state(endpoint)
        changed = [name for name in after if after[name] != before[name] or (name == "url" and endpoint.url != url)]
        if changed:
            endpoint.save()
            was, now = ({name: side[name] for name in changed} for side in (before, after))
            audit.record(actor, "webhook_endpoint.updated", endpoint.id, before=was, after=now)
            outbox.wake()
    return endpoint


def rotate_secret(caller: Caller, actor: Actor, endpoint_id: str, overlap: timedelta) -> tuple[WebhookEndpoint, str]:
    """A new secret, which can't be read again; the one before signs too until `overlap` has passed, older ones no longer do.
    Raises NotFound."""
    key, now = signing.new_key(), timezone.now()
    with transaction.atomic():
        endpoint = _held(caller, endpoint_id, lock=True)
        endpoint.previous_secret = endpoint.secret if overlap else None
        endpoint.previous_secret_until = now + overlap if overlap else None
        endpoint.secret = vault.seal(key, signing.PURPOSE)
        endpoint.save(update_fields=["secret", "previous_secret", "previous_secret_until"])
        after = {"previous_secret_until": zulu(endpoint.previous_secret_until)}
        audit.record(actor, "webhook_endpoint.secret_rotated", endpoint.id, after=after)
    return endpoint, signing.secret(key)


def remove(caller: Caller, actor: Actor, endpoint_id: str) -> None:
    """Nothing is delivered to it any more. The newest of its deliveries go at once, those beyond with the next sweep. Raises
    NotFound."""
    with transaction.atomic():
        endpoint = _held(caller, endpoint_id, lock=True)
        audit.record(actor, "webhook_endpoint.removed", endpoint.id, before=_state(endpoint))
        endpoint.delete()
    _clear(endpoint_id, AT_ONCE)


def sweep(batches: int = 1_000) -> int:
    """Delete deliveries, with their attempts, whose endpoint is gone, by up to so many statements of BATCH; how many went."""
    with connection.cursor() as cursor:
        cursor.execute(_ORPHANED)
        orphaned = [row[0] for row in cursor.fetchall()]
    return sum(_clear(endpoint_id, batches) for endpoint_id in orphaned)


def _held(caller: Caller, endpoint_id: str, lock: bool = False) -> WebhookEndpoint:
    rows = WebhookEndpoint.objects.select_for_update(no_key=True) if lock else WebhookEndpoint.objects
    found = rows.filter(account_id=caller.account_id, livemode=caller.livemode, id=endpoint_id).first()
    if found is None:
        raise NotFound
    return found


def _check_url(caller: Caller, url: str) -> None:
    """Raises ValidationFailed for a URL that can't be read, can't be resolved, or leads to an address we must not connect to, and
    Unavailable (busy) when its name can't be looked up now for want of a turn; an address needs none. Whoever connects checks
    again."""
    names = outbound.Names([(server.hostname or "", server.port or 53) for server in settings.DNS_SERVERS])
    loopback = settings.WEBHOOK_ALLOW_LOOPBACK

    async def lookup(name: str) -> Sequence[str]:
        with outside.turn(caller.account_id):
            return await names(name)

    try:
        outbound.check(url, lookup, allow_http=loopback, allow_loopback=loopback)
    except outbound.Refused as refused:
        code = {"not_public": "url_not_allowed", "too_long": "too_long"}.get(refused.code, "invalid_value")
        raise ValidationFailed([FieldError("url", code, refused.message)]) from None


def _make_room(caller: Caller) -> None:
    """Two calls at the same moment count one after the other: the account's row is their lock."""
    Account.objects.select_for_update(no_key=True).get(pk=caller.account_id)
    if WebhookEndpoint.objects.filter(account_id=caller.account_id, livemode=caller.livemode).count() >= MOST:
        raise Conflict(f"There are {MOST} endpoints, as many as an environment can have; remove one first.")


def _set(endpoint: WebhookEndpoint, fields: Mapping[str, Any]) -> None:
    if "url" in fields and fields["url"] != endpoint.url:
        endpoint.url = fields["url"]
        _forget_failures(endpoint)
    if "event_types" in fields:
        endpoint.event_types = list(dict.fromkeys(fields["event_types"]))
    endpoint.description = fields.get("description", endpoint.description)
    enabled = fields.get("enabled", endpoint.disabled is None)
    if enabled and endpoint.disabled is not None:
        endpoint.disabled = endpoint.disabled_at = None
        _forget_failures(endpoint)
    elif not enabled and endpoint.disabled is None:
        endpoint.disabled, endpoint.disabled_at = WebhookEndpoint.Disabled.CUSTOMER, timezone.now()


def _forget_failures(endpoint: WebhookEndpoint) -> None:
    endpoint.failing_since = endpoint.paused_until = None
    endpoint.failures = 0


def _state(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """What the audit log shows."""
    return {
        "url": without_query(endpoint.url),
        "event_types": endpoint.event_types,
        "description": endpoint.description,
        "disabled": endpoint.disabled,
        "livemode": endpoint.livemode,
    }


_CLEAR = """
WITH gone AS (
    DELETE FROM webhook_deliveries WHERE id IN (
        SELECT id FROM webhook_deliveries WHERE endpoint_id = %s ORDER BY id DESC LIMIT %s
    ) RETURNING id
), tries AS (
    DELETE FROM webhook_attempts WHERE delivery_id IN (SELECT id FROM gone)
)
SELECT count(*) FROM gone
"""

# One step of the index per endpoint, not one per delivery.
_ORPHANED = """
WITH RECURSIVE seen(id) AS (
    (SELECT endpoint_id FROM webhook_deliveries ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.endpoint_id FROM webhook_deliveries d WHERE d.endpoint_id > seen.id ORDER BY d.endpoint_id LIMIT 1)
    FROM seen WHERE seen.id IS NOT NULL
)
SELECT id FROM seen WHERE id IS NOT NULL AND NOT EXISTS (SELECT FROM webhook_endpoints e WHERE e.id = seen.id)
"""


def _clear(endpoint_id: str, batches: int) -> int:
    cleared = 0
    with connection.cursor() as cursor:
        for _ in range(batches):
            cursor.execute(_CLEAR, [endpoint_id, BATCH])
            (count,) = cursor.fetchone()
            cleared += count
            if count < BATCH:
                break
    return cleared
