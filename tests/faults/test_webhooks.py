"""Webhooks to receivers that fail in every way, hang and heal, and from workers that are killed: nothing is lost, repeats keep
their id, and nobody waits for another."""

import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from standardwebhooks import Webhook

from tests.faults.stage import PATIENCE, Actor, Stage, eventually
from tests.webhooks.receiver import Drip, Flood, Never, Receiver, Reply, Request, Reset, Step, gzip_bomb

LADDER = {"SENDARIX_WEBHOOK_LADDER": "0.3," * 60, "SENDARIX_WEBHOOK_TIMEOUT": "1"}


@dataclass
class Customer:
    """A receiver with its secret, and which events it has taken with a 2xx."""

    receiver: Receiver
    secret: str
    step: Callable[[Request], Step]
    taken: Counter[str] = field(default_factory=Counter)

    def answer(self, request: Request) -> Step:
        step = self.step(request)
        if isinstance(step, (Reply, Flood)) and step.status < 300:
            self.taken[request.headers["webhook-id"]] += 1
        return step

    @property
    def seen(self) -> set[str]:
        return {request.headers["webhook-id"] for request in self.receiver.requests}

    def late(self, since: float, until: float) -> list[float]:
        """Seconds from each event written in this time to its first arrival, ascending."""
        first: dict[str, float] = {}
        for request in self.receiver.requests:
            first.setdefault(request.body.decode(), request.at)
        written = {body: datetime.fromisoformat(json.loads(body)["timestamp"]).timestamp() for body in first}
        return sorted(first[body] - at for body, at in written.items() if since <= at < until)


@pytest.fixture
def customer(stage: Stage) -> Iterator[Callable[..., Customer]]:
    """Makes a receiver with an endpoint for it; `step` says how it answers each request."""
    started: list[Receiver] = []

    def make(step: Callable[[Request], Step] = lambda _: Reply()) -> Customer:
        receiver = Receiver().start()
        started.append(receiver)
        customer = Customer(receiver, stage.door.call("subscribe", url=receiver.url), step)
        receiver.answer = customer.answer
        return customer

    yield make
    stage.end_actors()
    for receiver in started:
        receiver.stop()


def settled(stage: Stage) -> bool:
    return stage.value("SELECT count(*) FROM webhook_deliveries WHERE due_at IS NOT NULL") == 0


