"""When a line is crossed: baselines that outliers don't move, hysteresis, and too little to say anything."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics.alerts import judging
from analytics.alerts.judging import History, Line, Reading, Verdict
from analytics.alerts.metrics import Compare

NOW = datetime(2026, 4, 19, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def line(history: History, scale: float = 1 / 30, minimum: int = 20) -> Line:
    """Of a volume in two minutes, at five times the usual."""
    return judging.baseline(history, factor=5, floor=0, scale=scale, minimum=minimum)


def verdict(value: float | None, compare: Compare = Compare.ABOVE, volume: int = 100, threshold: float = 50) -> Verdict:
    return judging.judge(Reading("", value, volume, 120), compare, Line(threshold), 20)


def test_the_usual_is_the_median_of_the_weeks():
    assert line(History(weeks=[300, 330, 270, 300, 310, 290])) == Line(50, 10)


def test_one_week_of_an_attack_does_not_move_it():
    calm, attacked = ([300, 330, 270, 300, 310, 290], [300, 330, 270, 300, 310, 60_000])
    assert line(History(weeks=attacked)).threshold < 1.3 * line(History(weeks=calm)).threshold


def test_a_key_whose_weeks_differ_much_has_more_room():
    assert line(History(weeks=[30, 600, 3_000, 90, 2_400, 60])).threshold > 100


def test_an_hour_that_is_usually_silent_is_judged_by_the_week():
    assert line(History(weeks=[0, 0, 0, 0], hours=[600] * 168)) == Line(100, 20)


def test_who_is_young_is_judged_by_nine_of_ten_of_its_hours():
    assert line(History(weeks=[300], hours=[30] * 20 + [300] * 5)) == Line(50, 10)


def test_who_is_new_has_the_minimum_for_its_usual():
    assert line(History(hours=[5] * 10)).usual == 20
    assert line(History()).threshold == 100


def test_a_rate_is_not_scaled_and_has_a_floor():
    rates = History(weeks=[0.001, 0.0, 0.002, 0.001])
    assert judging.baseline(rates, factor=5, floor=0.01, scale=1) == Line(0.05, 0.01)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(51, Verdict.CROSSED), (50, Verdict.BETWEEN), (41, Verdict.BETWEEN), (40, Verdict.CLEAR), (None, Verdict.CLEAR)],
)
def test_a_line_is_crossed_upwards_and_left_well_below(value, expected):
    assert verdict(value) is expected


def test_of_too_little_nothing_is_concluded():
    assert verdict(1.0, volume=19, threshold=0.05) is Verdict.CLEAR


@pytest.mark.parametrize(
    ("value", "expected"), [(0, Verdict.CROSSED), (49, Verdict.CROSSED), (51, Verdict.BETWEEN), (63, Verdict.CLEAR)]
)
def test_a_line_is_crossed_downwards_whatever_the_minimum(value, expected):
    assert verdict(value, Compare.BELOW, volume=0) is expected


def test_an_alert_is_over_when_it_has_been_clear_for_as_long_as_the_window():
    over, since = judging.ended(Verdict.CLEAR, None, NOW, 2 * MINUTE)
    assert (over, since) == (False, NOW)
    assert judging.ended(Verdict.CLEAR, since, NOW + MINUTE, 2 * MINUTE) == (False, NOW)
    assert judging.ended(Verdict.BETWEEN, since, NOW + MINUTE, 2 * MINUTE) == (False, None)
    assert judging.ended(Verdict.CLEAR, since, NOW + 2 * MINUTE, 2 * MINUTE) == (True, NOW)
