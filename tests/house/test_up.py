"""`manage.py up` as a user sees it: one command that starts everything, keeps it there and takes all of it away."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

PATIENCE = 90.0
"""Seconds for anything to come about."""

UP = [sys.executable, str(Path(__file__).resolve().parents[2] / "manage.py"), "up"]


class House:
    """A running `up` on a SENDARIX_HOME and a port of its own."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.port = home, port
        self.log = home / f"log-{port}"
        self.environment = os.environ | {"SENDARIX_HOME": str(home), "PORT": str(port)}
        del self.environment["DATABASE_URL"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(UP, env=self.environment, stdout=log, stderr=subprocess.STDOUT)

    @property
    def text(self) -> str:
        return self.log.read_text()

    def family(self) -> dict[int, psutil.Process]:
        return {each.pid: each for each in psutil.Process(self.process.pid).children(recursive=True)}

    def child(self, word: str) -> psutil.Process:
        found = [each for each in psutil.Process(self.process.pid).children() if word in " ".join(each.cmdline())]
        assert len(found) == 1, found
        return found[0]


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return met


def all_gone(family: dict[int, psutil.Process]) -> bool:
    return not [each for each in family.values() if each.is_running()]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="sendarix-up-"))
    yield home
    shutil.rmtree(home)


@contextmanager
def started(home: Path) -> Iterator[House]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    house = House(home, port)
    family: dict[int, psutil.Process] = {}
    try:
        assert eventually(lambda: "Send one yourself" in house.text, PATIENCE), house.text
        family = house.family()
        yield house
    finally:
        house.process.kill()
        house.process.wait()
        assert eventually(lambda: all_gone(family), PATIENCE)


@pytest.fixture
def house(home: Path) -> Iterator[House]:
    with started(home) as house:
        yield house


@pytest.fixture(scope="module")
def again(home: Path) -> Iterator[House]:
    """A later run, for all tests that leave it running, and the last one."""
    with started(home) as house:
        yield house


def test_the_first_run_delivers_a_message_and_sigterm_ends_every_process(house: House) -> None:
    assert "delivered in" in house.text
    assert f"http://127.0.0.1:{house.port}/inbox" in house.text
    family = house.family()
    assert len(family) >= 10
    house.process.terminate()
    assert house.process.wait(PATIENCE) == 0
    assert all_gone(family)


def test_it_starts_again_on_the_same_data_and_brings_back_what_dies(again: House) -> None:
    assert "First message" not in again.text
    web, server = again.child("gunicorn"), again.child("postgres")
    web.kill()
    server.kill()
    assert eventually(lambda: again.text.count("web started") == 2, PATIENCE), again.text
    assert eventually(lambda: answers(again.port), PATIENCE)
    assert again.child("gunicorn").pid != web.pid
    assert again.child("postgres").pid != server.pid


def answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_second_one_on_the_same_home_refuses(again: House) -> None:
    second = subprocess.run(UP, env=again.environment, capture_output=True, text=True, timeout=PATIENCE)
    assert second.returncode == 1
    assert f"already runs on {again.home} (pid {again.process.pid})" in second.stderr


def test_sigkill_leaves_nothing(again: House) -> None:
    family = again.family()
    again.process.send_signal(signal.SIGKILL)
    assert eventually(lambda: all_gone(family), PATIENCE)


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        environment = os.environ | {"SENDARIX_HOME": str(tmp_path), "PORT": str(port)}
        del environment["DATABASE_URL"]
        answer = subprocess.run(UP, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert answer.returncode == 1
    assert f"Port {port} is taken" in answer.stderr
    assert not (tmp_path / "pg").exists()
