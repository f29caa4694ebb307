"""Counting events: every one once, whatever commits late, and the same when it is done again."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from analytics import dimensions, latency, queries, rebuilding, rollup
from analytics.dimensions import OTHER, Dimension
from analytics.figures import COLUMNS, Counts
from tests import world
from tests.analytics import traffic
from tests.analytics.traffic import NOON, message, random_mail
from tests.world import drain, send

RAW = """
WITH facts AS (
    SELECT e.account_id, e.livemode, date_trunc('hour', e.at, 'UTC') AS at, e.type, e.previous, e.sequence,
        e.data ->> 'route' AS route, m.tier, c.template, c.tags, c.key_id, c.sender, c.recipient_key,
        CASE WHEN e.type IN ('bounced', 'deferred') THEN e.data ->> 'reason' END AS reason
    FROM events e JOIN messages m ON m.id = e.message_id JOIN message_contents c ON c.message_id = m.id
)
SELECT account_id, livemode, at, %s AS value,
    count(*) FILTER (WHERE sequence = 1), count(*) FILTER (WHERE type = 'accepted'), count(*) FILTER (WHERE type = 'delivered'),
    count(*) FILTER (WHERE type = 'deferred' AND previous = 'accepted'), count(*) FILTER (WHERE type = 'deferred'),
    count(*) FILTER (WHERE type = 'bounced' AND reason NOT IN ('retries_exhausted', 'mailbox_full')),
    count(*) FILTER (WHERE type = 'bounced' AND reason IN ('retries_exhausted', 'mailbox_full')),
    count(*) FILTER (WHERE type = 'bounced' AND previous = 'delivered'), count(*) FILTER (WHERE type = 'complained'),
    count(*) FILTER (WHERE type = 'unsubscribed'), count(*) FILTER (WHERE type = 'suppressed'),
    count(*) FILTER (WHERE type = 'canceled'), count(*) FILTER (WHERE type = 'expired')
