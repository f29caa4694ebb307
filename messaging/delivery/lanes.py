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

from messaging.delivery.breaker import UNREACHABLE, asked_to_wait
from messaging.delivery.outcomes import Cause, Outcome, Verdict
from messaging.delivery.queue import Claim
from messaging.delivery.routing import Choice, Route
from messaging.models import Tier

FIRST_CONNECTIONS = 4
"""Where a lane starts. Each success allows one more until it nears its limit (half of its connections, or what it was cut to
last), from then on one more for each round of successes. A deferral for rate or reputation cuts it to half, a failure to
connect to one."""

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

TOO_MUCH = {Cause.RATE_LIMITED, Cause.REPUTATION}


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
    destination: str


@dataclass(slots=True)
class Turns:
    """Times to come back, one after another: within a tier in order, a lower tier's after those above it, so that a long backlog
    returns at a pace of its own instead of all at once."""

    _last: list[float] = field(default_factory=lambda: [0.0] * len(Tier))

    def next(self, tier: int, now: float, soonest: float, gap: float) -> float:
        """Seconds from `now` until the next turn of the tier: `gap` after the last one, and not before `soonest` seconds."""
        self._last[tier] = max(now + soonest, *self._last[: tier + 1]) + gap
        return self._last[tier] - now


@dataclass(slots=True)
class Lane:
    """The jobs of one destination and the carriers at work on them: highest tier first, within it first come first."""

    connections: int
    open_carrier: Callable[[], Carrier]
    carry: Callable[[Carrier, Job], Awaitable[Outcome]]
    held: int = 0
    _allowed: int = 0
    _steep_until: int = 0
    _successes: int = 0
    _cut_at: float = 0.0
    _carrying: int = 0
    _idle: int = 0
    _service: float = 0.01
    _progressed: float = 0.0
    _nudged: float = 0.0
    _turns: Turns = field(default_factory=Turns)
    _quiet: list[float] = field(default_factory=lambda: [0.0] * len(Tier))
    _waiting: list[tuple[int, int, Job]] = field(default_factory=list)
    _by_tier: list[int] = field(default_factory=lambda: [0] * len(Tier))
    _order: itertools.count = field(default_factory=itertools.count)
    _carriers: set[asyncio.Task] = field(default_factory=set)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._allowed = min(FIRST_CONNECTIONS, self.connections)
        self._steep_until = max(self._allowed, self.connections // 2)
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

    def quiet(self, tier: int) -> float:
        """Seconds for which the destination asked that mail of this tier is held back."""
        return max(0.0, self._quiet[tier] - monotonic())

    def pause(self, tier: int, ahead: int) -> tuple[float, str]:
        """Seconds until a message behind `ahead` others of this lane is worth claiming, and why; 0 while there is room."""
        capacity, quiet = self.capacity, self.quiet(tier)
        room = min(DEEPEST, max(2 * self.connections, DEEP * capacity))
        if quiet:
            return self._turns.next(tier, monotonic(), quiet, 1 / capacity), "asked to be left alone"
        if ahead <= room:
            return 0.0, ""
        turn = self._turns.next(tier, monotonic(), room / capacity, 1 / capacity)
        return min(LONGEST_PAUSE, max(SHORTEST_PAUSE, turn)), "is busy"

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

    def take_waiting(self, unwanted: Callable[[Job], bool] = lambda job: True) -> list[Job]:
        """Give up the jobs, of those that no carrier has begun, that are not wanted here; in order."""
        taken = sorted(entry for entry in self._waiting if unwanted(entry[2]))
        if taken:
            self._waiting = [entry for entry in self._waiting if not unwanted(entry[2])]
            heapq.heapify(self._waiting)
        for tier, _, _ in taken:
            self._by_tier[tier] -= 1
        self.held -= len(taken)
        return [job for _, _, job in taken]

    def take_quiet(self) -> list[Job]:
        """Give up those whose tier the destination asked to hold back."""
        now = monotonic()
        if not self._waiting or self._quiet[-1] <= now:
            return []
        return self.take_waiting(lambda job: self._quiet[job.claim.tier] > now)

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
                self._learn(outcome, job, started)
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

    def _learn(self, outcome: Outcome, job: Job, started: float) -> None:
        self._progressed = monotonic()
        took = max(self._progressed - started, 0.001)
        self._service = min(took, self._service + 0.1 * (took - self._service))
        deferred = outcome.verdict == Verdict.DEFERRED
        if deferred and (wait := asked_to_wait(outcome)):
            for tier in range(job.claim.tier, len(Tier)):
                self._quiet[tier] = max(self._quiet[tier], self._progressed + wait)
        if deferred and outcome.cause in UNREACHABLE:
            self._allowed = 1
        elif deferred and outcome.cause in TOO_MUCH:
            self._cut(started)
        elif self._allowed < self.connections:
            self._grow()

    def _cut(self, started: float) -> None:
        """To half, once for all the attempts that were under way together."""
        if started >= self._cut_at:
            self._cut_at = self._progressed
            self._allowed = self._steep_until = max(1, self._allowed // 2)

    def _grow(self) -> None:
        self._successes += 1
        if self._allowed >= self._steep_until and self._successes < self._allowed:
            return
        self._successes = 0
        self._allowed += 1
        if not self._idle:
            self._start_if_allowed()
