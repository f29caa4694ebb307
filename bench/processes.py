"""Processes of a bench: each leads a session of its own, logs to a file, ends with us or before us, by its own id."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from sendarix.core.processes import die_with_parent, kill_group

ROOT = Path(__file__).resolve().parent.parent


class Left(Exception):
    """A part can't be measured here; the message says what it needs."""


def need(*programs: str, package: str) -> None:
    """Raises Left when one of Debian's programs is missing."""
    missing = [name for name in programs if program(name) is None]
    if missing:
        raise Left(f"needs {', '.join(missing)}: apt-get install {package}")


def program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


class Process:
    """One running program and everything it started."""

    def __init__(
        self, argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None, user: str | None = None
    ) -> None:
        parent = os.getpid()
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                argv,
                cwd="/" if user else ROOT,
                env=environment,
                user=user,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(signal.SIGTERM, parent),
            )
        self.log = log
        self.pid = self._process.pid

    def stop(self, patience: float = 20.0) -> None:
        """TERM to the main process, KILL to what is left of its tree after `patience` seconds."""
        tree = self.tree()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        kill_group(self.pid)
        self._process.wait()
        _, left = psutil.wait_procs(tree, timeout=2)
        for each in left:
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def tree(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            main = psutil.Process(self.pid)
            return [main, *main.children(recursive=True)]
        return []

    def must_run(self) -> None:
        """RuntimeError with the end of its log if it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.log.stem} has ended:\n{self.log.read_text(errors='replace')[-2000:]}")


def cpu_seconds(tree: Sequence[psutil.Process]) -> float:
    """Processor seconds that these processes and their ended children have used so far."""
    total = 0.0
    for each in tree:
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def wait_for(happened: Callable[[], bool], seconds: float, what: str, every: float = 0.05) -> None:
    """Returns once `happened`; RuntimeError naming `what` after `seconds`."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise RuntimeError(f"no {what} within {seconds:.0f} s")
        time.sleep(every)


def wait_for_port(port: int, process: Process, seconds: float = 30.0) -> None:
    def listens() -> bool:
        process.must_run()
        with socket.socket() as trial:
            return trial.connect_ex(("127.0.0.1", port)) == 0

    wait_for(listens, seconds, f"answer of {process.log.stem} on port {port}")
