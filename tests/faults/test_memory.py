"""What a large message costs the process that delivers it."""

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.stage import Actor, Stage, eventually

MOST = 120


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True
    taken = messages = 0


class _Counting(socketserver.StreamRequestHandler):
    """Takes mail and forgets it at once; counts octets and messages on its server."""

    server: _Server

    def handle(self) -> None:
        self._say(b"220 sink.test")
        while line := self.rfile.readline():
            match line[:4].upper():
                case b"EHLO":
                    self._say(b"250-sink.test\r\n250 8BITMIME")
                case b"DATA":
                    self._say(b"354 go on")
                    self.server.taken += self._content()
                    self.server.messages += 1
                    self._say(b"250 taken")
                case _:
                    self._say(b"250 ok")

    def _content(self) -> int:
        octets = 0
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            octets += len(line)
        return octets

    def _say(self, text: bytes) -> None:
        self.wfile.write(text + b"\r\n")


@contextmanager
def counting(port: int) -> Iterator[_Server]:
    with _Server(("127.0.0.1", port), _Counting) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        try:
            yield server
        finally:
            server.shutdown()


def peaks(worker: Actor) -> dict[int, int]:
    """The most memory that each delivery process ever had, in MB."""
    statuses = {pid: Path(f"/proc/{pid}/status").read_text() for pid in worker.pids("ready for work at")}
    return {pid: int(re.search(r"VmHWM:\s+(\d+)", text)[1]) // 1024 for pid, text in statuses.items()}  # type: ignore[index]


def test_a_40_mb_message_costs_little_memory(stage: Stage, note) -> None:
    with counting(stage.port) as server:
        stage.start("dispatcher")
        worker = stage.start("worker").ready()
        for _ in range(4):
            stage.accept(10)
            assert eventually(lambda: stage.open_messages() == 0)
        before, seen = peaks(worker), server.messages
        stage.accept_file(52_000_000)
        assert eventually(lambda: server.messages > seen)
        assert eventually(lambda: stage.open_messages() == 0)
        after = peaks(worker)
        growth = max(peak - before[pid] for pid, peak in after.items())
        stage.end_actors()
    peak, octets = max(after.values()), server.taken / 1e6
    note(f"a message of {octets:.0f} MB on the wire: the delivery process grew by {growth} MB to {peak} MB")
    assert server.taken > 50_000_000
    assert growth < MOST
