"""The waits between attempts, as contract section 2 promises them."""

from random import Random

import pytest

from sendarix.core import ladders


class Chance(Random):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def random(self) -> float:
        return self.value


def test_the_default_waits_are_thirty_seconds_to_five_hours():
    waits = [ladders.next_wait(ladders.DEFAULT, attempt, Chance(0.0)) for attempt in range(1, 6)]
    assert waits == [30, 300, 1800, 7200, 18000]


def test_after_the_sixth_attempt_the_ladder_is_used_up():
    assert ladders.next_wait(ladders.DEFAULT, 6, Random()) is None
    assert ladders.next_wait(ladders.DEFAULT, 7, Random()) is None


def test_jitter_adds_at_most_a_tenth_and_never_shortens():
    assert ladders.next_wait((100,), 1, Chance(0.999999)) == pytest.approx(110)
    rng = Random(7)
    waits = [ladders.next_wait((100,), 1, rng) for _ in range(1000)]
    assert all(wait is not None and 100 <= wait <= 110 for wait in waits)
    assert len(set(waits)) > 900


def test_a_wait_before_any_attempt_is_a_fault_of_the_caller():
    with pytest.raises(ValueError, match="at least one attempt"):
        ladders.next_wait(ladders.DEFAULT, 0, Random())


def test_a_ladder_is_read_from_settings_text():
    assert ladders.parse("30,300, 1800") == (30, 300, 1800)
    assert ladders.parse("0.5") == (0.5,)


@pytest.mark.parametrize("text", ["", "30,soon", "30,-1", "0", "nan", "1e9"])
def test_a_ladder_that_makes_no_sense_is_refused(text: str):
    with pytest.raises(ValueError, match="retry ladder"):
        ladders.parse(text)
