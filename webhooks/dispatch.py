"""A drain of deliveries: takes hold of endpoints with something due, reads what is next for each, posts it, writes down what came
of it, and ends when nothing is due. Read `run` first. Each endpoint has a lane of its own, so none waits for another."""

import asyncio
import logging
import os
import socket
from collections.abc import Collection, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from time import monotonic

from django.db import Error, connection

from sendarix.core import events, jobs
from sendarix.core.statements import tune_connections
from webhooks import holds, signing
from webhooks.holds import Endpoint
from webhooks.lanes import FIRST, Item, Lane
from webhooks.ledger import Ledger, Result
from webhooks.posting import Exchange, Poster
from webhooks.verdicts import Verdict

logger = logging.getLogger(__name__)

LANES = 400
"""Endpoints one drain holds at most: each may always have one POST under way, however slow the others are."""

SHAKY = 200
"""Of those, such that did not answer lately: they can't take every place."""

EXTRA = 100
"""POSTs under way beyond the first of each lane."""

AT_ONCE = 50
"""Endpoints taken by one look."""

POLL = 0.02
"""Seconds between looks; longer when a look takes long, so that looking never costs more than a third of the time."""

REFRESH = 0.25
"""Seconds between looks at the held endpoints themselves: another URL, disabled, gone."""

COMMIT = 0.02
"""Seconds that the commit of an event may take without its deliveries having to wait for the next tick."""

LINGER = 1.0
"""Seconds of nothing that end a drain."""

IDLE = 5.0
"""Seconds after which a lane that has nothing is given up."""

LONGEST = 1200.0
"""Seconds after which a drain ends at the first quiet moment; LAST later at any moment: django-q2 ends its process at 1,800."""

LAST = 300.0

WIND_DOWN = 6.0
"""Seconds a drain told to stop waits for answers. What is not answered by then is posted again by the next."""


class Threads:
    """The threads of one process with database connections: looks, and results; kept from drain to drain."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.looks = ThreadPoolExecutor(1, thread_name_prefix="looks")
        self.results = ThreadPoolExecutor(1, thread_name_prefix="results")


_threads: Threads | None = None


def threads() -> Threads:
    """This process's threads, made on first use: a fork does not inherit its parent's."""
    global _threads
    if _threads is None or _threads.process != os.getpid():
        _threads = Threads()
        tune_connections()
    return _threads


def drain(linger: float = LINGER) -> int:
    """Deliver what is due until nothing is. Returns how many POSTs that took."""
    return asyncio.run(Drain(threads(), linger).run())


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look found. `held` is None when the held endpoints were not looked at."""

    taken: list[Endpoint]
    held: list[Endpoint] | None
    items: list[Item]


