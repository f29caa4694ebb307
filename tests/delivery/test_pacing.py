"""Limits per minute and per day: kept by all workers together, without holding up anybody else's mail."""

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import sleep
from urllib.parse import urlsplit

import pytest
from django.db import connection, transaction

from messaging.delivery import pacing, queue, routebook
from messaging.delivery.pacing import Limit
from messaging.delivery.policy import Policy
from messaging.delivery.queue import Claim
from tests import world
from tests.delivery import paths
from tests.delivery.paths import route
from tests.delivery.smtp_sink import Later, SmtpSink
from tests.world import MAIL, drain, message

AGE = 1e8
"""Seconds of a window that does not end while a test runs."""

DRAIN = "import django; django.setup(); from messaging.delivery import worker; worker.drain(budget=10, linger=0.5)"


def flood(api, count: int, recipient: str = "kim@hanbit.example", **fields) -> list[str]:
    mails = [MAIL | {"recipient": recipient, "subject": f"Order {n}"} | fields for n in range(count)]
    answer = api.post("/v1/messages/batch", {"messages": mails})
    assert answer.status == 202
    return [one["message_id"] for one in answer.json["results"]]


def within_a_minute(seconds: float) -> None:
    """The clock of the windows is the database's: waits when it turns before so many seconds are over."""
    left = 60 - float(world.sql("SELECT extract(second FROM clock_timestamp())")[0][0])
    if left < seconds:
        sleep(left + 0.1)


@pytest.fixture
def minute() -> None:
    """Enough of one for a drain in this process."""
    within_a_minute(10)


def clusters(count: int) -> None:
    """That many worker processes, each with connections of its own, drain the queue at the same time."""
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "sendarix.settings"}
    root = Path(__file__).parents[2]
    started = [subprocess.Popen([sys.executable, "-c", DRAIN], env=environment, cwd=root) for _ in range(count)]
    assert [process.wait(60) for process in started] == [0] * count


def waits(why: str) -> list[datetime]:
    """Until when those wait that give this reason."""
    return [row[0] for row in world.sql("SELECT due_at FROM messages WHERE waits_note LIKE %s ORDER BY id", f"%{why}%")]


def recipients(sink: SmtpSink) -> Counter[str]:
    return Counter(mail.recipients[0].partition("@")[2] for mail in sink.accepted)


# grants


def test_who_asks_at_the_same_moment_is_never_granted_more_than_the_limit_together(transactional_db):
    limit = Limit("minute mx gmail", AGE, 12)

    def ask() -> int:
        with transaction.atomic():
            return pacing.grant([(limit, 5)])[limit.key].granted

    grants = world.together([ask] * 8)
    assert sorted(grants) == [0, 0, 0, 0, 0, 2, 5, 5]


def test_a_new_window_begins_with_the_whole_limit(transactional_db):
    limit = Limit("minute mx gmail", AGE, 3)
    assert [pacing.grant([(limit, 2)])[limit.key].granted for _ in range(3)] == [2, 1, 0]
    world.sql("UPDATE pace_windows SET starts_at = starts_at - interval '1 day'")
    assert pacing.grant([(limit, 9)])[limit.key].granted == 3


def test_what_is_given_back_may_be_granted_again(transactional_db):
    limit = Limit("minute mx gmail", AGE, 3)
    pacing.grant([(limit, 3)])
    pacing.give_back(limit.key, 2)
    assert pacing.grant([(limit, 9)])[limit.key].granted == 2


def test_a_claim_that_is_rolled_back_uses_nothing_up(transactional_db):
    limit = Limit("minute mx gmail", AGE, 3)
    with transaction.atomic():
        pacing.grant([(limit, 3)])
        transaction.set_rollback(True)
    assert pacing.grant([(limit, 3)])[limit.key].granted == 3


def test_many_a_minute_leave_in_tenths_and_few_as_they_come():
    assert pacing.per_minute("mx", "gmail", 600) == Limit("minute mx gmail", 6.0, 60)
    assert pacing.per_minute("mx", "gmail", 30) == Limit("minute mx gmail", 60.0, 30)


# per minute


NEXT = datetime(2030, 1, 1, tzinfo=UTC)


def told(limit: Limit, count: int, next_window: datetime = NEXT) -> list[datetime]:
    """The turns of so many more messages that are over the limit."""
    with transaction.atomic():
        return list(pacing.line_up({(limit, 2): (count, next_window)})[limit, 2])


def granted() -> list[tuple]:
    """What each limit's running window has let through."""
    return world.sql("SELECT key, used FROM pace_windows WHERE key NOT LIKE %s", "line %")


def test_several_worker_processes_keep_a_limit_per_minute_together(api, sink):
    limited = route("limited", sink.port, per_minute=20)
    flood(api, 60)
    flood(api, 40, "lee@daesan.example")
    within_a_minute(25)
    clusters(3)
    windows = dict(granted())
    assert windows == {f"minute {limited.id} hanbit.example": 20, f"minute {limited.id} daesan.example": 20}
    assert recipients(sink) == {"hanbit.example": 20, "daesan.example": 20}


def test_workers_that_claim_at_the_same_moment_keep_it_too(api, sink):
    limited = route("limited", sink.port, per_minute=30)
    flood(api, 100)
    book = routebook.read(datetime.now(UTC))

    def claim(name: str) -> list[Claim]:
        return queue.claim(name, 40, Policy(name, book, lambda lane, tier, account: (0.0, ""), {}, Random(1)).decide)

    held = world.together([lambda name=f"worker {number}": claim(name) for number in range(4)])
    assert sum(len(claims) for claims in held) == 30
    assert granted() == [(f"minute {limited.id} hanbit.example", 30)]


