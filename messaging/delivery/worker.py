"""A drain: claims what is due, hands it to lanes, writes down what came of it, and ends when nothing is due or its time is up.
Read `run` first: it is the way of a message through delivery."""

import asyncio
import contextlib
import gc
import logging
import os
import socket
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random
from secrets import token_hex
from time import monotonic

import uvloop
from django.conf import settings
from django.db import Error, connection, transaction

from messaging import lifecycle
from messaging.delivery import beats, lanes, pacing, queue, routebook, routing, transports, ways
from messaging.delivery.hosting import Hosting
from messaging.delivery.lanes import Job, Lane, Turns
from messaging.delivery.ledger import Ledger, Result
from messaging.delivery.outcomes import Cause, Outcome, Phase, Verdict
from messaging.delivery.policy import Policy, day_caps
from messaging.delivery.queue import Claim
from messaging.delivery.tallies import Seen, Unused
from messaging.delivery.ways import Snapshot
from messaging.models import Status, Tier
from sendarix.core import jobs
from sendarix.core.grouping import reconnecting
from sendarix.core.statements import tune_connections

logger = logging.getLogger(__name__)

ROOM = 300
"""Messages one process holds that will soon be done (Lane.load); small, so that a critical one never waits behind many."""

BATCH = 100
"""Messages per claim: larger ones make the marks of running sessions wait behind them."""

POLL = 0.01
"""Seconds between looks while nothing is due; LINGER seconds of nothing end the drain."""

COMMIT = 0.02
"""Seconds that the commit of an acceptance may take without its message having to wait for the dispatcher."""

REFILL = 0.1
"""Longest time in seconds between looks, however little room there is, and below beats.LOOK."""

URGENT = (Tier.CRITICAL,)
HASTE = 0.02
"""Seconds between looks for urgent messages. They do not wait for room, up to BATCH above it, nor behind a claim of many."""

LINGER = 1.0

WIND_DOWN = 1.0
"""Seconds a drain whose time is up waits for what it holds; then it goes on, because nobody must wait for slow destinations."""

SHORTEST_SHARE = 0.75
"""Of its time that a drain takes at least: drains that began together end one after another, so that one of them looks while the
others finish what they hold and hand over."""

LONGEST = 1200.0
"""Seconds after which a drain takes no more, however slow what it holds."""

SPREAD, MOST_SPREAD = 0.01, 60.0
"""Seconds between two messages that wait for the same paths to rest, and for which the last of many waits longer."""

SWITCH = 0.0005
"""Seconds after which a busy thread lets another have the interpreter: marks must not wait 5 ms for the loop."""


