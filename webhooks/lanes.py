"""The lane of one endpoint: what is next, how much goes out at a time, and when to leave it alone. A lane knows no tables."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from webhooks import verdicts
from webhooks.holds import Due, Endpoint
from webhooks.verdicts import Verdict

WIDEST = 10
"""POSTs under way to one endpoint at most."""

BACKLOG = 20
"""Deliveries waiting beyond which a lane becomes wider with each success."""


FIRST = 30
"""Deliveries read when a lane opens."""


@dataclass(frozen=True, slots=True)
class Item:
    """A due delivery and what it says; `event_id` and `body` are None when its event is gone."""

    due: Due
    event_id: str | None
    body: bytes


Carry = Callable[["Lane", Item], Coroutine[Any, Any, None]]
"""One try: post, call Lane.conclude, and have the result written."""


class Lane:
    """Deliveries of one endpoint in order. Of one message never two are under way; across messages they are begun in order.

    `grows(lane)`: whether there is room for one more POST beyond the first."""

    def __init__(self, endpoint: Endpoint, carry: Carry, grows: Callable[[], bool]) -> None:
        self.endpoint = endpoint
        self.width = 1
        self.failures = endpoint.failures
        self.closed = False
        self.known: set[int] = set()
        self.idle_since = 0.0
        self._pause: float | None = None
        self._carry = carry
        self._grows = grows
        self._waiting: deque[Item] = deque()
        self._under_way: dict[asyncio.Task[None], str | None] = {}

    @property
    def room(self) -> int:
        """How many more deliveries it is worth reading now; 0 while there is enough."""
        wanted = BACKLOG + 10 * self.width
        return 0 if self.closed or len(self._waiting) > wanted // 2 else wanted - len(self._waiting)

    @property
    def busy(self) -> int:
        """POSTs under way."""
        return len(self._under_way)

    @property
    def empty(self) -> bool:
        """Nothing under way, nothing next, nothing unwritten."""
        return not self.known

    def add(self, item: Item) -> None:
        self.known.add(item.due.id)
        self._waiting.append(item)

    def pump(self) -> None:
        """Begin whatever may begin now."""
        while not self.closed and self._waiting and self._may_begin() and (item := self._next()):
            task = asyncio.create_task(self._carry(self, item))
            self._under_way[task] = item.due.message_id
            task.add_done_callback(self._done)

    def conclude(self, verdict: Verdict) -> float | None:
        """Take account of a try; the seconds for which nothing more goes out, if any: the lane is closed then."""
        if verdict.succeeded:
            self.failures = 0
            if len(self._waiting) > BACKLOG:
                self.width = min(WIDEST, self.width + 1)
            return None
        if self.closed:
            return self._pause  # begun with the one that closed it: no further sign
        self.width = 1
        if verdict.ours:
            self._pause = verdicts.OUR_PAUSE
        else:
            self.failures = self.failures + 1 if verdict.away else 0
            self._pause = verdicts.pause(self.failures, verdict.retry_after if verdict.away else None)
        if self._pause or verdict.gone:
            self.close()
        return self._pause

    def close(self) -> None:
        """Begin nothing more, and forget what was next."""
        self.closed = True
        self.known -= {item.due.id for item in self._waiting}
        self._waiting.clear()

    def abandon(self) -> None:
        """Break off what is under way: it will be posted again."""
        self.close()
        for task in self._under_way:
            task.cancel()

    def _may_begin(self) -> bool:
        return not self._under_way or (len(self._under_way) < self.width and self._grows())

    def _next(self) -> Item | None:
        """The first whose message has none under way and none before it."""
        held_up = set(self._under_way.values()) - {None}
        for place, item in enumerate(self._waiting):
            if item.due.message_id not in held_up:
                del self._waiting[place]
                return item
            held_up.add(item.due.message_id)
        return None

    def _done(self, task: "asyncio.Task[None]") -> None:
        del self._under_way[task]
        self.pump()
