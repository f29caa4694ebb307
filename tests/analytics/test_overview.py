"""The figures of the first page: whole hours beside those before, rates with their levels, latencies by tier."""

from datetime import timedelta

import pytest

from analytics import queries, rollup
from analytics.figures import Counts, Level, Rate
from analytics.queries import Overview
from tests.analytics.traffic import NOON, message

BOUNCE = ("queued", "accepted", "bounced")
HOUR = timedelta(hours=1)


def overview(owner, hours: int = 3) -> Overview:
    """As it was seen at NOON and a half."""
    rollup.run(60.0)
    return queries.overview(owner.account.pk, True, hours, NOON + HOUR / 2)


def test_the_last_hours_stand_beside_those_before_and_the_running_one_apart(acme):
    for hours, count in ((0, 1), (1, 2), (3, 4), (4, 8), (6, 16), (7, 32)):
        for _ in range(count):
            message(acme, at=NOON - hours * HOUR)
    seen = overview(acme)
    assert (seen.since, seen.until) == (NOON - 3 * HOUR, NOON)
    assert (seen.counts.received, seen.previous.received) == (2 + 4, 8 + 16)
    assert [bucket.counts.received for bucket in seen.hours] == [4, 0, 2, 1]
    assert [bucket.counts.received for bucket in seen.previous_hours] == [16, 0, 8]


def test_rates_stand_at_their_thresholds_beside_the_ones_before(acme):
    for story, count in (
        (BOUNCE, 3),
        ((*BOUNCE[:2], "delivered"), 97),
        (("queued", "accepted", "delivered", "complained"), 1),
    ):
        for _ in range(count):
            message(acme, story, NOON - HOUR)
    message(acme, BOUNCE, NOON - 4 * HOUR)
    seen = overview(acme)
    assert (seen.bounces.level, seen.bounces.previous) == (Level.WARNING, 1.0)
    assert (seen.complaints.level, seen.complaints.previous) == (Level.DANGER, None)
    assert (seen.delivery.warning, seen.delivery.level) == (None, Level.OK)


@pytest.mark.parametrize(
    ("value", "level"),
    [(None, Level.UNKNOWN), (0.0, Level.OK), (0.02, Level.WARNING), (0.049, Level.WARNING), (0.05, Level.DANGER)],
)
def test_a_rate_knows_its_level(value, level):
    assert Rate(value, None, 0.02, 0.05).level is level


def test_latencies_are_told_by_tier_the_critical_one_first(acme):
    message(acme, tier=0, at=NOON - HOUR, gap=0.1)
    message(acme, tier=0, at=NOON - 5 * HOUR, gap=1)
    tiers = overview(acme).tiers
    assert [tier.tier for tier in tiers] == ["critical", "high", "normal", "low"]
    assert tiers[0].latency.p50 == pytest.approx(0.2, rel=0.05)
    assert tiers[0].previous.p50 == pytest.approx(2, rel=0.05)
    assert tiers[1].latency.p50 is None


def test_of_an_empty_account_there_is_nothing_to_say(acme):
    seen = overview(acme)
    assert (seen.counts, seen.delivery.level, len(seen.hours)) == (Counts(), Level.UNKNOWN, 4)
    assert all(tier.latency.count == 0 for tier in seen.tiers)


def test_before_anything_was_counted_every_hour_is_partial(acme):
    seen = queries.overview(acme.account.pk, True, 2)
    assert seen.as_of is None
    assert all(bucket.partial for bucket in seen.hours)


def test_the_overview_is_two_statements(acme, django_assert_num_queries):
    with django_assert_num_queries(2):
        queries.overview(acme.account.pk, True)


def test_a_series_can_do_without_latencies(acme):
    message(acme)
    rollup.run(60.0)
    read = queries.series(acme.account.pk, True, NOON, NOON + HOUR, timed=False)
    assert (read.counts.delivered, read.latency.count) == (1, 0)


def test_a_series_has_its_limit(acme):
    with pytest.raises(ValueError, match="31 days"):
        queries.series(acme.account.pk, True, NOON - 32 * 24 * HOUR, NOON)
