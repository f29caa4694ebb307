"""One lane per destination: who goes next, over how many connections. A lane never waits for another one, which is what keeps a
slow or dead destination from slowing the rest."""

import asyncio
import heapq
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from messaging.delivery.breaker import UNREACHABLE, asked_to_wait
from messaging.delivery.outcomes import Cause, Outcome, Verdict
from messaging.delivery.queue import Claim
from messaging.delivery.routing import Choice
from messaging.delivery.ways import Route
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

MOST_KNOWN = 1_000
"""Accounts whose place in a line is remembered until it has no meaning any more."""

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

    def waited_for(self, now: float) -> bool:
        return max(self._last) > now

    def next(self, tier: int, now: float, soonest: float, gap: float) -> float:
        """Seconds from `now` until the next turn of the tier: `gap` after the last one, and not before `soonest` seconds."""
        self._last[tier] = max(now + soonest, *self._last[: tier + 1]) + gap
        return self._last[tier] - now


@dataclass(slots=True)
class Line:
    """Jobs in the order in which they leave: highest tier first; within it the accounts one after another, each in its own order,
    so that whoever comes to a long line with one message goes next."""

    _heap: list[tuple[int, int, int, Job]] = field(default_factory=list)
    _order: itertools.count = field(default_factory=itertools.count)
    _by_tier: list[int] = field(default_factory=lambda: [0] * len(Tier))
    _round: list[int] = field(default_factory=lambda: [0] * len(Tier))
    _last: dict[tuple[int, int], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, job: Job) -> None:
        tier, account = job.claim.tier, job.claim.account_id
        turn = self._last[tier, account] = self._next_round(tier, account)
        heapq.heappush(self._heap, (tier, turn, next(self._order), job))
        self._by_tier[tier] += 1
        if len(self._last) > MOST_KNOWN:
            self._last = {key: last for key, last in self._last.items() if last >= self._round[key[0]]}

    def pop(self) -> Job:
        tier, turn, _, job = heapq.heappop(self._heap)
        self._round[tier] = turn
        self._by_tier[tier] -= 1
        return job

    def up_to(self, tier: int) -> int:
        """Jobs of this tier and those above it."""
        return sum(self._by_tier[: tier + 1])

    def before(self, tier: int, account_id: int, own: int) -> int:
        """Jobs that go before a new one of this account, behind `own` others of it that are to come."""
        turn = self._next_round(tier, account_id) + own
        return sum(entry[:2] <= (tier, turn) for entry in self._heap)

    def take(self, unwanted: Callable[[Job], bool]) -> list[Job]:
        """Take those out; the others stay in their order."""
        entries = sorted(self._heap)
        taken = [entry[3] for entry in entries if unwanted(entry[3])]
        if taken:
            kept = [entry[3] for entry in entries if not unwanted(entry[3])]
            self._heap, self._by_tier, self._last = [], [0] * len(Tier), {}
            for job in kept:
                self.add(job)
        return taken

    def _next_round(self, tier: int, account_id: int) -> int:
        return max(self._round[tier], self._last.get((tier, account_id), -1) + 1)


@dataclass(slots=True)
class Lane:
    """The jobs of one destination and the carriers at work on them."""

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
    _turns: defaultdict[int, Turns] = field(default_factory=lambda: defaultdict(Turns))
    _quiet: list[float] = field(default_factory=lambda: [0.0] * len(Tier))
    _waiting: Line = field(default_factory=Line)
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

    def quiet(self, tier: int) -> float:
        """Seconds for which the destination asked that mail of this tier is held back."""
        return max(0.0, self._quiet[tier] - monotonic())

    def pause(self, tier: int, account_id: int, taken: int = 0, own: int = 0) -> tuple[float, str]:
        """Seconds until a message of this account is worth claiming, and why, with `{route}` for the route's name; 0 while there
        is room for it. `taken` others are about to be added, `own` of them of the account."""
        capacity, quiet = self.capacity, self.quiet(tier)
        room = min(DEEPEST, max(2 * self.connections, DEEP * capacity))
        if quiet:
            return self._turn(tier, account_id, quiet), "route {route} asked to be left alone"
        under_way = self.held - len(self._waiting)
        if (
            under_way + self._waiting.up_to(tier) + taken < room
            or under_way + self._waiting.before(tier, account_id, own) + own < room
        ):
            return 0.0, ""
        return min(
            LONGEST_PAUSE, max(SHORTEST_PAUSE, self._turn(tier, account_id, room / capacity))
        ), "route {route} is busy"

    def _turn(self, tier: int, account_id: int, soonest: float) -> float:
        """Each account has turns of its own; together they come as fast as the lane carries."""
        now, turns = monotonic(), self._turns[account_id]
        others = sum(each.waited_for(now) for each in self._turns.values() if each is not turns)
        return turns.next(tier, now, soonest, (1 + others) / self.capacity)

    def add(self, job: Job) -> None:
        if not self.held:
            self._progressed = monotonic()
        self.held += 1
        self._waiting.add(job)
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
        taken = self._waiting.take(unwanted)
        self.held -= len(taken)
        return taken

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
        return self._waiting.pop()

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
