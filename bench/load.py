"""The HTTP client of the accept part: a few keep-alive connections, each with one request under way, as little work of its own as
Python allows. Run as a program, so that it shares no interpreter with anything: python -m bench.load PORT PATH TOKEN …"""

import argparse
import asyncio
import json
import resource
import time
from functools import partial

FILLER = "Your one-time code is 481516. It is valid for ten minutes; nobody of ours will ask you for it. "


def body() -> bytes:
    """2 KB of JSON: html, text and metadata, as a shop would send."""
    message = {
        "recipient": "reader@example.test",
        "subject": "Your code",
        "html": "<p>" + FILLER * 10 + "</p>",
        "text": FILLER * 7,
        "metadata": {"order": "4711", "customer": "c_2342"},
        "tags": ["otp"],
    }
    return json.dumps(message).encode()


class Connection(asyncio.Protocol):
    """Sends the next request when the answer of the last has come."""

    def __init__(self, run: "Run", name: str) -> None:
        self.run, self.name = run, name
        self.number = 0
        self.received = b""
        self.sent = 0.0

    def connection_made(self, transport) -> None:
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.number += 1
        self.sent = time.perf_counter()
        self.transport.write(
            self.run.head % (f"{self.name}-{self.number}".encode(), len(self.run.body)) + self.run.body
        )

    def data_received(self, data: bytes) -> None:
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = int(self.received[:end].lower().partition(b"content-length:")[2].partition(b"\r")[0])
        if len(self.received) < end + 4 + length:
            return
        status, self.received = self.received[9:12], b""
        now = time.perf_counter()
        if self.run.take(status, self.sent, now):
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.run.gone()


class Run:
    def __init__(self, path: str, token: str, connections: int, warm: float, seconds: float) -> None:
        self.body = body()
        self.head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nIdempotency-Key: %b\r\nContent-Length: %d\r\n\r\n"
        ).encode()
        self.begins = time.perf_counter() + warm
        self.ends = self.begins + seconds
        self.seconds = seconds
        self.open = connections
        self.times: list[float] = []
        self.statuses: dict[str, int] = {}
        self.over = asyncio.Event()

    def take(self, status: bytes, sent: float, now: float) -> bool:
        """Notes an answer; False when time is up. Answers count whose end lies in the measured time."""
        if self.begins <= now < self.ends:
            self.times.append(now - sent)
            self.statuses[status.decode()] = self.statuses.get(status.decode(), 0) + 1
        return now < self.ends

    def gone(self) -> None:
        self.open -= 1
        if not self.open:
            self.over.set()

    def figures(self) -> dict:
        times = sorted(self.times) or [0.0]
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "per_second": len(self.times) / self.seconds,
            "p50_ms": times[len(times) // 2] * 1000,
            "p99_ms": times[int(len(times) * 0.99)] * 1000,
            "statuses": self.statuses,
            "client_cpu_us": (used.ru_utime + used.ru_stime) / max(1, len(self.times)) * 1e6,
        }


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("token")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--warm", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=6.0)
    asked = parser.parse_args()
    run = Run(asked.path, asked.token, asked.connections, asked.warm, asked.seconds)
    name = time.time_ns()
    for number in range(asked.connections):
        connection = partial(Connection, run, f"{name}-{number}")
        await asyncio.get_running_loop().create_connection(connection, "127.0.0.1", asked.port)
    async with asyncio.timeout(asked.warm + asked.seconds + 60):
        await run.over.wait()
    print(json.dumps(run.figures()))


if __name__ == "__main__":
    asyncio.run(main())