class Drain:
    """One run, under a name of its own: what a broken commit left behind ends with it."""

    def __init__(self, threads: Threads, linger: float) -> None:
        self.name = f"{socket.gethostname()[:30]}:{os.getpid()}:{token_hex(6)}"
        self.threads = threads
        self.linger = linger
        self.ledger = Ledger(threads.results, self.name)
        self.lanes: dict[str, Lane] = {}
        self.poster = Poster()
        self.done = 0
        self.refreshed = float("-inf")
        self.stopping = asyncio.Event()

    async def run(self) -> int:
        self._watch_for_stop()
        began = quiet_since = monotonic()
        while not self.stopping.is_set():
            looked = monotonic()
            found = await self._look(looks=True)
            await self._give_up_lanes()
            now = monotonic()
            if found or any(not lane.empty for lane in self.lanes.values()):
                quiet_since = now
            elif now - quiet_since >= min(self.linger, began + LONGEST - now) and not await self._last_look():
                break
            if now > began + LONGEST + LAST:
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), max(POLL, 2 * (now - looked)))
        await self._end()
        return self.done

    async def _last_look(self) -> int:
        """Withdraw the promise to look again, give events that still counted on it the time to commit, and look."""
        found = await self._look(looks=False, room=0)
        await asyncio.sleep(COMMIT)
        return found + await self._look(looks=False)

    async def _look(self, looks: bool, room: int = AT_ONCE) -> int:
        """Beat, take what is free, and fill lanes; returns how many deliveries came."""
        refresh = monotonic() - self.refreshed > REFRESH
        room = min(room, LANES - len(self.lanes))
        shaky = sum(lane.failures > 0 for lane in self.lanes.values()) < SHAKY
        rooms = {id: lane.room for id, lane in self.lanes.items() if lane.room}
        known = [each for id in rooms for each in self.lanes[id].known]
        try:
            seen = await self._in(self.threads.looks, self._look_in_thread, room, shaky, looks, refresh, rooms, known)
        except Error as error:
            logger.warning("the deliveries can't be read, trying again: %s", error)
            await self._in(self.threads.looks, _hang_up)
            await asyncio.sleep(0.5)
            return 0
        if seen.held is not None:
            self.refreshed = monotonic()
            self._refresh({endpoint.id: endpoint for endpoint in seen.held})
        for endpoint in seen.taken:
            self._open(endpoint)
        return self._fill(seen.items)

    def _look_in_thread(
        self, room: int, shaky: bool, looks: bool, refresh: bool, rooms: Mapping[str, int], known: Collection[int]
    ) -> Seen:
        taken = holds.take(self.name, room, shaky, looks)
        held = holds.held(self.name) if refresh else None
        rooms = {**rooms, **dict.fromkeys((endpoint.id for endpoint in taken), FIRST)}
        due = holds.due(rooms, known) if rooms else []
        objects = events.source().objects([each.event_number for each in due]) if due else {}
        bodies = {number: (event["id"], signing.body(event)) for number, event in objects.items()}
        return Seen(taken, held, [Item(each, *bodies.get(each.event_number, (None, b""))) for each in due])

    def _refresh(self, held: Mapping[str, Endpoint]) -> None:
        """Lanes as their endpoints are now: those lost, disabled or gone begin nothing more; a hold without a lane gets one."""
        for id, lane in self.lanes.items():
            if id in held:
                lane.endpoint = held[id]
            else:
                lane.close()
        for id in held.keys() - self.lanes.keys():
            self._open(held[id])

    def _open(self, endpoint: Endpoint) -> None:
        if endpoint.id not in self.lanes:
            self.lanes[endpoint.id] = Lane(endpoint, self._carry, self._has_extra)

    def _fill(self, items: list[Item]) -> int:
        for item in items:
            if not self.lanes[item.due.endpoint_id].closed:
                self.lanes[item.due.endpoint_id].add(item)
        for lane in self.lanes.values():
            lane.pump()
        return len(items)

    def _has_extra(self) -> bool:
        return sum(max(0, lane.busy - 1) for lane in self.lanes.values()) < EXTRA

    async def _carry(self, lane: Lane, item: Item) -> None:
        """One try: post, and have what came of it written, whatever that is: no try ends unheard."""
        started_at, started = datetime.now(UTC), monotonic()
        try:
            exchange = await self._post(lane.endpoint, item, started_at)
        except Exception:
            logger.exception("event %s can't be posted to %s: a fault of ours", item.event_id, lane.endpoint.id)
            exchange = Exchange(Verdict("system", "a fault on our side, see the logs", ours=True))
        self.done += 1
        took = round((monotonic() - started) * 1000)
        pause = lane.conclude(exchange.verdict)
        result = Result(item.due, exchange, started_at, took, lane.failures, pause)
        self.ledger.record(result).add_done_callback(partial(_written, lane, item))

    async def _post(self, endpoint: Endpoint, item: Item, now: datetime) -> Exchange:
        if item.event_id is None:
            return Exchange(Verdict("event_gone", "the event is no longer kept", final=True))
        return await self.poster.post(endpoint, item.event_id, item.body, now)

    async def _give_up_lanes(self) -> None:
        """Free endpoints whose lane is closed and done, or has had nothing for a while."""
        now, over = monotonic(), []
        for id, lane in self.lanes.items():
            if not lane.empty:
                lane.idle_since = now
            elif lane.closed or now - lane.idle_since > IDLE:
                over.append(id)
        if not over:
            return
        with suppress(Error):
            await self._in(self.threads.looks, holds.release, self.name, over)
            for id in over:
                del self.lanes[id]
                self.poster.forget(id)

    async def _end(self) -> None:
        """Answers that come soon still count; the rest is broken off. Everything known is written before the holds end."""
        ends = monotonic() + WIND_DOWN
        for lane in self.lanes.values():
            lane.close()
        while any(lane.busy for lane in self.lanes.values()) and monotonic() < ends:
            await self._look(looks=False, room=0)
            await asyncio.sleep(POLL)
        for lane in self.lanes.values():
            lane.abandon()
        await self.ledger.settled()
        self.poster.close()
        with suppress(Error):
            await self._in(self.threads.looks, holds.leave, self.name)

    def _watch_for_stop(self) -> None:
        descriptor = jobs.stop_descriptor()
        if descriptor is not None:
            asyncio.get_running_loop().add_reader(descriptor, self._stop, descriptor)

    def _stop(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        self.stopping.set()

    async def _in(self, thread: Executor, function, *arguments):
        return await asyncio.get_running_loop().run_in_executor(thread, function, *arguments)


def _hang_up() -> None:
    """Close the calling thread's connection: `connection.close` itself would be the one of the thread that names it."""
    connection.close()


def _written(lane: Lane, item: Item, written: "asyncio.Future[bool]") -> None:
    lane.known.discard(item.due.id)
    if not written.cancelled() and not written.result():
        logger.warning("a result for delivery %s was not recorded: it no longer stands as it was", item.due.id)
