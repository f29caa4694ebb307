"""The retry ladder in real time, on a scaled clock: how many tries, when, and how it ends."""

import itertools

import pytest

from tests.faults.record import Sink
from tests.faults.stage import PATIENCE, Stage, eventually

LADDER = (30, 300, 1800, 7200, 18000)


def climb(stage: Stage, sink: Sink, scale: int) -> list[float]:
    """Lateness in seconds of each of the six tries; asserts their number, order and the end."""
    waits = [wait / scale for wait in LADDER]
    ladder = {"SENDARIX_RETRY_LADDER": ",".join(map(str, waits))}
    sink.script = {"rcpt": "450 4.2.0 greylisted"}
    stage.start("dispatcher", **ladder)
    stage.start("worker", **ladder).ready()
    message = stage.accept()[0]
    assert eventually(lambda: stage.open_messages() == 0, sum(waits) * 1.1 + PATIENCE)
    tries = [row[0] for row in stage.query("SELECT extract(epoch FROM started_at)::float FROM attempts ORDER BY id")]
    assert len(tries) == 6
    events = stage.query(
        "SELECT extract(epoch FROM at)::float, extract(epoch FROM (data->>'next_attempt_at')::timestamptz)::float FROM events"
        " WHERE type = 'deferred' ORDER BY sequence"
    )
    for wait, (at, due) in zip(waits, events, strict=True):
        assert wait - 0.05 <= due - at <= wait * 1.1 + 0.05
    for cumulative, tried in zip(itertools.accumulate(waits), tries[1:], strict=True):
        assert cumulative <= tried - tries[0]
    assert stage.query("SELECT status, reason FROM messages") == [("bounced", "retries_exhausted")]
    assert stage.query("SELECT message_id, cause FROM dead_letters") == [(message, "retries_exhausted")]
    assert stage.value("SELECT count(*) FROM suppressions") == 0
    return [tried - due for tried, (_, due) in zip(tries[1:], events, strict=True)]


def told(lateness: list[float]) -> str:
    return ", ".join(f"{late * 1000:.0f}" for late in lateness)


def test_six_tries_on_the_ladder_then_a_dead_letter(stage: Stage, sink: Sink, note) -> None:
    lateness = climb(stage, sink, 4000)
    note(f"ladder at 1/4000: six tries, then bounced and a dead letter; ms late {told(lateness)}")


@pytest.mark.long
@pytest.mark.timeout(180)
def test_the_ladder_keeps_its_times_to_the_second(stage: Stage, sink: Sink, note) -> None:
    lateness = climb(stage, sink, 500)
    note(f"ladder at 1/500: six tries, then bounced and a dead letter; ms late {told(lateness)}")
    assert max(lateness) <= 0.5
