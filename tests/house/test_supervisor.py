"""The supervisor against children that misbehave. Each test runs one in a process of its own, as it owns signals."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil

from sendarix.supervisor import Child

ROOT = Path(__file__).resolve().parents[2]
FRAME = """
import sys, time
from sendarix.supervisor import Child, Stopped, Supervisor, endings, pause
def python(name, code): return Child(name, [sys.executable, "-c", code])
def run(children, seconds, grace=1.0):
    supervisor = Supervisor(children, dict(), lambda line: print(line, flush=True), grace=grace)
    with endings() as wakeup:
        try:
            supervisor.start()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                pause(wakeup, 0.05)
                supervisor.tend()
        except Stopped:
            print("stopped")
        began = time.monotonic()
        supervisor.stop()
        print(f"took {time.monotonic() - began:.1f}")
"""


def run(code: str) -> str:
    script = FRAME + textwrap.dedent(code)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    assert answer.stderr == ""
    return answer.stdout


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace() -> None:
    text = run("""
        run([python("deaf", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)")], 0.5)
    """)
    assert "deaf did not end in 1 s: killed" in text
    assert "took 1." in text


def test_what_left_its_childs_group_is_killed_too() -> None:
    text = run("""
        escape = "import os, time; os.fork() or (os.setsid(), os.fork() and os._exit(0)); "
        run([python("parent", escape + "print(os.getpid(), flush=True); time.sleep(60)")], 0.7)
    """)
    pids = [int(line) for line in text.splitlines() if line.isdecimal()]
    assert len(pids) == 2
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_a_child_that_ends_is_started_at_once_and_then_more_and_more_slowly() -> None:
    text = run("""run([python("short", "raise SystemExit(3)")], 1.0)""")
    assert text.count("short ended with code 3; it starts again\n") == 1
    assert "it starts again in 0.5 s" in text
    assert text.count("short started") == 3


def test_restarts_wait_at_most_five_seconds() -> None:
    child = Child("any", [])
    assert [child.bury() for _ in range(7)] == [0.0, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_signal_stops_it_in_the_middle_of_a_pause() -> None:
    text = run("""
        import os, signal, threading
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGHUP)).start()
        run([python("quiet", "import time; time.sleep(60)")], 20)
    """)
    assert "stopped" in text
    assert "took 0." in text
