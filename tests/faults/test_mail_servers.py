"""A mail server that refuses, drops, resets and hangs at every stage, and then recovers."""

import time
from collections.abc import Iterator
from functools import partial

from tests.delivery.smtp_sink import Drop, Hang, Reset, Step
from tests.faults import record
from tests.faults.record import Sink
from tests.faults.stage import Stage, eventually

STAGES = {
    "connect": "421 4.3.2 not now",
    "ehlo": "451 4.3.0 not now",
    "mail": "451 4.3.0 not now",
    "rcpt": "450 4.2.0 greylisted",
    "data": "451 4.3.0 not now",
    "body": "451 4.3.0 enough",
    "dot": "451 4.3.0 not now",
}


def faults(stage: str, rounds: int) -> Iterator[Step]:
    for _ in range(rounds):
        yield from (STAGES[stage], Drop(), Reset(), Hang(0.3))


def test_a_mail_server_that_fails_at_every_stage_gets_everything_in_the_end(stage: Stage, sink: Sink, note) -> None:
    plan = {name: list(faults(name, 2)) for name in STAGES}
    planned = sum(map(len, plan.values()))
    sink.script = {**plan}
    ladder = {"SENDARIX_RETRY_LADDER": "0.1," * 60}
    stage.start("dispatcher", **ladder)
    worker = stage.start("worker", **ladder).ready()
    ids = stage.accept(60)
    assert eventually(lambda: stage.open_messages() == 0, every=0.1), worker.text[-3000:]
    left = sum(map(len, plan.values()))
    audit = record.of(stage, sink, ids)
    note(f"mail server failing {planned - left} times at {len(STAGES)} stages: {audit}")
    assert not audit.faults
    assert not audit.lost
    assert left == 0
    assert 0 < audit.uncertain <= 12


def test_a_dead_mailbox_hangs_nobody_else(stage: Stage, sink: Sink, note) -> None:
    """Some recipients' dots are never answered; all others go out meanwhile, however long that takes."""
    sink.script = {"rcpt": lambda line: Hang() if "tarpit" in line else None}
    stage.start("dispatcher", SENDARIX_DRAIN_BUDGET="2")
    stage.start("worker", SENDARIX_DRAIN_BUDGET="2", SENDARIX_RETRY_LADDER="30,30").ready()
    slow = [stage.accept(1, recipient=f"tarpit{number}@hanbit.example")[0] for number in range(6)]
    assert eventually(lambda: stage.value("SELECT count(*) FROM messages WHERE worker IS NOT NULL") == len(slow))
    waits = []
    for number in range(5):
        began = time.monotonic()
        one = stage.accept(1, recipient=f"kim{number}@hanbit.example")[0]
        assert eventually(partial(sink.dots_of, one))
        waits.append(sink.dots_of(one)[0].at - began)
        time.sleep(0.5)
    note(
        f"{len(slow)} connections held up: {len(waits)} other messages went out meanwhile, each in {max(waits):.1f} s at most"
    )
