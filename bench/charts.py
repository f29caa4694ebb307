"""python -m bench.charts DAYS: the charts of bench/rollups.py from both sides; exits with an error where they differ."""

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendarix.settings")
django.setup()  # before the models below are imported, whence their noqa

from django.db import connection  # noqa: E402

from analytics import queries  # noqa: E402
from analytics.dimensions import Dimension  # noqa: E402
from analytics.queries import Interval  # noqa: E402
from messaging.delivery import destinations  # noqa: E402
from sendarix.accounts.models import Account  # noqa: E402

_PROVIDER = " ".join(
    f"WHEN '{domain}' THEN '{group}'" for group in destinations.PROVIDERS for domain in destinations.listed(group)
)
CHARTS: dict[str, tuple[Dimension | None, str]] = {
    "by_time": (None, "''"),
    "by_template": (Dimension.TEMPLATE, "coalesce(c.template, '')"),
    "by_provider": (
        Dimension.RECIPIENT_PROVIDER,
        f"coalesce(CASE split_part(c.recipient_key, '@', 2) {_PROVIDER} END, '')",
    ),
}

RAW = """
SELECT date_trunc('day', e.at, 'UTC'), {value},
    count(*) FILTER (WHERE e.sequence = 1), count(*) FILTER (WHERE e.type = 'accepted'),
    count(*) FILTER (WHERE e.type = 'delivered'), count(*) FILTER (WHERE e.type = 'deferred'),
    count(*) FILTER (WHERE e.type = 'bounced'),
    percentile_disc(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM e.at - m.created_at)) FILTER (WHERE e.type = 'delivered')
FROM events e JOIN messages m ON m.id = e.message_id JOIN message_contents c ON c.message_id = e.message_id
WHERE e.account_id = %s AND e.livemode AND e.at >= %s AND e.at < %s GROUP BY 1, 2
"""

Rows = dict[tuple[Any, str], tuple[Any, ...]]


def raw(account_id: int, since: datetime, until: datetime, value: str) -> Rows:
    with connection.cursor() as cursor:
        cursor.execute(RAW.format(value=value), [account_id, since, until])
        return {(day, name): tuple(rest) for day, name, *rest in cursor.fetchall()}


def rolled(account_id: int, since: datetime, until: datetime, dimension: Dimension | None) -> Rows:
    read = queries.series(account_id, True, since, until, Interval.DAY, dimension)
    named = [(group.value or "", group.buckets) for group in read.groups] if dimension else [("", read.buckets)]
    return {
        (bucket.start, name): (
            bucket.counts.received, bucket.counts.accepted, bucket.counts.delivered, bucket.counts.deferrals,
            bucket.counts.bounced, bucket.latency.p95,
        )
        for name, buckets in named for bucket in buckets if bucket.counts.received or bucket.counts.delivered
    }  # fmt: skip


def assert_equal(chart: str, exact: Rows, told: Rows) -> None:
    """Counts to the one, percentiles within 5 %."""
    for place in exact.keys() | told.keys():
        *counts, p95 = exact[place]
        *others, estimate = told[place]
        if counts != others or abs(float(p95) - estimate) > 0.05 * float(p95):
            raise SystemExit(f"{chart} {place}: {exact[place]} raw, {told[place]} in rollups")


def main(days: int) -> None:
    account = Account.objects.get(slug="bench").pk
    until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = until - timedelta(days=days)
    sides: dict[str, dict[str, float]] = {"rollups": {}, "raw": {}}
    for chart, (dimension, value) in CHARTS.items():
        began = time.perf_counter()
        told = rolled(account, since, until, dimension)
        middle = time.perf_counter()
        exact = raw(account, since, until, value)
        ended = time.perf_counter()
        assert_equal(chart, exact, told)
        sides["rollups"][f"{chart}_ms"] = 1000 * (middle - began)
        sides["raw"][f"{chart}_ms"] = 1000 * (ended - middle)
    print(json.dumps(sides))


if __name__ == "__main__":
    main(int(sys.argv[1]))
