"""PostgreSQL stopped and started under load, while the worker and the dispatcher stay up."""

import signal
import threading
import time

import psycopg2
import pytest

from tests.delivery.smtp_sink import Held, Later, Step
from tests.faults import record
from tests.faults.record import Sink
from tests.faults.stage import PATIENCE, Load, Stage, eventually, gone

LARGE = {"text": "A line of a long letter.\r\n" * 15_000}
HOW = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


def interrupt(stage: Stage, sink: Sink, how: str, away: float) -> tuple[record.Audit, float, int]:
    """(audit, seconds from the start of the database to the next final dot, refused requests). A part of the messages is large:
    what is read while such a message is written has connections of its own, which have to come back too."""
    stage.start("dispatcher")
    worker = stage.start("worker").ready()
    large = stage.accept(8, **LARGE)
    with Load(stage, rate=150) as load:
        assert eventually(lambda: len(sink.record()) > 100)
        stage.stop_database(HOW[how])
        time.sleep(away)
        stage.start_database()
        began = time.monotonic()
        assert eventually(lambda: sink.record()[-1].at > began), worker.text[-3000:]
        resumed = next(dot.at for dot in sink.record() if dot.at > began) - began
    large += stage.accept(8, **LARGE)
    assert eventually(lambda: stage.open_messages() == 0, every=0.1), worker.text[-3000:]
    return record.of(stage, sink, load.ids + large), resumed, load.refused


@pytest.mark.parametrize("how", HOW)
def test_a_database_that_comes_back_loses_nothing(stage: Stage, sink: Sink, note, how: str) -> None:
    audit, resumed, refused = interrupt(stage, sink, how, away=1.0)
    assert stage.value("SELECT count(*) FROM attempts WHERE starts_with(detail, 'a fault on our side')") == 0
    note(
        f"PostgreSQL stopped ({how}) for 1 s: {audit}; delivery resumed after {resumed:.1f} s, {refused} requests refused"
    )
    assert not audit.faults


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", HOW)
def test_a_database_away_for_longer_than_a_lease_loses_nothing(stage: Stage, sink: Sink, note, how: str) -> None:
    audit, resumed, refused = interrupt(stage, sink, how, away=20.0)
    note(
        f"PostgreSQL stopped ({how}) for 20 s: {audit}; delivery resumed after {resumed:.1f} s, {refused} requests refused"
    )
    assert not audit.faults
    assert resumed <= 5


def test_a_claim_that_a_crash_forgets_is_not_sent_twice(stage: Stage, sink: Sink, note) -> None:
    """The database ends without a flush just after a claim; another worker claims the message; then the first one goes on."""
    message, go_on = stage.accept()[0], threading.Event()
    held: list[Step] = [Held(go_on)]
    sink.script = {"data": held}
    stage.door.call("drain", point="")
    assert eventually(lambda: not held)
    stage.stop_database(signal.SIGQUIT)
    stage.start_database()
    other = stage.door.call("drain", point="")
    assert eventually(lambda: gone(other))
    go_on.set()
    assert eventually(lambda: sink.dots_of(message))
    assert eventually(lambda: all(session.ended for session in sink.sessions))
    assert eventually(lambda: stage.open_messages() == 0, every=0.1)
    audit = record.of(stage, sink, [message])
    note(f"claim forgotten by a crash: {audit}")
    assert not audit.faults


def test_a_backend_killed_does_not_make_living_workers_lose_their_claims(stage: Stage, sink: Sink, note) -> None:
    """SIGKILL of one backend makes PostgreSQL end all of them and forget its unlogged tables, the workers' beats among them."""
    sink.script = {"dot": lambda _: Later(1.5)}
    stage.start("dispatcher")
    stage.start("worker").ready()
    ids = stage.accept(20)
    assert eventually(lambda: stage.value("SELECT count(*) FROM messages WHERE marked") > 3)
    victim = stage.value(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1"
    )
    witness = psycopg2.connect(stage.server.url)
    stage.kill_backend(victim)
    with pytest.raises(psycopg2.DatabaseError), witness.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [PATIENCE])
    assert eventually(stage.answers)
    assert eventually(lambda: stage.open_messages() == 0, every=0.1)
    audit = record.of(stage, sink, ids)
    note(f"a backend of PostgreSQL killed: {audit}")
    assert not audit.faults
    assert audit.uncertain == 0
