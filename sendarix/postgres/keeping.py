"""The embedded PostgreSQL of a long-lived owner, started again when it ends by itself."""

import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from sendarix import locks
from sendarix.postgres import server
from sendarix.postgres.place import PostgresError

PATIENCE = 10.0  # seconds for a manage.py command that runs the server to end


class Keeper:
    """Runs the server under `home` for the block; guests of other commands lose it at the end."""

    def __init__(self, home: Path, say: server.Say) -> None:
        self._home, self._say = home, say
        self._stack = ExitStack()
        self._server: server.Server | None = None

    def __enter__(self) -> Self:
        self._take_lock()
        with self._stack:
            self._server = server.start(self._home, say=self._say)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        with self._stack:
            if self._server is not None:
                self._server.stop()

    def pids(self) -> set[int]:
        return {self._server.process.pid} if self._server else set()

    def tend(self) -> None:
        """Starts the server again if it has ended; blocks until it serves. Raises PostgresError."""
        if self._server is not None and (code := self._server.process.poll()) is not None:
            self._say(f"PostgreSQL ended ({code}); it starts again")
            self._server = None
            self._server = server.start(self._home, say=self._say)

    def _take_lock(self) -> None:
        path, end = self._home / server.LOCK, time.monotonic() + PATIENCE
        while not self._stack.enter_context(locks.exclusive(path)):
            self._stack.close()
            if time.monotonic() > end:
                raise PostgresError(
                    f"Another command (pid {locks.holder(path)}) runs the embedded database in {self._home}; "
                    f"end it first."
                )
            time.sleep(0.1)
