"""Keeps child processes running in the foreground: restarts those that end, ends them all.

Each child leads a session of its own, so that Ctrl-C reaches only us and its whole group can be killed.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from select import select

import psutil

from sendarix.core.processes import adopt_orphans, die_with_parent

GRACE = 13.0  # seconds between TERM and KILL: the worker gives its drains 12 s to put down what they hold
STEADY = 30.0  # after so long a life the next restart is at once again
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Say = Callable[[str], None]


class Stopped(BaseException):
    """A signal asked us to end. Not an Exception: nothing on the way may swallow it."""


@contextmanager
def endings() -> Iterator[int]:
    """For the block, ENDINGS raise Stopped once and are ignored after that (SIGHUP always, under nohup).

    Yields a descriptor for `pause`. Main thread only.
    """

    def stop(number: int, frame: object) -> None:
        for each in ENDINGS:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped

    handlers = {number: stop for number in ENDINGS if signal.getsignal(number) is not signal.SIG_IGN}
    handlers |= {signal.SIGINT: stop, signal.SIGTERM: stop, signal.SIGCHLD: lambda number, frame: None}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    try:
        yield readable
    finally:
        signal.set_wakeup_fd(-1)
        os.close(readable)
        os.close(writable)
        for number, handler in before.items():
            signal.signal(number, handler)


def pause(wakeup: int, seconds: float) -> None:
    """Sleeps until the time is over or a signal arrives."""
    if select([wakeup], [], [], seconds)[0]:
        os.read(wakeup, 4096)


class Child:
    """A process that must be there: how to start it, and the one that runs now, if any."""

    def __init__(self, name: str, argv: Sequence[str]) -> None:
        self.name, self.argv = name, argv
        self.process: subprocess.Popen[bytes] | None = None
        self.not_before, self._began = 0.0, time.monotonic()
        self._failures = 0

    def start(self, environment: Mapping[str, str]) -> int:
        parent = os.getpid()
        self.process = subprocess.Popen(
            self.argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGTERM, parent),
        )
        self._began = time.monotonic()
        return self.process.pid

    def ended(self) -> int | None:
        """The exit code once it has ended (negative: the signal). The rest of its group is killed then."""
        if self.process is None or self.process.returncode is not None:
            return self.process.returncode if self.process else 0
        if not os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return None
        self.kill_group()  # while the zombie still holds the group's number
        return self.process.wait()

    def kill_group(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def bury(self) -> float:
        """Forgets the ended process. Returns the seconds until the next start: 0, then 0.5, 1, 2, 4, 5."""
        now = time.monotonic()
        if now - self._began >= STEADY:
            self._failures = 0
        wait = min(5.0, 0.25 * 2**self._failures) if self._failures else 0.0
        self._failures += 1
        self.not_before, self.process = now + wait, None
        return wait


class Supervisor:
    """Keeps `children` running between `start` and `stop`. `spared` are pids that it leaves alone."""

    def __init__(
        self,
        children: Sequence[Child],
        environment: Mapping[str, str],
        say: Say,
        spared: Callable[[], set[int]] = set,
        grace: float = GRACE,
    ) -> None:
        self._children, self._environment, self._say = children, environment, say
        self._spared, self._grace = spared, grace

    def start(self) -> None:
        adopt_orphans()
        self.tend()

    def tend(self) -> None:
        """Starts what is not there, as soon as its time has come. Never blocks."""
        for child in self._children:
            if child.process is not None and (code := child.ended()) is not None:
                self._bury(child, code)
            if child.process is None and time.monotonic() >= child.not_before:
                self._say(f"{child.name} started, pid {child.start(self._environment)}")
        self._reap_orphans()

    def stop(self) -> None:
        """TERM to each main process only, KILL to the groups after `grace`, then to what left its group."""
        living = [child for child in self._children if child.process is not None]
        for child in living:
            if child.process is not None:
                child.process.terminate()
        end = time.monotonic() + self._grace
        while (living := [child for child in living if child.ended() is None]) and time.monotonic() < end:
            time.sleep(0.02)
        for child in living:
            self._say(f"{child.name} did not end in {self._grace:.0f} s: killed")
            child.kill_group()
            if child.process is not None:
                child.process.wait()
        self._kill_escaped()

    def _bury(self, child: Child, code: int) -> None:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        wait = child.bury()
        self._say(f"{child.name} {how}; it starts again" + (f" in {wait:.1f} s" if wait else ""))

    def _reap_orphans(self) -> None:
        """Orphans that came to us leave zombies that nobody else would collect."""
        known = self._spared() | {child.process.pid for child in self._children if child.process is not None}
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with suppress(ChildProcessError):
            while (found := os.waitid(os.P_ALL, 0, flags)) and found.si_pid not in known:
                os.waitpid(found.si_pid, 0)

    def _kill_escaped(self) -> None:
        """A killed child may leave processes in groups of their own; each round adopts the next layer."""
        for _ in range(20):
            strays = [each for each in psutil.Process().children() if each.pid not in self._spared()]
            for stray in strays:
                for each in (*stray.children(recursive=True), stray):
                    with suppress(psutil.NoSuchProcess):
                        each.kill()
            if not strays:
                return
            psutil.wait_procs(strays, timeout=1)
