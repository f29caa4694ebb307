"""Whether the queue has room for more. Looked at every few seconds per process, from the planner's estimate of the queue's index,
so that acceptance pays nothing for it."""

from time import monotonic

from django.conf import settings
from django.db import connection

EVERY = 5.0

_looked_at = float("-inf")
_full = False


def full() -> bool:
    """More than SENDARIX_QUEUE_LIMIT messages wait, by the estimate of the queue's last vacuum: a guard against
    running full, not a count."""
    global _looked_at, _full
    if monotonic() - _looked_at > EVERY:
        _looked_at = monotonic()
        with connection.cursor() as cursor:
            cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'messages_queue'::regclass")
            _full = cursor.fetchone()[0] > settings.QUEUE_LIMIT
    return _full
