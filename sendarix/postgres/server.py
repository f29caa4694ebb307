"""Starting and stopping the embedded PostgreSQL server."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sendarix.core.processes import LINUX
from sendarix.postgres import state
from sendarix.postgres.place import (
    Identity,
    PostgresError,
    find_binaries,
    major,
    settle,
    socket_directory,
    url,
)

LOCK = "pg.lock"  # in SENDARIX_HOME: held by the process that runs the server
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "120",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "jit": "off",
}
THROW_AWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "on"}
SMALL_BUFFERS = "32MB"
LOG_BYTES = 10_000_000

Process = subprocess.Popen[bytes]
Say = Callable[[str], None]


def say_on_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Server:
    """A postmaster that this process started."""

    home: Path
    process: Process

    @property
    def url(self) -> str:
        return url(self.home)

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is kept."""
        for number, seconds in ((signal.SIGINT, 30), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            self.process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
                return


def start(
    home: Path, *, durable: bool = True, say: Say = say_on_stderr, ways: Iterator[Identity] | None = None
) -> Server:
    """Starts the cluster under `home`, made first if need be, and returns when it accepts queries.

    There is no time limit: recovery after a crash may take minutes, and every 10 s a line says so.
    `durable=False` is for clusters that are thrown away. The caller holds `LOCK`; the server ends with
    the thread that called. Raises PostgresError.
    """
    binaries = find_binaries()
    identity = settle(home, binaries, ways)
    data = home / "pg" / "data"
    if not data.exists():
        _initialise(data, binaries, identity, durable)
    _refuse_other_version(data, binaries)
    _clear_the_way(data)
    return Server(home, _launch(home, binaries, identity, SETTINGS | ({} if durable else THROW_AWAY), say))


def _initialise(data: Path, binaries: Path, identity: Identity, durable: bool) -> None:
    """initdb beside, then a rename: an interrupted first run leaves no half a cluster."""
    draft = data.with_name("draft")
    shutil.rmtree(draft, ignore_errors=True)
    command: list[str | Path] = [
        binaries / "initdb",
        "-D",
        draft,
        "-U",
        "sendarix",
        "-A",
        "trust",
        "-E",
        "UTF8",
    ]
    if major(binaries) >= 17:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    else:
        command += ["--locale=C", "--no-instructions"]
    if not durable:
        command.append("--no-sync")
    process = identity.spawn(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.communicate()[0].decode(errors="replace")
    if process.returncode:
        raise PostgresError(f"initdb failed in {draft}:\n{output[-2000:]}")
    draft.rename(data)


def _refuse_other_version(data: Path, binaries: Path) -> None:
    made_by, here = (data / "PG_VERSION").read_text().strip(), major(binaries)
    if made_by != str(here):
        raise PostgresError(
            f"{data} was made by PostgreSQL {made_by}, but {binaries} is {here}: "
            f"move it away, or dump and restore it with version {made_by}."
        )


def _clear_the_way(data: Path) -> None:
    """Waits for, then ends, a postmaster left by a killed owner; removes a pid file of another program."""
    pid = state.recorded_pid(data)
    if pid is None or not state.alive(pid):
        return
    if not state.serves(pid, data):
        (data / "postmaster.pid").unlink(missing_ok=True)
        return
    for number, seconds in ((0, 3.0), (signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0)):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not state.serves(pid, data):
                return
            time.sleep(0.02)
    raise PostgresError(f"Another PostgreSQL (pid {pid}) holds {data} and does not end.")


def _launch(home: Path, binaries: Path, identity: Identity, settings: dict[str, str], say: Say) -> Process:
    """Tries again with less memory where there is little, and while a predecessor's backends end (15 s)."""
    path, give_up = home / "pg" / "log", time.monotonic() + 15
    while True:
        with _open_log(path) as log:
            before = log.tell()
            process = _spawn(home, binaries, identity, settings, log)
            if _await_ready(process, home / "pg" / "data", say):
                return process
        complaint = _tail(path, before)
        if "map anonymous shared memory" in complaint and settings["shared_buffers"] != SMALL_BUFFERS:
            settings["shared_buffers"] = SMALL_BUFFERS
        elif time.monotonic() > give_up or not re.search("still in use|already exists", complaint):
            raise PostgresError(f"PostgreSQL did not start ({path}):\n{complaint}")
        time.sleep(0.2)


def _spawn(home: Path, binaries: Path, identity: Identity, settings: dict[str, str], log: IO[bytes]) -> Process:
    options = [f"--{name}={value}" for name, value in settings.items()]
    command: list[str | Path] = [
        binaries / "postgres",
        "-D",
        home / "pg" / "data",
        "-k",
        socket_directory(home),
        *options,
    ]
    process = identity.spawn(command, stdout=log, stderr=log)
    if not LINUX:
        _tether(process)
    return process


def _tether(process: Process) -> None:
    """Without PR_SET_PDEATHSIG: a shell reads our pipe to its end, our death, and stops the server."""
    script = f"cat >/dev/null; kill -INT {process.pid}"
    watcher = subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True)
    process.tether = watcher  # type: ignore[attr-defined]  # the pipe stays open as long as the process object


def _await_ready(process: Process, data: Path, say: Say) -> bool:
    """True when it serves, False when it ended instead. Whatever interrupts the waiting ends the process."""
    began = told = time.monotonic()
    try:
        while not state.ready(data, process.pid):
            if process.poll() is not None:
                return False
            if time.monotonic() - told > 10:
                told = time.monotonic()
                say(f"PostgreSQL is still starting (recovery after a crash?), {told - began:.0f} s so far")
            time.sleep(0.01)
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    return True


def _open_log(path: Path) -> IO[bytes]:
    with suppress(FileNotFoundError):
        if path.stat().st_size > LOG_BYTES:
            path.rename(path.with_name("log.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _tail(path: Path, offset: int) -> str:
    with path.open("rb") as log:
        log.seek(offset)
        return log.read()[-2000:].decode(errors="replace")
