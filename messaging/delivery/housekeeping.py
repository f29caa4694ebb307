"""What is thrown away, once an hour: expired idempotency keys, counters of callers not seen lately, workers long gone."""

from django.db import connection

from messaging.delivery import queue
from sendarix.accounts import rate


def tidy() -> None:
    queue.forget_old_workers()
    rate.forget()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM idempotency_keys WHERE expires_at < now()")