class Threads:
    """The threads of one process whose database connections claim, mark, record, and read contents; kept from drain to drain."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.claims = ThreadPoolExecutor(1, thread_name_prefix="claims")
        self.marks = ThreadPoolExecutor(1, thread_name_prefix="marks")
        self.results = ThreadPoolExecutor(1, thread_name_prefix="results")
        self.contents = ThreadPoolExecutor(4, thread_name_prefix="contents")


_threads: Threads | None = None


def threads() -> Threads:
    """This process's threads, made on first use: a fork does not inherit its parent's."""
    global _threads
    if _threads is None or _threads.process != os.getpid():
        _threads = Threads()
        tune_connections()
        sys.setswitchinterval(SWITCH)
        gc.freeze()  # what was imported stays: the collector need not walk through all of Django again and again
    return _threads


def drain(budget: float | None = None, linger: float = LINGER) -> int:
    """Deliver what is due until nothing is, for at most `budget` seconds plus what is under way. Returns how many attempts
    it made."""
    return uvloop.run(Drain(threads(), settings.DRAIN_BUDGET if budget is None else budget, linger).run())


class Drain:
    """One run over the queue, under a name of its own: claims that a broken commit left behind end with it."""

    def __init__(self, threads: Threads, budget: float, linger: float) -> None:
        self.name = f"{socket.gethostname()[:30]}:{os.getpid()}:{token_hex(6)}"
        self.threads = threads
        self.budget = budget
        self.linger = linger
        self.ends = 0.0
        self.ledger = Ledger(threads.marks, threads.results)
        self.lanes: dict[str, Lane] = {}
        self.done = 0
        self.full = False
        self.served: Counter[Sequence[Tier]] = Counter()
        self.load: Counter[str] = Counter()
        self.book: Snapshot | None = None
        self.searched: Snapshot | None = None
        self.turns: defaultdict[str, Turns] = defaultdict(Turns)
        self.rng = Random()
        self.looked = self.looked_for_urgent = 0.0
        self.promises = False
        self.leaving = False
        self.claiming = False
        self.stopping = asyncio.Event()
        self.hosting = Hosting(lambda *call: self._in(threads.contents, reconnecting, *call))

    async def run(self) -> int:
        self._watch_for_stop()
        began = quiet_since = monotonic()
        self.ends = began + self.rng.uniform(SHORTEST_SHARE, 1) * self.budget
        while True:
            if self.stopping.is_set():
                await self._give_back()
            now = monotonic()
            if self.ends + WIND_DOWN < now < began + LONGEST and not self.leaving:
                self.ends = now + self.budget
            ending = self.stopping.is_set() or self.leaving or now > self.ends
            for lane in self.lanes.values():
                lane.nudge()
            await self._leave_quiet_lanes()
            self.ledger.tick()
            claimed = 0
            if self._worth_a_look(ending):
                claimed = await self._claim(0 if ending else self._room())
            elif not ending and monotonic() - self.looked_for_urgent >= HASTE:
                claimed = await self._claim(min(BATCH, self._room() + BATCH), URGENT)
            if claimed or self._held() or self.ledger.open:
                quiet_since = monotonic()
            elif (ending or monotonic() - quiet_since > self.linger) and not await self._last_look():
                break
            if ending or not (self.full and self._room() >= BATCH):
                await asyncio.sleep(POLL / 2 if self.full else POLL)
        await asyncio.gather(
            *(lane.close() for lane in self.lanes.values()), self.ledger.settled(), self.hosting.close()
        )
        await self._in(self.threads.claims, self._leave)
        return self.done

    async def _last_look(self) -> int:
        """Withdraw the promise to look again, give acceptances that still counted on it the time to commit, and look."""
        if self.stopping.is_set() or self.leaving:
            return 0
        await self._claim(0)
        await asyncio.sleep(COMMIT)
        return await self._claim(BATCH, last=True)

    def _worth_a_look(self, ending: bool) -> bool:
        """Not while nothing is to be taken, or there is no room for a batch: many small claims cost more than they hasten."""
        return (not ending and self._room() >= BATCH) or monotonic() - self.looked >= REFILL

    def _held(self) -> int:
        return sum(lane.held for lane in self.lanes.values())

    def _room(self) -> int:
        return min(BATCH, ROOM - round(sum(lane.load for lane in self.lanes.values())))

    async def _claim(self, room: int, tiers: Sequence[Tier] = tuple(Tier), last: bool = False) -> int:
        """Beat, and take up to `room` due messages of these tiers into their lanes. `last`: with no promise to look again; a look
        for urgent ones leaves the promise as it is."""
        self.looked_for_urgent = monotonic()
        if tiers != URGENT:
            self.looked, self.promises = self.looked_for_urgent, room > 0 and not last
        try:
            claims = await self._in(self.threads.claims, self._claim_in_thread, room, tiers)
        except Error as error:
            logger.warning("the queue can't be read, trying again: %s", error)
            # A claim may have been committed all the same: what it took is given back when this drain leaves, so it leaves.
            self.leaving = self.leaving or self.claiming
            await self._in(self.threads.claims, _drop_connection)
            await asyncio.sleep(0.5)
            return 0
        for claim in claims:
            self._dispatch(claim)
        if room and tiers != URGENT:
            self.full = len(claims) == room
        await self._leave_closed_paths()
        return len(claims)

    def _claim_in_thread(self, room: int, tiers: Sequence[Tier]) -> list[Claim]:
        self.claiming = False
        # Behind the dead entries of what was just claimed the answer would cost more than a claim in vain.
        known = self.full and tiers != URGENT
        asked = () if known or room <= 0 else tiers
        is_due = beats.beat(self.name, settings.Q_CLUSTER["name"], self.promises, asked)
        self.book = book = routebook.snapshot()
        if room <= 0 or not (known or is_due):
            return []
        self.claiming = True
        taken: Counter[object] = Counter()

        def waits(name: str, tier: int, account_id: int) -> tuple[float, str]:
            lane, own = self.lanes.get(name), (name, account_id)
            pause = lane.pause(tier, account_id, taken[name], taken[own]) if lane else (0.0, "")
            taken.update((name, own))
            return pause

        policy = Policy(self.name, book, waits, dict(self.load), self.rng, self._turn)
        claims = queue.claim(self.name, room, policy.decide, self.served[tiers], tiers)
        if claims:
            served = self.served[tiers]
            self.served[tiers] = max((claim.account_id <= served, claim.account_id) for claim in claims)[1]
        return claims

    def _dispatch(self, claim: Claim) -> None:
        choice = claim.choice
        if choice is None or choice.route is None:
            raise ValueError(f"{claim.id} was claimed without a route")
        route = choice.route
        destination = claim.facts.destination
        name = choice.lane(destination)
        lane = self.lanes.get(name)
        if lane is None:
            lane = Lane(choice.connections, lambda: transports.carrier(route, self.threads.contents), self._carry)
            self.lanes[name] = lane
        if route.kind in (ways.Kind.SMTP, ways.Kind.PROVIDER) and self._asks_who_hosts(claim):
            self.hosting.ask(claim.domain, transports.resolver())
        self.load[route.id] += 1
        lane.add(Job(claim, route, choice, destination))

    def _asks_who_hosts(self, claim: Claim) -> bool:
        return self.book is not None and self.book.asks_who_hosts(claim.account_id)

    async def _carry(self, carrier: lanes.Carrier, job: Job) -> Outcome:
        """One attempt: hand over, and write down what came of it."""
        claim, started_at, started = job.claim, datetime.now(UTC), monotonic()
        try:
            outcome = await carrier.deliver(claim, lambda: self.ledger.mark(claim))
        except Exception:
            logger.exception("attempt at %s failed on our side", claim.id)
            outcome = Outcome(
                Verdict.DEFERRED, Cause.SYSTEM, Phase.CLAIMED, None, detail="a fault on our side, see the logs"
            )
        took = round((monotonic() - started) * 1000)
        route = job.route
        self.load[route.id] -= 1
        result = Result(
            claim, route.name, job.choice.explanation, outcome, started_at, took, route.kind is not ways.Kind.SANDBOX
        )
        await self.ledger.record(result)
        if route.kind is not ways.Kind.SANDBOX:
            self.ledger.see(Seen(route, job.destination, claim.id, claim.tier, outcome, took, job.choice.probes))
        self.done += 1
        return outcome

    def _turn(self, destination: str, tier: int, soonest: float) -> float:
        return min(soonest + MOST_SPREAD, self.turns[destination].next(tier, monotonic(), soonest, SPREAD))

    async def _leave_closed_paths(self) -> None:
        """When the state of paths was read anew: give back what waits here for one whose breaker has opened, or what a pause
        forbids by now, so that it is routed anew, highest tier first."""
        book = self.book
        if book is None or book is self.searched:
            return
        self.searched, now = book, datetime.now(UTC)
        closed = {key for key, path in book.paths.items() if path.open(now)}
        if closed or book.pauses:
            await self._give_back(
                lambda job: (
                    not closed.isdisjoint(ways.paths_of(job.route, job.destination))
                    or routing.stopped(book, job.route, job.claim.facts, now)
                )
            )

    async def _leave_quiet_lanes(self) -> None:
        """Give back, until then, what a destination has asked to be held back."""
        for lane in self.lanes.values():
            if jobs := lane.take_quiet():
                now = datetime.now(UTC)
                waits = [
                    (job, now + timedelta(seconds=lane.pause(job.claim.tier, job.claim.account_id)[0])) for job in jobs
                ]
                await self._put_back(waits, "paced", f"route {jobs[0].route.name} asked to be left alone")

    async def _give_back(self, unwanted: Callable[[Job], bool] = lambda job: True) -> None:
        """Return every message that no carrier has begun, to be claimed at once, by another worker or for another path."""
        jobs = [job for lane in self.lanes.values() for job in lane.take_waiting(unwanted)]
        await self._put_back([(job, job.claim.due_at) for job in jobs], "queued", None)

    async def _put_back(self, jobs: list[tuple[Job, datetime]], waits_for: str, note: str | None) -> None:
        """Let them wait in the queue, each until its time. If that can't be written now, this drain leaves, and they are given
        back then."""
        if not jobs:
            return
        changes = []
        for job, due_at in jobs:
            self.load[job.route.id] -= 1
            if job.choice.probes:
                self.ledger.see(Unused(job.choice.probes))
            claim, status = job.claim, Status(job.claim.status)
            changes.append(
                lifecycle.Change(
                    claim.id, status, status, claim.fence, claim.attempt,
                    due_at=due_at, waits_for=waits_for, note=note, silent=True,
                )
            )  # fmt: skip
        unused = day_caps(job.claim for job, _ in jobs)
        try:
            await self._in(self.threads.claims, _record_unused, changes, unused)
        except Error as error:
            logger.warning("%d messages can't be given back now: %s", len(jobs), error)
            self.leaving = True
            await self._in(self.threads.claims, _drop_connection)

    def _leave(self) -> None:
        """Take leave, and have another drain go on when there was more than this one's time."""
        with contextlib.suppress(Error):
            beats.leave(self.name)
            if self.full and not self.stopping.is_set():
                jobs.enqueue(queue.DRAIN)

    def _watch_for_stop(self) -> None:
        descriptor = jobs.stop_descriptor()
        if descriptor is not None:
            asyncio.get_running_loop().add_reader(descriptor, self._stop, descriptor)

    def _stop(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        self.stopping.set()

    async def _in(self, thread: Executor, function, *arguments):
        return await asyncio.get_running_loop().run_in_executor(thread, function, *arguments)


def _record_unused(changes: list[lifecycle.Change], caps: Mapping[str, int]) -> None:
    """What was granted of these caps, and is not used, may go to others."""
    with transaction.atomic():
        lifecycle.record(changes)
        for key, count in sorted(caps.items()):
            pacing.give_back(key, count)


def _drop_connection() -> None:
    """Of the calling thread: `connection` is another object in each."""
    connection.close()