def lost(stage: Stage, customer: Customer) -> int:
    """Events the customer never took; every request is signed, and under an id of the feed."""
    for request in customer.receiver.requests[:: max(1, len(customer.receiver.requests) // 200)]:
        assert Webhook(customer.secret).verify(request.body, request.headers)["id"] == request.headers["webhook-id"]
    return stage.value("SELECT count(*) FROM events") - len(customer.taken)


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def test_a_receiver_that_fails_in_every_way_misses_nothing(stage: Stage, customer, note) -> None:
    ways: list[Step] = [
        Reply(500), Reply(429, {"Retry-After": "1"}), Reply(301, {"Location": "/"}), Reset(), Reset(Reply(), 1), Never(),
        Drip(), Reply(404), gzip_bomb(), Flood(100), Reply(503, {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}),
    ]  # fmt: skip
    script = [step for way in ways * 2 for step in (way, Reply())]
    receiver = customer(lambda _: script.pop(0) if script else Reply())
    beside = customer()
    worker = stage.start("webhooks", **LADDER).ready(1)
    stage.door.call("tell", count=60)
    assert eventually(lambda: settled(stage), every=0.1), worker.text[-3000:]
    failed = stage.query(
        "SELECT cause, count(*) FROM webhook_attempts WHERE NOT succeeded GROUP BY cause ORDER BY cause"
    )
    note(
        f"webhook receiver failing {sum(row[1] for row in failed)} times ({', '.join(f'{n} {c}' for c, n in failed)}):"
        f" lost {lost(stage, receiver)} of 60; beside it lost {lost(stage, beside)}"
    )
    assert not script
    assert lost(stage, receiver) == lost(stage, beside) == 0
    assert max(map(len, stage.query("SELECT reply FROM webhook_attempts")[0])) <= 20_000
    assert {cause for cause, _ in failed} == {"reset", "status", "timeout"}


def hang_and_heal(stage: Stage, customer, batches: int, batch: int) -> str:
    """A hangs in the second half of the events and heals afterwards; how B fared meanwhile."""
    hangs = False
    a, b = customer(lambda _: Never() if hangs else Reply()), customer()
    worker = stage.start("webhooks", **LADDER | {"SENDARIX_WEBHOOK_TIMEOUT": "5"}).ready(1)
    stage.door.call("tell", count=1)
    assert eventually(lambda: settled(stage), every=0.1), worker.text[-3000:]
    times = [time.time()]
    for hangs in (False, True):  # noqa: B007 - the receiver's answer reads it
        for _ in range(batches // 2):
            stage.door.call("tell", count=batch)
            time.sleep(0.1)
        times.append(time.time())
    told = 1 + batches // 2 * 2 * batch
    assert eventually(lambda: len(b.taken) == told, every=0.1), worker.text[-3000:]
    hangs = False
    a.receiver.hang_up()
    assert eventually(lambda: settled(stage), 120, 0.1), worker.text[-3000:]
    before, meanwhile = (b.late(since, until) for since, until in itertools.pairwise(times))
    assert lost(stage, a) == lost(stage, b) == 0
    assert not b.taken.keys() - a.seen
    assert percentile(meanwhile, 0.9) < percentile(before, 0.9) + 2.0
    again = len(a.receiver.requests) - told
    return (
        f"{told} events, A hangs from the middle on and heals: lost 0, A asked {again} times again; B's ms p50/p99"
        f" {told_ms(before)} before, {told_ms(meanwhile)} meanwhile"
    )


def told_ms(late: list[float]) -> str:
    return f"{percentile(late, 0.5) * 1000:.0f}/{percentile(late, 0.99) * 1000:.0f}"


def test_one_that_hangs_and_heals_gets_everything_and_delays_nobody(stage: Stage, customer, note) -> None:
    note(hang_and_heal(stage, customer, batches=50, batch=10))


@pytest.mark.long
@pytest.mark.timeout(400)
def test_ten_thousand_events_of_one_that_hangs_and_heals(stage: Stage, customer, note) -> None:
    note(hang_and_heal(stage, customer, batches=200, batch=50))


def test_a_worker_killed_mid_post_posts_again_under_the_same_id(stage: Stage, customer, note) -> None:
    receiver = customer(lambda request: Reply(delay=60.0) if len(receiver.receiver.requests) == 1 else Reply())
    worker = stage.start("webhooks", **LADDER).ready(1)
    stage.door.call("tell", count=20)
    receiver.receiver.wait(1)
    kill(worker)
    died = time.monotonic()
    assert eventually(lambda: settled(stage), every=0.1), worker.text[-3000:]
    ids = Counter(request.headers["webhook-id"] for request in receiver.receiver.requests)
    note(
        f"webhook worker killed mid-POST: lost {lost(stage, receiver)} of 20, {sum(ids.values()) - 20} posted again,"
        f" done {time.monotonic() - died:.1f} s after"
    )
    assert lost(stage, receiver) == 0
    assert sorted(ids.values()) == [1] * 19 + [2]
    assert ids[receiver.receiver.requests[0].headers["webhook-id"]] == 2


def kill(worker: Actor) -> None:
    for each in worker.family():
        if each.pid != worker.process.pid:
            each.kill()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_webhook_processes_killed_again_and_again_lose_nothing(stage: Stage, customer, note) -> None:
    rng = random.Random(3)
    receiver = customer(lambda _: Reply(delay=0.1))
    worker = stage.start("webhooks", **LADDER).ready(1)
    for kills in range(8):
        stage.door.call("tell", count=300)
        time.sleep(rng.uniform(1.0, 3.0))
        family = [each for each in worker.family() if each.pid != worker.process.pid]
        rng.choice(family).kill() if kills % 2 else kill(worker)
    assert eventually(lambda: settled(stage), 120, 0.2), worker.text[-3000:]
    again = len(receiver.receiver.requests) - 2400
    note(f"webhook processes killed 8 times under load: lost {lost(stage, receiver)} of 2400, {again} posted again")
    assert lost(stage, receiver) == 0
    assert again <= 8 * 30


def test_a_worker_told_to_end_leaves_no_hold_and_posts_nothing_twice(stage: Stage, customer, note) -> None:
    receiver = customer(lambda _: Reply(delay=0.05))
    first = stage.start("webhooks", "first", **LADDER).ready(1)
    stage.door.call("tell", count=100)
    receiver.receiver.wait(10)
    told = time.monotonic()
    first.terminate()
    first.process.wait(PATIENCE)
    ended = time.monotonic() - told
    assert not first.family()
    assert stage.query("SELECT worker FROM webhook_endpoints") == [(None,)]
    stage.start("webhooks", "second", **LADDER)
    assert eventually(lambda: settled(stage), every=0.1)
    note(f"SIGTERM to webhooks under load: ended in {ended:.1f} s, 100 events, {len(receiver.receiver.requests)} POSTs")
    assert len(receiver.receiver.requests) == len(receiver.taken) == 100
