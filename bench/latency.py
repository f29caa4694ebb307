"""Latency: from the POST of a lone critical message to its final dot at the mail server, idle and with tens of
thousands of low ones waiting and being drained."""

import http.client
import json
import random
import sys
import time
from dataclasses import dataclass
from itertools import pairwise

from bench import seeding
from bench.processes import Process, free_port, wait_for_port
from bench.report import Part, Sample
from bench.stage import Stage

COUNT = 200
IDLE = (0.05, 1.5)
BUSY = (0.05, 0.3)
"""Seconds between two messages, drawn evenly; idle ones meet a drain that lingers and none at all."""

WAITING = 50_000
FEWEST = 10_000
"""When fewer low ones wait, as many more are added before the next message is sent."""


@dataclass(frozen=True, slots=True)
class Posts:
    """What is posted: with which key and priority, how many, how long after one another, while how many others wait."""

    key: str
    priority: str
    count: int
    gaps: tuple[float, float]
    waiting: int = 0


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    count = max(10, round(COUNT * scale))
    waiting = max(1_000, round(WAITING * scale))
    part = Part(
        "latency",
        f"POST of a critical message to its final dot, ms, {count} messages a round",
        aim=f"idle p50 <= 30, p99 <= 100; with {waiting:,} low ones waiting p99 <= 1000",
    )
    seeding.pattern(stage, "low")
    for number in range(rounds):
        rng = random.Random(number)
        part.add("idle", play(stage, Posts(stage.live_key, "critical", count, IDLE), rng))
        part.add("low ones waiting", play(stage, Posts(stage.live_key, "critical", count, BUSY, waiting), rng))
    return part


def play(stage: Stage, posts: Posts, rng: random.Random) -> Sample:
    """Post while copies of the pattern wait and are drained."""
    seeding.clear(stage)
    port = free_port()
    sink = stage.start(f"sink-{port}", [sys.executable, "-m", "bench.sink", str(port)])
    wait_for_port(port, sink)
    processes = [sink, *stage.delivery(port)]
    web, http_port = stage.web()
    processes.append(web)
    if posts.waiting:
        seeding.copy(stage, posts.waiting)
    try:
        _warm(stage, sink, http_port)
        sent = _send(stage, http_port, posts, rng)
        dots = arrived(sink, set(sent))
    finally:
        stage.stop(*reversed(processes))
    return _figures(sent, dots)


def _warm(stage: Stage, sink: Process, port: int) -> None:
    """The first message waits for processes to start; it is not counted."""
    first = seeding.post(port, stage.live_key, seeding.letter("critical"))["message_id"]
    arrived(sink, {first})


def _send(stage: Stage, port: int, posts: Posts, rng: random.Random) -> dict[str, tuple[float, float]]:
    """Message id to the times before its POST and after the answer."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {posts.key}", "Content-Type": "application/json"}
    body = json.dumps(seeding.letter(posts.priority))
    sent = {}
    for number in range(posts.count):
        if posts.waiting and number % 10 == 0 and _waiting(stage) < min(FEWEST, posts.waiting // 2):
            seeding.copy(stage, posts.waiting)
        time.sleep(rng.uniform(*posts.gaps))
        began = time.monotonic()
        client.request("POST", "/v1/messages", body, headers)
        answer = client.getresponse()
        content = answer.read()
        if answer.status != 202:
            raise RuntimeError(f"a message was refused: {content[:500]!r}")
        sent[json.loads(content)["message_id"]] = (began, time.monotonic())
    client.close()
    return sent


def _waiting(stage: Stage) -> int:
    return stage.query("SELECT count(*) FROM messages WHERE due_at IS NOT NULL")[0][0]


def arrived(sink: Process, wanted: set[str], patience: float = 60.0) -> dict[str, float]:
    """Times of the wanted messages' final dots, once all have come."""
    end = time.monotonic() + patience
    while True:
        dots = {name: at for name, at in lines(sink).items() if name in wanted}
        if len(dots) == len(wanted):
            return dots
        if time.monotonic() > end:
            raise RuntimeError(f"{len(wanted) - len(dots)} messages did not arrive in {patience:.0f} s")
        time.sleep(0.2)


def lines(sink: Process) -> dict[str, float]:
    """What bench.sink has printed: message id to the time of its first final dot, by the monotonic clock."""
    parted = [line.split() for line in sink.log.read_text().splitlines()]
    return {parts[0]: float(parts[1]) for parts in reversed(parted) if len(parts) == 2}


def _figures(sent: dict[str, tuple[float, float]], dots: dict[str, float]) -> Sample:
    took = sorted((dots[name] - began) * 1000 for name, (began, _) in sent.items())
    answered = sorted((after - began) * 1000 for began, after in sent.values())
    shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    figures = {name: took[min(len(took) - 1, int(len(took) * share))] for name, share in shares.items()}
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(sent.values())]
    return figures | {
        "max_ms": took[-1],
        "answer_p50_ms": answered[len(answered) // 2],
        "mean_gap_ms": 1000 * sum(gaps) / len(gaps),
    }
