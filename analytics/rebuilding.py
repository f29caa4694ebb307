"""Counting anew from the events, in the steps of rollup: what has been counted is thrown away at once, and fills again. Hours
whose events have been thrown away by then keep their counts."""

from datetime import UTC, datetime, timedelta
from time import sleep

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from analytics import rollup
from analytics.dimensions import Dimension
from analytics.models import RollupPosition
from sendarix.accounts.models import Account

HOUR = timedelta(hours=1)
TABLES = ("hour_counts", "hour_latencies", "minute_counts", "minute_latencies")

PATIENCE = 0.1
"""Seconds to wait while a dispatcher counts the same account."""


def rebuild(account: Account, since: datetime | None = None) -> int:
    """Count the events of an account since the beginning of this hour again (all that are kept, without one); returns how many
    events were read. While it runs, `as_of` is None where nothing is counted, and counts grow."""
    for livemode in (True, False):
        _begin(account.pk, livemode, since)
    return sum(_catch_up(account.pk, livemode) for livemode in (True, False))


def _begin(account_id: int, livemode: bool, since: datetime | None) -> None:
    """Throw the counts away, and have the events counted again from the first one on; those before `since` are passed over. A
    rebuild that an earlier one had begun, and not ended, begins where that one did."""
    with transaction.atomic(), connection.cursor() as cursor:
        own = RollupPosition.objects.filter(account_id=account_id, livemode=livemode)
        at = own.select_for_update(no_key=True).first()
        if at is None:
            return
        starts = [since and _hour(since), _first_whole(cursor, account_id, livemode)]
        first = max((start for start in starts if start is not None), default=None)
        here, reached = (at.transaction, at.number), (at.skips_transaction, at.skips_number)
        if here < reached:
            first = None if first is None or at.skips_before is None else min(first, at.skips_before)
        for table in TABLES:
            cursor.execute(
                f"DELETE FROM {table} WHERE account_id = %s AND livemode = %s AND (%s::timestamptz IS NULL OR at >= %s)",
                [account_id, livemode, first, first],
            )
        reached = max(here, reached)
        own.update(
            transaction=0, number=0, behind=True, as_of=None,
            skips_before=first, skips_transaction=reached[0], skips_number=reached[1],
        )  # fmt: skip


def _first_whole(cursor: CursorWrapper, account_id: int, livemode: bool) -> datetime | None:
    """The first hour of which all events are kept; None while none have been thrown away."""
    whose = [account_id, livemode]
    cursor.execute("SELECT min(at) FROM events WHERE account_id = %s AND livemode = %s", whose)
    oldest = cursor.fetchone()[0] or datetime.now(UTC)
    cursor.execute(
        "SELECT EXISTS (SELECT FROM hour_counts WHERE account_id = %s AND livemode = %s AND dimension = %s AND at < %s)",
        [*whose, Dimension.TIER, _hour(oldest)],
    )
    return _hour(oldest) + HOUR if cursor.fetchone()[0] else None


def _catch_up(account_id: int, livemode: bool) -> int:
    count, more = 0, True
    while more:
        done = rollup.step(account_id, livemode, rollup.horizon())
        more = done is None or done.more
        count += done.events if done else 0
        if done is None:
            sleep(PATIENCE)
    return count


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
