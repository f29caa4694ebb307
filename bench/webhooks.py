"""Webhooks: POSTs per second from the outbox to a receiver in another process, beside a loop over a bare httpx.Client that posts
bodies of that size to the same receiver, with neither table, signature nor log."""

import json
import sys
import time

import httpx

from bench import seeding
from bench.processes import Process, cpu_seconds, free_port, wait_for, wait_for_port
from bench.report import Part, Sample
from bench.stage import Stage

COUNT = 10_000
PATIENCE = 300.0


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    """Both sides in each round, one after the other."""
    count = max(200, round(COUNT * scale))
    part = Part("webhooks", f"{count:,} due deliveries to one endpoint on loopback", aim="ratio >= 0.5, better > 1")
    port = free_port()
    receiver = stage.start("receiver", [sys.executable, "-m", "bench.receiver", str(port)])
    wait_for_port(port, receiver)
    url = f"http://127.0.0.1:{port}/hook"
    seeding.pattern(stage)
    _subscribe(stage, url)
    for number in range(rounds):
        sides = [("sendarix", lambda: _drain(stage, count)), ("httpx loop", lambda: _loop(stage, url, count))]
        for name, side in sides if number % 2 == 0 else reversed(sides):
            _seed(stage, count)
            part.add(name, side())
    part.ratio("sendarix", "httpx loop", "per_second")
    return part


def _subscribe(stage: Stage, url: str) -> None:
    web, port = stage.web()
    seeding.call(port, stage.live_key, "POST", "webhooks", {"url": url})
    stage.stop(web)


def _seed(stage: Stage, count: int) -> None:
    """The first events of so many messages, due now."""
    seeding.clear(stage)
    stage.query("TRUNCATE webhook_deliveries, webhook_attempts")
    seeding.copy(stage, count)
    stage.query(
        "INSERT INTO webhook_deliveries (endpoint_id, event_number, type, message_id, status, attempt, due_at, created_at)"
        " SELECT w.id, e.id, 'message.' || e.type, e.message_id, 'waiting', 0, clock_timestamp(), clock_timestamp()"
        " FROM events e, webhook_endpoints w ORDER BY e.id"
    )


def _drain(stage: Stage, count: int) -> Sample:
    process = stage.start("webhooks", [sys.executable, "manage.py", "webhooks"], stage.environment())
    database = cpu_seconds(stage.database())
    try:
        wait_for(lambda: _done(stage, process, count), PATIENCE, "end of the deliveries", every=0.25)
        spent = cpu_seconds(process.tree()), cpu_seconds(stage.database()) - database
    finally:
        stage.stop(process)
    (took,) = stage.query(
        "SELECT extract(epoch FROM max(d.ended_at) - min(a.started_at))::float"
        " FROM webhook_deliveries d JOIN webhook_attempts a ON a.delivery_id = d.id"
    )[0]
    return {
        "per_second": count / took,
        "worker_cpu_us": spent[0] / count * 1e6,
        "database_cpu_us": spent[1] / count * 1e6,
    }


def _done(stage: Stage, process: Process, count: int) -> bool:
    process.must_run()
    return stage.query("SELECT count(*) FROM webhook_deliveries WHERE status = 'succeeded'")[0][0] == count


def _loop(stage: Stage, url: str, count: int) -> Sample:
    body = json.dumps({"type": "message.queued", "data": {"recipient": "reader@example.test", "tags": ["x" * 300]}})
    with httpx.Client(headers={"content-type": "application/json"}) as client:
        began = time.perf_counter()
        for _ in range(count):
            client.post(url, content=body).raise_for_status()
        return {"per_second": count / (time.perf_counter() - began)}
