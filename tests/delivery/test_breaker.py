"""When a path is given a rest, and how it comes back: each step from what was seen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from messaging.delivery import breaker
from messaging.delivery.breaker import NO_PROBES, Bearing, Breaker, Probes, State, Window
from messaging.delivery.outcomes import Cause, Outcome, Phase, Reply, Verdict

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REST = timedelta(seconds=30)
WELL = Window(tries=20.0, strained=0.0)
BAD = Window(tries=9.0, strained=8.0, troubled=4)


def step(now: Breaker, window: Window = WELL, probes: Probes = NO_PROBES, at: datetime = NOW) -> breaker.Step:
    return breaker.step(now, window, probes, at, REST)


def opened(at: datetime = NOW) -> Breaker:
    return step(Breaker(), BAD, at=at).breaker


def half_open(at: datetime = NOW) -> Breaker:
    return breaker.ask(opened(at), at + REST).breaker


def test_a_path_opens_when_most_of_its_last_tries_failed():
    made = step(Breaker(), BAD)
    assert (made.breaker.state, made.breaker.open_until, made.breaker.openings) == (State.OPEN, NOW + REST, 1)
    assert made.reason == "89% of the last tries were deferred or failed"


def test_a_path_opens_when_nobody_was_reached_five_times_in_a_row():
    made = step(Breaker(), Window(tries=4.5, strained=4.5, misses=5, troubled=3))
    assert (made.breaker.state, made.reason) == (State.OPEN, "5 connections in a row came to nothing")


@pytest.mark.parametrize(
    "window",
    [
        WELL,
        replace(BAD, tries=7.9, strained=7.9),
        replace(BAD, strained=5.3),
        replace(BAD, troubled=2),
        Window(tries=4.0, strained=4.0, misses=4, troubled=4),
        Window(tries=5.0, strained=5.0, misses=9, troubled=1),
    ],
    ids=["well", "too few tries", "three of five", "two messages", "four misses", "one message again and again"],
)
def test_a_path_stays_closed_as_long_as_less_is_known_against_it(window):
    assert step(Breaker(), window) == breaker.Step(Breaker())


def test_without_a_rest_there_are_no_breakers():
    assert breaker.step(Breaker(), BAD, NO_PROBES, NOW, timedelta(0)).breaker.state == State.CLOSED


def test_what_still_comes_back_while_it_is_open_changes_nothing():
    assert step(opened(), BAD, Probes(good=9, bad=9), NOW + timedelta(seconds=5)).breaker == opened()


def test_it_is_half_open_when_its_rest_is_over_and_not_before():
    assert breaker.ask(opened(), NOW + timedelta(seconds=29)).breaker == opened()
    asked = breaker.ask(opened(), NOW + REST)
    assert (asked.breaker.state, asked.reason) == (State.HALF_OPEN, "its rest is over, probes go out")


def test_three_probes_that_come_through_close_it():
    waiting = step(half_open(), probes=Probes(good=2)).breaker
    assert (waiting.state, waiting.successes) == (State.HALF_OPEN, 2)
    closed = step(waiting, probes=Probes(good=1))
    assert (closed.breaker.state, closed.reason) == (State.CLOSED, "3 probes came through")


def test_a_probe_that_fails_opens_it_again_for_longer():
    again = step(half_open(), probes=Probes(good=2, bad=1)).breaker
    assert (again.state, again.openings, again.open_until) == (State.OPEN, 2, NOW + 2 * REST)


def test_rests_double_up_to_a_quarter_of_an_hour():
    path, rests = opened(), []
    for _ in range(8):
        rests.append((path.open_until - path.changed_at).total_seconds())
        path = step(breaker.ask(path, path.open_until).breaker, probes=Probes(bad=1), at=path.open_until).breaker
    assert rests == [30, 60, 120, 240, 480, 900, 900, 900]


@pytest.mark.parametrize(("minutes", "openings"), [(14, 2), (16, 1)])
def test_a_path_that_was_well_for_long_enough_begins_with_the_shortest_rest(minutes, openings):
    closed = step(half_open(), probes=Probes(good=3)).breaker
    assert step(closed, BAD, at=NOW + timedelta(minutes=minutes)).breaker.openings == openings


def test_no_more_than_two_probes_are_under_way_at_once():
    path = half_open()
    assert breaker.free_probes(path) == 2
    out = replace(path, probing=2, probed_at=NOW)
    assert breaker.free_probes(out) == 0
    assert breaker.free_probes(step(out, probes=Probes(void=1)).breaker) == 1


def test_probes_unheard_of_for_a_minute_make_room_for_others():
    out = replace(half_open(), probing=2, probed_at=NOW)
    assert breaker.free_probes(breaker.ask(out, NOW + timedelta(seconds=59)).breaker) == 0
    assert breaker.free_probes(breaker.ask(out, NOW + timedelta(seconds=61)).breaker) == 2


def test_only_a_half_open_path_takes_probes():
    assert (breaker.free_probes(Breaker()), breaker.free_probes(opened())) == (0, 0)


REPLY = Reply(451, "4.3.0", "later")

BEARINGS = [
    (Verdict.DELIVERED, None, Phase.DONE, Bearing.ANSWER),
    (Verdict.BOUNCED, Cause.MAILBOX_UNKNOWN, Phase.RCPT, Bearing.ANSWER),
    (Verdict.BOUNCED, Cause.REPUTATION, Phase.RCPT, Bearing.STRAIN),
    (Verdict.DEFERRED, Cause.RATE_LIMITED, Phase.MAIL, Bearing.STRAIN),
    (Verdict.DEFERRED, Cause.REPUTATION, Phase.GREETING, Bearing.STRAIN),
    (Verdict.DEFERRED, Cause.SYSTEM, Phase.RCPT, Bearing.STRAIN),
    (Verdict.DEFERRED, Cause.CONNECTION, Phase.BODY, Bearing.STRAIN),
    (Verdict.UNCERTAIN, Cause.UNCERTAIN, Phase.DOT, Bearing.STRAIN),
    (Verdict.DEFERRED, Cause.CONNECTION, Phase.CONNECTING, Bearing.MISS),
    (Verdict.DEFERRED, Cause.AUTH, Phase.AUTH, Bearing.MISS),
    (Verdict.DEFERRED, Cause.GREYLISTED, Phase.RCPT, Bearing.NOTHING),
    (Verdict.DEFERRED, Cause.MAILBOX_FULL, Phase.RCPT, Bearing.NOTHING),
    (Verdict.DEFERRED, Cause.CONTENT, Phase.DOT, Bearing.NOTHING),
]


@pytest.mark.parametrize(("verdict", "cause", "phase", "bearing"), BEARINGS)
def test_what_speaks_of_the_path_and_what_of_the_message(verdict, cause, phase, bearing):
    assert breaker.bearing(Outcome(verdict, cause, phase, REPLY)) == bearing


def test_a_fault_on_our_side_says_nothing_of_the_path():
    assert breaker.bearing(Outcome(Verdict.DEFERRED, Cause.SYSTEM, Phase.BODY)) == Bearing.NOTHING


def test_only_who_speaks_of_rate_or_reputation_is_left_alone():
    def asks(cause: Cause, seconds: float | None) -> float | None:
        return breaker.asked_to_wait(Outcome(Verdict.DEFERRED, cause, Phase.RCPT, REPLY, retry_after=seconds))

    assert asks(Cause.RATE_LIMITED, 120.0) == 120.0
    assert asks(Cause.RATE_LIMITED, 86400.0) == 900.0
    assert asks(Cause.RATE_LIMITED, None) is None
    assert asks(Cause.GREYLISTED, 300.0) is None