def test_what_has_to_wait_comes_back_in_order_a_window_at_a_time(api, sink, minute):
    route("limited", sink.port, per_minute=5)
    flood(api, 12)
    drain()
    assert len(sink.accepted) == 5
    turns = Counter(waits("the limits of route limited to hanbit.example are reached"))
    (first, second) = sorted(turns)
    assert (turns[first], turns[second], second - first) == (5, 2, timedelta(minutes=1))
    assert first.second == 0


def test_a_line_goes_on_behind_whom_was_told_before_and_no_further_than_three_minutes(transactional_db):
    limit, window = Limit("minute mx gmail", 6.0, 10), timedelta(seconds=6)
    turns = [*told(limit, 25), *told(limit, 300)]
    counted = Counter(turns)
    assert turns == sorted(turns)
    assert [counted[NEXT + number * window] for number in range(30)] == [10] * 30
    assert (max(turns), counted[max(turns)]) == (NEXT + pacing.AHEAD, 25)


def test_a_line_whose_windows_are_over_begins_anew(transactional_db):
    limit = Limit("minute mx gmail", 60.0, 10)
    told(limit, 15)
    assert told(limit, 1, NEXT + timedelta(minutes=9)) == [NEXT + timedelta(minutes=9)]


def test_a_higher_tier_has_a_line_of_its_own(api, sink, minute):
    route("limited", sink.port, per_minute=5)
    flood(api, 30, priority="low")
    drain()
    (urgent,) = flood(api, 1, priority="critical")
    drain()
    until = datetime.fromisoformat(message(api, urgent)["waiting"]["until"])
    assert until == min(waits("the limits of route limited to hanbit.example are reached"))


def test_a_paced_message_says_why_and_until_when(api, sink, minute):
    route("limited", sink.port, per_minute=1)
    _, paced = flood(api, 2)
    drain()
    waiting = message(api, paced)["waiting"]
    assert (waiting["for"], waiting["why"]) == ("paced", "the limits of route limited to hanbit.example are reached")
    assert datetime.now(UTC) < datetime.fromisoformat(waiting["until"]) <= datetime.now(UTC) + timedelta(minutes=1)
    assert message(api, paced)["attempts"] == 0


def test_a_limited_destination_takes_nothing_from_the_others(api, sink, minute):
    route("fast", sink.port)
    paths.policy("gently", when={"destinations": ["hanbit.example"]}, pacing={"per_minute": 3})
    flood(api, 150)
    flood(api, 20, "lee@daesan.example")
    drain()
    assert recipients(sink) == {"hanbit.example": 3, "daesan.example": 20}


def test_the_narrower_of_two_limits_holds(api, sink, minute):
    route("limited", sink.port, per_minute=10)
    paths.policy("gently", when={"tags": ["news"]}, pacing={"per_minute": 4})
    flood(api, 8, tags=["news"])
    flood(api, 8)
    drain()
    assert len(sink.accepted) == 10
    assert sorted(used for _, used in granted()) == [4, 10]


# per day


def test_a_days_cap_holds_over_all_destinations_and_workers(api, sink):
    capped = route("capped", sink.port, per_day=15)
    flood(api, 20)
    flood(api, 20, "lee@daesan.example")
    clusters(2)
    assert len(sink.accepted) == 15
    assert world.sql("SELECT key, used FROM pace_windows") == [(f"day {capped.id}", 15)]


def test_what_is_over_a_days_cap_takes_the_next_route(api, sink):
    warming = {"starts_on": f"{datetime.now(UTC):%Y-%m-%d}", "daily": [3, 1000]}
    with SmtpSink() as other:
        primary, backup = route("primary", sink.port, warmup=warming), route("backup", other.port)
        paths.publish({"then": {"routes": [{"route": primary.id}], "fallback": [{"route": backup.id}]}})
        flood(api, 10)
        world.until(lambda: drain() < 0 or len(other.accepted) == 7)
        assert (len(sink.accepted), len(other.accepted)) == (3, 7)


def test_what_moves_to_another_route_gives_its_place_in_a_days_cap_back(api, sink):
    sink.script["rcpt"] = lambda _: Later(0.1, "451 4.3.0 later")
    with SmtpSink() as other:
        primary, backup = route("primary", sink.port, per_day=1000), route("backup", other.port)
        paths.publish({"then": {"routes": [{"route": primary.id}], "fallback": [{"route": backup.id}]}})
        flood(api, 90)
        drain()
        assert len(other.accepted) > 0
    ((tried,),) = world.sql("SELECT count(*) FROM attempts WHERE route = 'primary'")
    assert world.sql("SELECT used FROM pace_windows") == [(tried,)]


def test_what_is_over_a_days_cap_without_another_route_waits_and_says_so(api, sink):
    route("capped", sink.port, per_day=2)
    flood(api, 4)
    world.until(lambda: drain() < 0 or len(waits("(capped: over today's cap)")) == 2)
    assert len(sink.accepted) == 2


def test_a_day_of_warm_up_that_has_not_begun_carries_nothing(api, sink):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    route("later", sink.port, warmup={"starts_on": f"{tomorrow:%Y-%m-%d}", "daily": [50]})
    flood(api, 1)
    drain()
    assert (sink.dots, len(waits("over today's warm-up cap"))) == (0, 1)
