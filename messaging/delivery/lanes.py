"""One lane per destination: who goes next, over how many connections. A lane never waits for another one, which is what keeps a
slow or dead destination from slowing the rest."""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from messaging.delivery.outcomes import Cause, Outcome, Verdict
from messaging.delivery.queue import Claim
from messaging.delivery.routing import Choice, Route
from messaging.models import Tier

FIRST_CONNECTIONS = 4
"""Where a lane starts; each success allows one more, a failure to connect leaves one."""

IDLE = 1.0
"""Seconds a carrier keeps its connection for a next message."""

PATIENCE = 0.5
"""Seconds that messages wait for busy connections until one more is opened: a slow answer is no reason to hold others up."""

STUCK = 2.0
"""Seconds without any end of an attempt, after which a lane counts as stuck rather than as slow or just beginning."""

DEEP = 10.0
"""Seconds of its own work that a lane may hold, and never more than DEEPEST messages."""

DEEPEST = 300
"""Messages one lane holds at most; what is due beyond that stays in the queue."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 30.0
"""Seconds between which a paced message is looked at again."""

UNREACHABLE = {Cause.CONNECTION, Cause.TIMEOUT, Cause.DNS, Cause.TLS, Cause.AUTH}


class Carrier(Protocol):
    """Takes messages of one lane to their destination, one after another; may keep a connection between them."""

    async def deliver(self, claim: Claim, mark: Callable[[], Awaitable[bool]]) -> Outcome: ...

    async def close(self) -> None: ...


@dataclass(slots=True)
class Job:
    """A claimed message on its way."""

    claim: Claim
    route: Route
    choice: Choice


@dataclass(slots=True)
class Lane:
    """The jobs of one destination and the carriers at work on them: highest tier first, within it first come first."""

    connections: int
    open_carrier: Callable[[], Carrier]
    carry: Callable[[Carrier, Job], Awaitable[Outcome]]
    held: int = 0
    _allowed: int = 0
    _carrying: int = 0
    _idle: int = 0
    _service: float = 0.01
    _progressed: float = 0.0
    _nudged: float = 0.0
    _slots: list[float] = field(default_factory=lambda: [0.0] * len(Tier))
    _waiting: list[tuple[int, int, Job]] = field(default_factory=list)
    _by_tier: list[int] = field(default_factory=lambda: [0] * len(Tier))
    _order: itertools.count = field(default_factory=itertools.count)
    _carriers: set[asyncio.Task] = field(default_factory=set)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._allowed = min(FIRST_CONNECTIONS, self.connections)
        self._progressed = monotonic()

    @property
    def capacity(self) -> float:
        """Messages per second it could take now: from the time an attempt takes, or, once that is long, has been taking."""
        silence = monotonic() - self._progressed if self._carrying > self._idle else 0.0
        return self._allowed / (silence if silence > STUCK else self._service)

    @property
    def load(self) -> float:
        """Held messages that will soon be done: what a worker counts against its room. A stuck lane weighs nothing."""
        return min(self.held, self.capacity)

    def ahead(self, tier: int) -> int:
        """Messages that go before a new one of this tier: all on their way, and those waiting in its tier or a higher one."""
        return self.held - sum(self._by_tier[tier + 1 :])

    def pause(self, tier: int, ahead: int) -> float:
        """Seconds until a message behind `ahead` others of this lane is worth claiming; 0 while there is room.

        Each message sent back gets the slot after the last one's of its tier and those above, so that a long backlog comes
        back in order and at the lane's own pace instead of all at once."""
        capacity = self.capacity
        room = min(DEEPEST, max(2 * self.connections, DEEP * capacity))
        if ahead <= room:
            return 0.0
        now = monotonic()
        self._slots[tier] = max(now + room / capacity, *self._slots[: tier + 1]) + 1 / capacity
        return min(LONGEST_PAUSE, max(SHORTEST_PAUSE, self._slots[tier] - now))

    def add(self, job: Job) -> None:
        self.held += 1
        heapq.heappush(self._waiting, (job.claim.tier, next(self._order), job))
        self._by_tier[job.claim.tier] += 1
        if self._idle:
            self._more.set()
        if len(self._waiting) > self._idle:
            self._start_if_allowed()

    def nudge(self) -> None:
        """Allow one more connection where messages have waited for busy ones without an end in sight."""
        now = monotonic()
        if self._waiting and self._allowed < self.connections and now - max(self._progressed, self._nudged) > PATIENCE:
            self._nudged = now
            self._allowed += 1
            self._start_if_allowed()

    def take_waiting(self) -> list[Job]:
        """Give up every job that no carrier has begun."""
        jobs = [job for _, _, job in self._waiting]
        self._waiting.clear()
        self._by_tier = [0] * len(Tier)
        self.held -= len(jobs)
        return jobs

    async def close(self) -> None:
        for task in self._carriers:
            task.cancel()
        await asyncio.gather(*self._carriers, return_exceptions=True)

    def _start_if_allowed(self) -> None:
        if self._waiting and self._carrying < self._allowed:
            self._carrying += 1
            task = asyncio.create_task(self._run())
            self._carriers.add(task)
            task.add_done_callback(self._carriers.discard)

    async def _run(self) -> None:
        carrier = self.open_carrier()
        try:
            while (job := await self._next()) is not None:
                started = monotonic()
                outcome = await self.carry(carrier, job)
                self.held -= 1
                self._learn(outcome, monotonic() - started)
        finally:
            self._carrying -= 1
            self._start_if_allowed()
            await carrier.close()

    async def _next(self) -> Job | None:
        if self._carrying > self._allowed:
            return None
        if not self._waiting:
            self._idle += 1
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(IDLE):
                        while not self._waiting:
                            self._more.clear()
                            await self._more.wait()
            finally:
                self._idle -= 1
        if not self._waiting:
            return None
        tier, _, job = heapq.heappop(self._waiting)
        self._by_tier[tier] -= 1
        return job

    def _learn(self, outcome: Outcome, took: float) -> None:
        self._progressed = monotonic()
        took = max(took, 0.001)
        self._service = min(took, self._service + 0.1 * (took - self._service))
        if outcome.verdict == Verdict.DEFERRED and outcome.cause in UNREACHABLE:
            self._allowed = 1
        elif self._allowed < self.connections:
            self._allowed += 1
            if not self._idle:
                self._start_if_allowed()
