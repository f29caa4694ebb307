"""GET /v1/analytics: series, groups, rates, time zones, tables, and what is wrong with a query."""

import csv
import io
from datetime import timedelta

import pytest

from analytics import rollup
from tests.analytics.traffic import NOON, message, random_mail
from tests.world import from_now

TIME = {"since": (NOON - timedelta(hours=2)).isoformat(), "until": (NOON + timedelta(hours=1)).isoformat()}


def asked(api, **query) -> dict:
    rollup.run(60.0)
    answer = api.get("/v1/analytics", TIME | query)
    assert answer.status == 200, answer.json
    return answer.json


def groups(told: dict, count: str = "delivered") -> dict:
    return {group["value"]: group["counts"][count] for group in told["groups"]}


def test_a_series_has_a_bucket_for_every_hour_and_a_total(acme):
    message(acme)
    message(acme, at=NOON - timedelta(hours=2))
    told = asked(acme.live)
    assert [bucket["counts"]["delivered"] for bucket in told["buckets"]] == [1, 0, 1]
    assert told["total"]["counts"]["received"] == 2
    assert told["buckets"][0]["end"] == told["buckets"][1]["start"]
    assert told["groups"] == []


def test_rates_are_shares_of_what_came_to_an_end(acme):
    for story in (["queued", "accepted", "delivered"],) * 7 + (["queued", "accepted", "bounced"],) * 2:
        message(acme, story)
    message(acme, ("queued", "accepted", "deferred", "delivered", "complained"))
    message(acme, ("queued", "accepted", "delivered", "bounced"))
    rates = asked(acme.live)["total"]["rates"]
    assert rates == {"delivery": 0.727273, "bounce": 0.272727, "complaint": 0.111111, "deferral": 0.090909}


def test_of_nothing_there_are_no_rates(acme):
    told = asked(acme.live)["total"]
    assert set(told["rates"].values()) == {None}
    assert told["latency"] == {"count": 0, "p50": None, "p95": None, "p99": None}


def test_the_running_hour_is_partial_and_the_ones_before_are_not(acme):
    message(acme)
    told = asked(acme.live, since=from_now(hours=-2), until=from_now())
    assert [bucket["partial"] for bucket in told["buckets"]] == [False, False, True]
    assert told["as_of"] is not None


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        ("tier", {"normal": 2, "critical": 1}),
        ("template", {"otp-code": 1, None: 2}),
        ("tag", {"vip": 1, "spring": 1}),
        ("recipient_provider", {"gmail": 1, None: 2}),
        ("domain", {"hanbit.example": 2, "gmail.com": 1}),
        ("sender_domain", {"acme.example": 3}),
        ("route", {"first": 3}),
        ("key", {"key_1": 2, "key_2": 1}),
        ("bounce_class", {}),
        ("status", {"received": 0, "accepted": 0, "delivered": 3}),
    ],
)
def test_counts_are_told_by_each_dimension(acme, group_by, expected):
    message(acme, template="otp-code", tier=0, tags=["vip", "spring"])
    message(acme, recipient_key="kim@gmail.com")
    message(acme, key_id="key_2")
    assert groups(asked(acme.live, group_by=group_by)) == expected


def test_causes_of_bounces_and_deferrals_are_told(acme):
    message(acme, ("queued", "accepted", "deferred", "bounced"), reason="mailbox_full")
    message(acme, ("queued", "accepted", "bounced"), reason="mailbox_unknown")
    told = asked(acme.live, group_by="bounce_class")
    assert groups(told, "bounced_soft") == {"mailbox_full": 1, "mailbox_unknown": 0}
    assert groups(told, "deferrals") == {"mailbox_full": 1, "mailbox_unknown": 0}


def test_only_the_largest_groups_are_named_and_the_rest_is_told_together(acme):
    for number, count in enumerate((1, 3, 2)):
        for _ in range(count):
            message(acme, recipient_key=f"kim@d{number}.example")
    told = asked(acme.live, group_by="domain", limit=1)
    assert [(g["value"], g["other"], g["counts"]["received"]) for g in told["groups"]] == [
        ("d1.example", False, 3),
        (None, True, 3),
    ]
    assert told["groups"][1]["latency"]["count"] == 0


def test_a_filter_narrows_and_an_empty_one_means_without(acme):
    message(acme, template="otp-code")
    message(acme, template="receipt", story=("queued", "accepted", "bounced"))
    message(acme)
    assert asked(acme.live, template=["otp-code", "receipt"])["total"]["counts"]["received"] == 2
    assert asked(acme.live, template="")["total"]["counts"]["received"] == 1
    assert groups(asked(acme.live, template="receipt", group_by="status"), "bounced")["bounced"] == 1
    assert groups(asked(acme.live, tier="normal", group_by="tier")) == {"normal": 2}


