"""Debian's Postfix run from a private folder, as the yardstick of delivery: its queue is filled while no queue manager runs, then
drained to the same sink over as many connections. Needs root, as Postfix does."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.processes import Left, free_port, need, program

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = bench.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
local_recipient_maps =
alias_maps =
alias_database =
relayhost = [127.0.0.1]:{sink}
smtp_tls_security_level = none
smtpd_client_connection_count_limit = 0
default_destination_concurrency_limit = 20
default_process_limit = 200
in_flow_delay = 0
"""

TUNED = """\
initial_destination_concurrency = 20
smtp_connection_cache_destinations = [127.0.0.1]:{sink}
smtp_dns_support_level = disabled
"""
"""Full concurrency from the start, connections kept always (stock: when the queue manager sees many), no DNS client."""

SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - 20 smtp
relay     unix  - - n - 20 smtp
error     unix  - - n - - error
retry     unix  - - n - - error
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""
QUEUE_MANAGER = "qmgr unix n - n 300 1 qmgr\n"
QUEUES = ("incoming", "active", "deferred")


class Postfix:
    """One instance: filled, then drained, then thrown away. Raises Left where it can't run."""

    def __init__(self, folder: Path, sink: int, tuned: bool) -> None:
        need("postfix", "smtp-source", package="postfix")
        if os.geteuid():
            raise Left("Postfix starts only as root")
        self.folder, self.port = folder, free_port()
        folder.mkdir(mode=0o755)
        (folder / "queue").mkdir()
        (folder / "main.cf").write_text((MAIN + (TUNED if tuned else "")).format(folder=folder, sink=sink))

    def fill(self, count: int, size: int) -> None:
        """Accept `count` messages of `size` octets, as durably as it does, and end."""
        with self.accepting(count):
            self.source(count, size, 40)

    @contextmanager
    def accepting(self, count: int) -> Iterator[None]:
        """It listens within the block, delivers nothing, and must hold `count` messages at its end."""
        self._start(SERVICES)
        try:
            yield
        finally:
            self.stop()
        if (held := self.waiting()) != count:
            raise RuntimeError(f"Postfix holds {held} of {count} messages")

    def source(self, count: int, size: int, sessions: int) -> float:
        """Have smtp-source hand in so many; messages per second."""
        source = [str(program("smtp-source")), "-s", str(sessions), "-m", str(count), "-l", str(size)]
        addresses = ["-f", "no-reply@bench.test", "-t", "reader@example.test"]
        began = time.perf_counter()
        subprocess.run([*source, *addresses, f"127.0.0.1:{self.port}"], check=True, capture_output=True, timeout=1800)
        return count / (time.perf_counter() - began)

    def drain(self, count: int) -> float:
        """Messages per second from the first to the last that leaves the queue."""
        self._start(SERVICES + QUEUE_MANAGER)
        try:
            while (left := self.waiting()) == count:
                time.sleep(0.005)
            began, first = time.perf_counter(), left
            while left:
                time.sleep(0.25 if left > 2_000 else 0.02)
                left = self.waiting()
            took = time.perf_counter() - began
        finally:
            self.stop()
        sent = (self.folder / "log").read_text(errors="replace").count("status=sent")
        if sent != count:
            raise RuntimeError(f"Postfix sent {sent} of {count} messages")
        return first / took

    def waiting(self) -> int:
        return sum(_files(self.folder / "queue" / name) for name in QUEUES)

    def _start(self, services: str) -> None:
        (self.folder / "master.cf").write_text(services.format(port=self.port))
        if (self.folder / "queue" / "pid").exists():
            (self.folder / "queue" / "quick-start").touch()  # no second look at every file
        self._command("start")

    def stop(self) -> None:
        """Ends master, which ends its own; returns when it is gone."""
        with suppress(FileNotFoundError, ValueError):
            pid = int((self.folder / "queue" / "pid" / "master.pid").read_text())
            self._command("stop")
            end = time.monotonic() + 10
            while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
                time.sleep(0.02)

    def _command(self, verb: str) -> None:
        with (self.folder / "commands").open("ab") as out:
            argv = [str(program("postfix")), "-c", str(self.folder), verb]
            code = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=120).returncode
        if code and verb == "start":
            said = "".join(path.read_text(errors="replace")[-1500:] for path in self.folder.glob("[cl]o*"))
            raise RuntimeError(f"Postfix did not start:\n{said}")


def _files(folder: Path) -> int:
    """Queue files below it; Postfix may hash a queue into folders."""
    total = 0
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            total += _files(Path(entry.path)) if len(entry.name) == 1 else 1
    return total
