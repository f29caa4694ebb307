"""One stage for all fault tests; each test gets it empty, with a mail server of its own, and leaves a line of figures."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.record import Sink
from tests.faults.stage import Stage

_lines: list[str] = []


@pytest.fixture(scope="package")
def _stage() -> Iterator[Stage]:
    home = Path(tempfile.mkdtemp(prefix="sendarix-faults-"))
    stage = Stage(home)
    try:
        yield stage
    finally:
        stage.close()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    yield _stage
    _stage.strike()


@pytest.fixture
def sink(stage: Stage) -> Iterator[Sink]:
    with Sink(stage.port) as server:
        yield server
        stage.end_actors()


@pytest.fixture
def note() -> Callable[[str], None]:
    """Keeps a line of figures for the end of the run."""
    return _lines.append


def pytest_terminal_summary(terminalreporter) -> None:
    if _lines:
        terminalreporter.section("faults")
        for line in _lines:
            terminalreporter.write_line(line)
