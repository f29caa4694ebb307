"""Turns at what may hold a web thread for seconds: so many at a time in one process, and 503 `busy` for who waits too long."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sendarix.core.errors import Unavailable


class Turns:
    """At most `most` at once; another one waits up to `wait` seconds for its turn, and is told `message` then."""

    def __init__(self, most: int, wait: float, message: str) -> None:
        self.most = most
        self.wait = wait
        self._message = message
        self._free = threading.BoundedSemaphore(most)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Raises Unavailable (busy)."""
        if not self._free.acquire(timeout=self.wait):
            raise Unavailable(code="busy", message=self._message)
        try:
            yield
        finally:
            self._free.release()
