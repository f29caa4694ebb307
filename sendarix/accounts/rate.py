"""Admission: one SQL statement, one round trip, that looks the key up and counts the request in its window.

Windows are whole minutes by the database's clock, one row per bucket, exact over all processes. A bucket is an
account, or a source address when no usable key is shown. Refused requests count as well: within a minute that changes
nothing for anybody, and it needs no second statement. The counters are UNLOGGED, so the commit waits for no disk,
except once a minute and key, when `last_used_at` is written."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from sendarix.accounts.keys import Caller
from sendarix.accounts.models import Account, Plan
from sendarix.accounts.sources import bucket
from sendarix.core.statements import Statement


class Standing(StrEnum):
    """What a shown key is worth now."""

    UNKNOWN = "unknown"
    REVOKED = "revoked"
    EXPIRED = "expired"
    ELSEWHERE = "elsewhere"
    USABLE = "usable"


@dataclass(frozen=True, slots=True)
class Window:
    """One bucket's minute: `limit` and `used` in requests, `ends_at` in epoch seconds, `seconds_left` rounded up."""

    limit: int
    used: int
    ends_at: int
    seconds_left: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def over(self) -> bool:
        return self.used > self.limit


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer of one look: the window, and the caller when the standing is USABLE."""

    window: Window
    standing: Standing
    caller: Caller | None


_SAME_WINDOW = "old.starts_at BETWEEN excluded.starts_at AND excluded.starts_at + interval '1 minute'"
"""A request that waited for the row may come from the minute before; a clock set back further starts anew."""

_ADMIT = Statement(
    "admit",
    f"""
WITH known AS MATERIALIZED (
    SELECT k.id, k.account_id, a.slug, a.listened, k.livemode, k.scopes, k.sender_domains,
        coalesce(nullif(k.default_sender, ''), a.default_sender) AS default_sender,
        coalesce(a.rate_limit, CASE a.plan
            WHEN '{Plan.ENTERPRISE}' THEN %(enterprise)s::int
            ELSE %(standard)s::int END) AS allowed,
        CASE
            WHEN k.revoked_at IS NOT NULL THEN '{Standing.REVOKED}'
            WHEN k.expires_at <= statement_timestamp() THEN '{Standing.EXPIRED}'
            WHEN k.source_ips <> '{{}}' AND (%(address)s::inet <<= ANY (k.source_ips::cidr[])) IS NOT TRUE
                THEN '{Standing.ELSEWHERE}'
            ELSE '{Standing.USABLE}' END AS standing
    FROM api_keys k JOIN accounts a ON a.id = k.account_id
    WHERE k.digest = %(digest)s
), counted AS (
    INSERT INTO rate_windows AS old (bucket, starts_at, count)
    VALUES (
        coalesce(
            (SELECT 'account:' || account_id FROM known WHERE standing = '{Standing.USABLE}'),
            %(bucket)s::text),
        date_trunc('minute', statement_timestamp()),
        1)
    ON CONFLICT (bucket) DO UPDATE SET
        starts_at = CASE WHEN {_SAME_WINDOW} THEN old.starts_at ELSE excluded.starts_at END,
        count = CASE WHEN {_SAME_WINDOW} THEN old.count + 1 ELSE 1 END
    RETURNING count, starts_at + interval '1 minute' AS ends_at
), noted AS (
    UPDATE api_keys SET last_used_at = statement_timestamp()
    WHERE id = (SELECT id FROM known WHERE standing = '{Standing.USABLE}')
        AND (last_used_at IS NULL OR last_used_at < statement_timestamp() - interval '1 minute')
)
SELECT count, extract(epoch FROM ends_at)::bigint,
    ceil(extract(epoch FROM ends_at - statement_timestamp()))::int,
    standing, allowed, account_id, slug, id, livemode, scopes, sender_domains, default_sender,
    listened
FROM counted LEFT JOIN known ON true
""",
)


def admit(digest: str | None, address: str | None) -> Admission:
    """Look a key up by its digest and count one request. Raises OperationalError or InterfaceError (it is away).

    Runs in autocommit. A connection that died while idle is replaced once: counting a request twice harms nobody."""
    parameters = {
        "digest": digest,
        "address": address,
        "bucket": bucket(address),
        "standard": settings.RATE_LIMIT_STANDARD,
        "enterprise": settings.RATE_LIMIT_ENTERPRISE,
    }
    connection.health_check_done = True  # this statement is the health check of every API request
    try:
        return _admission(_fetch(parameters))
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block or not getattr(connection.connection, "closed", 0):
            raise
        connection.close()
        return _admission(_fetch(parameters))


def tries(bucket: str) -> int:
    """Count one more of something in the running hour, that is no request of the API; how many that makes. A bucket has at most
    60 characters."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO rate_windows AS old (bucket, starts_at, count) VALUES (%s, date_trunc('hour', statement_timestamp()), 1)"
            " ON CONFLICT (bucket) DO UPDATE SET starts_at = excluded.starts_at,"
            " count = CASE WHEN old.starts_at = excluded.starts_at THEN old.count + 1 ELSE 1 END RETURNING count",
            [bucket],
        )
        return cursor.fetchone()[0]


def limit_of(account: Account) -> int:
    """Requests that the account may make in a minute: its own limit, else its plan's."""
    if account.rate_limit is not None:
        return account.rate_limit
    return settings.RATE_LIMIT_ENTERPRISE if account.plan == Plan.ENTERPRISE else settings.RATE_LIMIT_STANDARD


def used(account: Account) -> int:
    """Requests of the account in the running minute; none is counted for the question."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count FROM rate_windows WHERE bucket = %s AND starts_at >= date_trunc('minute', statement_timestamp())",
            [f"account:{account.pk}"],
        )
        row = cursor.fetchone()
    return row[0] if row else 0


def forget(older_than: timedelta = timedelta(hours=1)) -> int:
    """Delete the counters of callers not seen lately; returns how many. For the housekeeping of one process."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM rate_windows WHERE starts_at < statement_timestamp() - %s", [older_than])
        return cursor.rowcount


def _fetch(parameters: dict[str, object]) -> tuple:
    with connection.cursor() as cursor:
        _ADMIT.run(cursor, parameters)
        return cursor.fetchone()


def _admission(row: tuple) -> Admission:
    used, ends_at, seconds_left, standing, allowed, *key = row
    if standing != Standing.USABLE:
        window = Window(settings.RATE_LIMIT_UNKNOWN, used, ends_at, seconds_left)
        return Admission(window, Standing(standing or Standing.UNKNOWN), None)
    account_id, slug, key_id, livemode, scopes, domains, default_sender, listened = key
    caller = Caller(account_id, slug, key_id, livemode, frozenset(scopes), tuple(domains), default_sender, listened)
    return Admission(Window(allowed, used, ends_at, seconds_left), Standing.USABLE, caller)
