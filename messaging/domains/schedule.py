"""Looking again at the domains whose time has come. Any number of processes may run this; each claims what it looks at."""

import logging
import threading
from time import monotonic

from django.db import Error, connection

from messaging.domains import conclusions, looking, rotation
from messaging.domains.looking import Look
from messaging.models import SenderDomain

logger = logging.getLogger(__name__)

PAUSE = 5.0
"""Seconds between searches for domains that are due."""

BATCH = 10
"""Domains looked at side by side."""

TIDYING = 3600.0

_CLAIM = """
    UPDATE sender_domains SET next_check_at = now() + interval '5 minutes'
    WHERE id IN (
        SELECT id FROM sender_domains WHERE next_check_at <= now() ORDER BY next_check_at LIMIT %s FOR UPDATE SKIP LOCKED
    )
    RETURNING id
"""
"""A claim is a next look put off: when this process dies, another one looks after that time."""


def recheck_due(limit: int = BATCH) -> int:
    """Look at up to `limit` domains that are due and write down what follows; returns how many there were. Waits for the network:
    lookups.SECONDS at most, with no transaction open."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [limit])
        claimed = [row[0] for row in cursor.fetchall()]
    if claimed:
        domains = SenderDomain.objects.filter(id__in=claimed).prefetch_related("dkim_keys")
        for look in looking.look(list(domains)):
            _conclude(look)
    return len(claimed)


def _conclude(look: Look) -> None:
    """One domain's trouble must not keep the others from being written."""
    try:
        conclusions.conclude(look)
    except Error:
        raise
    except Exception:
        logger.exception("what was found of the domain %s can't be written", look.domain_id)


def run(stop: threading.Event) -> None:
    """Recheck until `stop` is set, whatever the database does. For a thread of its own, whose connection it closes at its end."""
    tidied = monotonic()
    try:
        while not stop.is_set():
            pause = PAUSE
            try:
                if recheck_due() == BATCH:
                    pause = 0.0
                if monotonic() - tidied > TIDYING:
                    tidied = monotonic()
                    rotation.forget()
            except Error as error:
                logger.warning("sender domains can't be read, trying again: %s", error)
                connection.close()
            stop.wait(pause)
    finally:
        connection.close()
