"""Turns at what may hold a web thread for seconds: waiting for the name servers and hosts that a customer names. Nobody waits for
a turn: who gets none is told so at once, because a thread that waits for a turn is as lost as one that has it."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from sendarix.core.errors import Unavailable


class Turns:
    """At most `most` at once in this process, and `each` of one account, so that no account takes all of them."""

    def __init__(self, most: int, each: int) -> None:
        self.most, self.each = most, each
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, account_id: int) -> Iterator[None]:
        """Raises Unavailable (busy) at once when there is none."""
        self._take(account_id)
        try:
            yield
        finally:
            with self._lock:
                self._taken -= Counter((account_id,))

    def _take(self, account_id: int) -> None:
        with self._lock:
            if self._taken[account_id] >= self.each:
                message = f"{self.each} calls of this account wait for name servers or hosts already."
            elif self._taken.total() >= self.most:
                message = "Too many calls wait for name servers and hosts at this moment."
            else:
                self._taken[account_id] += 1
                return
        raise Unavailable(code="busy", message=message)


def _share(threads: int) -> Turns:
    """A third of a process's threads may wait outside, half of those for one account."""
    most = max(1, threads // 3)
    return Turns(most, max(1, most // 2))


outside = _share(settings.WEB_THREADS)
"""Of all calls that look up names or connect at a customer's word."""
