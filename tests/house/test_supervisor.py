"""The supervisor against children that misbehave. Each test runs one in a process of its own, as it owns signals."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from sendarix.supervisor import Child

ROOT = Path(__file__).resolve().parents[2]
FRAME = """
import os, signal, sys, time
from sendarix.supervisor import Child, Stopped, Supervisor, endings, pause
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
said = []
def python(name, code): return Child(name, [sys.executable, "-c", code])
def say(line): said.append((time.monotonic(), line)); print(line, flush=True)
TELL = f"open({sys.argv[1]!r}, 'a').write('x'); "
def told(times=1): return os.path.exists(sys.argv[1]) and os.path.getsize(sys.argv[1]) >= times
def run(children, until=told, grace=1.0):
    supervisor = Supervisor(children, dict(), say, grace=grace)
    with endings() as wakeup:
        try:
            supervisor.start()
            while not until():
                pause(wakeup, 0.05)
                supervisor.tend()
        except Stopped:
            print("stopped")
        began = time.monotonic()
        supervisor.stop()
        print(f"took {time.monotonic() - began:.1f}")
"""
"""`run` supervises until a child that runs TELL has got there, or `until` holds, or a signal came."""


def run(code: str, told: Path) -> str:
    script = FRAME + textwrap.dedent(code)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        [sys.executable, "-c", script, str(told)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert answer.stderr == ""
    return answer.stdout


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told"


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(told: Path) -> None:
    text = run(
        """
        deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); " + TELL + "time.sleep(60)"
        run([python("deaf", deaf)])
        """,
        told,
    )
    assert "deaf did not end in 1 s: killed" in text
    assert 1.0 <= float(text.rpartition("took ")[2]) < 30


def test_what_left_its_childs_group_is_killed_too(told: Path) -> None:
    text = run(
        """
        escape = "import os, time; os.fork() or (os.setsid(), os.fork() and os._exit(0)); "
        run([python("parent", escape + "print(os.getpid(), flush=True); " + TELL + "time.sleep(60)")], lambda: told(2))
        """,
        told,
    )
    pids = [int(line) for line in text.splitlines() if line.isdecimal()]
    assert len(pids) == 2
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_a_child_that_ends_is_started_at_once_and_then_more_and_more_slowly(told: Path) -> None:
    text = run(
        """
        def starts(): return [at for at, line in said if line.startswith("short started")]
        run([python("short", "raise SystemExit(3)")], until=lambda: len(starts()) == 3)
        print("waited", starts()[2] - starts()[1])
        """,
        told,
    )
    assert text.count("short ended with code 3; it starts again\n") == 1
    assert text.count("it starts again in 0.5 s") == 1
    assert float(text.rpartition("waited ")[2]) >= 0.5


def test_restarts_wait_at_most_five_seconds() -> None:
    child = Child("any", [])
    assert [child.bury() for _ in range(7)] == [0.0, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_signal_stops_it_in_the_middle_of_a_pause(told: Path) -> None:
    text = run(
        """
        import threading
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGHUP)).start()
        run([python("quiet", "import time; time.sleep(60)")])
        """,
        told,
    )
    assert "stopped" in text
    assert "did not end" not in text