def test_latencies_of_the_groups_of_a_dimension_are_told(acme):
    message(acme, tier=0, gap=0.5)
    message(acme, tier=3, gap=50)
    told = {group["value"]: group["latency"]["p50"] for group in asked(acme.live, group_by="tier")["groups"]}
    assert told["critical"] == pytest.approx(1.0, rel=0.05)
    assert told["low"] == pytest.approx(100, rel=0.05)


def test_days_are_those_of_the_time_zone(acme):
    message(acme)
    told = asked(acme.live, interval="day", timezone="Asia/Seoul")
    starts = [bucket["start"][11:16] for bucket in told["buckets"]]
    assert set(starts) == {"15:00"}
    assert told["total"]["counts"]["received"] == 1


def test_days_follow_the_clock_when_it_is_changed(acme):
    told = asked(
        acme.live, interval="day", timezone="Europe/Berlin", since="2026-03-28T00:00:00Z", until="2026-03-30T12:00:00Z"
    )
    assert [bucket["start"] for bucket in told["buckets"]] == [
        "2026-03-27T23:00:00.000Z",
        "2026-03-28T23:00:00.000Z",
        "2026-03-29T22:00:00.000Z",
    ]


def test_a_table_holds_the_same_and_no_formula(acme):
    message(acme, tags=["=1+1"])
    message(acme, tags=["vip"])
    rollup.run()
    answer = acme.live.get("/v1/analytics", TIME | {"group_by": "tag", "format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert {row["tag"]: row["delivered"] for row in rows if row["received"] != "0"} == {"'=1+1": "1", "vip": "1"}
    assert len(rows) == 2 * 3


def test_a_table_without_groups_has_a_row_for_every_bucket(acme):
    random_mail(acme, 20, seed=3)
    rollup.run(60.0)
    answer = acme.live.get("/v1/analytics", TIME | {"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    told = asked(acme.live)
    assert [int(row["received"]) for row in rows] == [b["counts"]["received"] for b in told["buckets"]]
    assert [row["latency_p95"] or None for row in rows] == [
        b["latency"]["p95"] and str(b["latency"]["p95"]) for b in told["buckets"]
    ]


def test_nobody_sees_the_counts_of_another_account_or_environment(acme, globex):
    message(acme, template="secret")
    told = [asked(api, group_by="template") for api in (globex.live, acme.test)]
    assert [(one["total"]["counts"]["received"], one["groups"]) for one in told] == [(0, []), (0, [])]


def test_a_chart_is_three_statements_however_much_there_is(acme, django_assert_num_queries):
    random_mail(acme, 40, seed=4)
    rollup.run(60.0)
    with django_assert_num_queries(3):  # admission, as_of, counts
        acme.live.get("/v1/analytics", TIME | {"group_by": "template"})


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ({"group_by": "tag", "template": "x"}, "", "conflict"),
        ({"tag": "a", "template": "x"}, "", "conflict"),
        ({"group_by": "colour"}, "group_by", "invalid_value"),
        ({"interval": "week"}, "interval", "invalid_value"),
        ({"tier": "urgent"}, "tier.0", "invalid_value"),
        ({"timezone": "Mars/Olympus"}, "timezone", "invalid_value"),
        ({"timezone": "../../etc/passwd"}, "timezone", "invalid_value"),
        ({"since": "2026-01-01"}, "since", "invalid_value"),
        ({"since": from_now(hours=1), "until": from_now()}, "", "out_of_range"),
        ({"since": from_now(days=-32), "until": from_now()}, "", "out_of_range"),
        ({"since": from_now(days=-30), "until": from_now(), "group_by": "tag", "limit": 100}, "", "out_of_range"),
        ({"tag": [str(n) for n in range(21)]}, "tag", "too_long"),
        ({"limit": 0}, "limit", "out_of_range"),
        ({"format": "xml"}, "format", "invalid_value"),
        ({"colour": "red"}, "colour", "unknown_field"),
    ],
)
def test_what_is_wrong_with_a_query_is_named(api, query, field, code):
    answer = api.get("/v1/analytics", query)
    assert (answer.status, answer.faults.get(field)) == (422, code), answer.json


@pytest.mark.parametrize("far", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_time_at_the_end_of_the_calendar_is_refused(api, far):
    for name in ("since", "until"):
        answer = api.get("/v1/analytics", {name: far, "interval": "day", "timezone": "Asia/Seoul"})
        assert answer.faults == {name: "out_of_range"}


def test_when_nobody_says_the_last_day_is_told(acme):
    answer = acme.live.get("/v1/analytics")
    assert len(answer.json["buckets"]) in (25, 26)
    assert len(acme.live.get("/v1/analytics", {"interval": "day"}).json["buckets"]) == 31