FROM facts f %s WHERE (type <> 'queued' OR sequence = 1) GROUP BY 1, 2, 3, 4 HAVING %s IS NOT NULL
"""
GROUPED = {
    Dimension.TIER: "tier::text",
    Dimension.TEMPLATE: "coalesce(template, '')",
    Dimension.TAG: "tag",
    Dimension.RECIPIENT_PROVIDER: "coalesce(CASE split_part(recipient_key, '@', 2) WHEN 'gmail.com' THEN 'gmail'"
    " WHEN 'naver.com' THEN 'naver' WHEN 'hanmail.net' THEN 'kakao' END, '')",
    Dimension.SENDER_DOMAIN: "lower(rtrim(split_part(sender, '@', 2), '>'))",
    Dimension.RECIPIENT_DOMAIN: "split_part(recipient_key, '@', 2)",
    Dimension.ROUTE: "route",
    Dimension.KEY: "key_id",
    Dimension.BOUNCE_CLASS: "reason",
}


def raw(dimension: Dimension) -> set[tuple]:
    value = GROUPED[dimension]
    join = "CROSS JOIN LATERAL unnest(tags) tag" if dimension is Dimension.TAG else ""
    return set(world.sql(RAW % (value, join, value)))


def kept(dimension: Dimension) -> set[tuple]:
    columns = ", ".join(COLUMNS)
    return set(
        world.sql(f"SELECT account_id, livemode, at, value, {columns} FROM hour_counts WHERE dimension = %s", dimension)
    )


def assert_equal() -> None:
    for dimension in Dimension:
        assert kept(dimension) == raw(dimension), dimension.name


def count_all() -> None:
    """What the dispatcher does."""
    rollup.run(60.0)


def total(owner, **counts: int) -> None:
    read = queries.series(owner.account.pk, True, NOON - timedelta(hours=8), NOON + timedelta(hours=8))
    assert read.counts == Counts(**counts)


@pytest.mark.parametrize("page", [3, 50, 5_000])
def test_counts_are_those_of_the_events_whatever_the_page(acme, globex, monkeypatch, page):
    monkeypatch.setattr(rollup, "PAGE", page)
    random_mail(acme, 60, seed=page)
    count_all()
    random_mail(globex, 20, seed=page + 1)
    random_mail(acme, 20, seed=page + 2)
    count_all()
    assert_equal()
    assert rollup.run() == 0


def test_a_rebuild_comes_to_the_same_numbers(acme):
    random_mail(acme, 60, seed=7)
    count_all()
    before = {dimension: kept(dimension) for dimension in Dimension}
    latencies = world.sql("SELECT * FROM hour_latencies ORDER BY 1, 2, 3, 4, 5, 6")
    rebuilding.rebuild(acme.account)
    assert {dimension: kept(dimension) for dimension in Dimension} == before
    assert world.sql("SELECT * FROM hour_latencies ORDER BY 1, 2, 3, 4, 5, 6") == latencies


def test_a_rebuild_since_an_hour_leaves_the_hours_before_as_they_are(acme):
    random_mail(acme, 60, seed=8)
    count_all()
    world.sql("UPDATE hour_counts SET received = 1000")
    since = NOON - timedelta(hours=1)
    rebuilding.rebuild(acme.account, since)
    random_mail(acme, 20, seed=9)
    count_all()
    rows = world.sql("SELECT max(received) FROM hour_counts GROUP BY at >= %s ORDER BY at >= %s", since, since)
    assert rows[0][0] >= 1000 > rows[1][0]
    rebuilding.rebuild(acme.account)
    assert_equal()


def test_a_rebuild_that_did_not_end_is_ended_by_the_next_one(acme):
    random_mail(acme, 60, seed=10)
    count_all()
    rebuilding._begin(acme.account.pk, True, NOON - timedelta(hours=3))
    rollup.step(acme.account.pk, True, rollup.horizon(), page=20)
    rebuilding.rebuild(acme.account, NOON - timedelta(hours=1))
    assert_equal()


def test_a_rebuild_keeps_the_counts_of_hours_whose_events_are_gone(acme):
    message(acme, at=NOON - timedelta(hours=3))
    message(acme)
    count_all()
    world.sql("DELETE FROM events WHERE at < %s", NOON - timedelta(hours=1))
    rebuilding.rebuild(acme.account)
    total(acme, received=2, accepted=2, delivered=2)


@pytest.fixture
def other_connection(transactional_db):
    other = connection.copy()
    other.set_autocommit(False)
    yield other
    other.rollback()
    other.close()


def test_what_commits_late_is_counted_once_and_not_missed(acme, other_connection):
    message(acme)
    message(acme, database=other_connection)
    message(acme)
    count_all()
    total(acme, received=1, accepted=1, delivered=1)
    other_connection.commit()
    count_all()
    count_all()
    total(acme, received=3, accepted=3, delivered=3)
    assert_equal()


def test_the_time_up_to_which_all_is_counted_waits_for_what_still_runs(acme, other_connection):
    message(acme, database=other_connection)
    began = world.sql("SELECT xact_start FROM pg_stat_activity WHERE backend_xid IS NOT NULL")[0][0]
    count_all()
    assert queries.as_of(acme.account.pk, True) == began
    other_connection.commit()
    count_all()
    assert queries.as_of(acme.account.pk, True) > began


def test_a_page_that_leaves_more_says_so(acme):
    message(acme)
    rollup.step(acme.account.pk, True, rollup.horizon(), page=1)
    count_all_of_others = rollup.run(0.0)
    assert (count_all_of_others, queries.as_of(acme.account.pk, True)) == (0, None)


def test_an_account_whose_events_can_not_be_counted_keeps_no_other(acme, globex):
    message(acme)
    message(globex)
    count_all()
    first, second = queries.as_of(acme.account.pk, True), queries.as_of(globex.account.pk, True)
    message(acme)
    message(globex)
    world.sql(f"ALTER TABLE hour_counts ADD CONSTRAINT full_up CHECK (account_id <> {acme.account.pk} OR received < 2)")
    try:
        assert rollup.run() == len(traffic.STORIES[0])
        assert queries.as_of(acme.account.pk, True) == first
        assert queries.as_of(globex.account.pk, True) > second
    finally:
        world.sql("ALTER TABLE hour_counts DROP CONSTRAINT full_up")
    count_all()
    assert_equal()
    assert queries.as_of(acme.account.pk, True) > first


def test_two_dispatchers_count_nothing_twice(acme):
    random_mail(acme, 60, seed=11)
    world.together([lambda: rollup.run(20.0)] * 3)
    count_all()
    assert_equal()


def test_while_others_write_nothing_is_lost_or_doubled(acme):
    writers = [world.in_background(random_mail, acme, 30, seed) for seed in range(20, 24)]
    while not all(writer.done for writer in writers):
        rollup.run(1.0)
    for writer in writers:
        writer.result()
    count_all()
    assert_equal()


def test_real_mail_is_counted_as_it_goes(acme, sink):
    sink.script["rcpt"] = lambda line: "550 5.1.1 unknown" if "gone" in line else None
    for recipient in ("kim@hanbit.example", "lee@hanbit.example", "gone@hanbit.example"):
        send(acme.live, recipient=recipient, tags=["orders"])
    drain()
    count_all()
    assert_equal()
    now = queries.series(acme.account.pk, True, NOON, NOON + timedelta(hours=8), dimension=Dimension.TAG)
    (group,) = now.groups
    assert (group.value, group.counts) == ("orders", Counts(received=3, accepted=3, delivered=2, bounced_hard=1))


def test_values_beyond_the_room_of_an_hour_are_counted_together_and_alike_again(acme, monkeypatch):
    monkeypatch.setattr(rollup, "MOST_VALUES", 3)
    for number in range(8):
        message(acme, recipient_key=f"kim@d{number % 6}.example")
    count_all()
    values = {row[3]: row[4] for row in kept(Dimension.RECIPIENT_DOMAIN)}
    assert values == {"d0.example": 2, "d1.example": 2, "d2.example": 1, OTHER: 3}
    before = kept(Dimension.RECIPIENT_DOMAIN)
    rebuilding.rebuild(acme.account)
    assert kept(Dimension.RECIPIENT_DOMAIN) == before


def test_percentiles_are_within_five_percent_of_the_exact_ones(acme):
    gaps = [0.0011 * 1.17**number for number in range(80)]
    for gap in gaps:
        message(acme, ("queued", "delivered"), gap=gap)
    count_all()
    (bucket, *_) = (b for b in queries.series(acme.account.pk, True, NOON, NOON + timedelta(hours=1)).buckets)
    late = sum(gap >= 3600 for gap in gaps)
    told, exact = bucket.latency, gaps[: len(gaps) - late]
    for share, seconds in ((0.5, told.p50), (0.95, told.p95), (0.99, told.p99)):
        rank = exact[-(-int(share * 100) * len(exact) // 100) - 1]
        assert abs(seconds - rank) / rank < 0.05
    assert told.count == len(exact)


def test_a_scheduled_message_is_late_only_after_its_time(acme):
    message(acme, ("scheduled", "queued", "delivered"), gap=1000, scheduled_time=NOON + timedelta(seconds=1900))
    count_all()
    slots = world.sql("SELECT DISTINCT slot FROM hour_latencies")
    assert slots == [(latency.bucket(100_000),)]


def test_a_group_of_domains_that_is_known_from_the_dns_is_one(acme):
    world.sql("INSERT INTO mail_domains VALUES ('hanbit.example', 'gmail', '{}', now())")
    message(acme)
    count_all()
    assert {row[3] for row in kept(Dimension.RECIPIENT_PROVIDER)} == {"gmail"}


def test_counts_by_minute_are_thrown_away_after_a_day(acme):
    message(acme, at=NOON - timedelta(days=2))
    message(acme)
    count_all()
    assert world.sql("SELECT count(*) FROM minute_counts WHERE at < %s", NOON - timedelta(days=1)) == [(0,)]
    world.sql("UPDATE minute_counts SET at = at - interval '2 days'")
    rollup.forget()
    assert world.sql("SELECT count(*) FROM minute_counts") == [(0,)]


def test_counts_by_hour_are_thrown_away_when_no_series_or_baseline_reaches_them(acme):
    message(acme)
    count_all()
    before = world.sql("SELECT count(*) FROM hour_counts")
    longest = queries.LONGEST["day"]
    for table in ("hour_counts", "hour_latencies"):
        world.sql(f"UPDATE {table} SET at = at - %s", 2 * longest - timedelta(days=1))
    rollup.forget()
    assert world.sql("SELECT count(*) FROM hour_counts") == before
    for table in ("hour_counts", "hour_latencies"):
        world.sql(f"UPDATE {table} SET at = at - interval '2 days'")
    rollup.forget()
    for table in ("hour_counts", "hour_latencies"):
        assert world.sql(f"SELECT count(*) FROM {table}") == [(0,)]


def test_the_command_counts_again(acme, globex):
    message(acme)
    message(globex)
    count_all()
    out = StringIO()
    call_command("rebuild_rollups", "--account", "acme", "--since", traffic.NOON.isoformat(), stdout=out)
    assert out.getvalue() == "acme: 3 events read\n"
    total(acme, received=1, accepted=1, delivered=1)


@pytest.mark.parametrize("arguments", [["--account", "nobody"], ["--since", "noon"], ["--since", "2026-01-01T00:00"]])
def test_the_command_says_what_is_wrong(transactional_db, arguments):
    with pytest.raises(CommandError, match=arguments[0]):
        call_command("rebuild_rollups", *arguments)


def test_other_is_no_name_that_a_customer_could_give(acme):
    answer = world.post(acme.live, tags=[dimensions.OTHER])
    assert answer.status == 422
