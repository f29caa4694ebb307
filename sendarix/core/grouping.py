"""Writes that share commits. While one is under way, what comes in gathers for the next, so that a lone item waits for nobody
and a flood costs a fraction of a commit each; and reads that outlive a lost connection."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from time import monotonic, sleep
from typing import Any, Generic, TypeVar

from django.db import DataError, Error, IntegrityError, ProgrammingError, connection

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")

REFUSALS = (DataError, IntegrityError, ProgrammingError)
"""The database's answer to a content. Every other error is one of the connection, a bare DatabaseError too: psycopg2 raises that
when the server goes away at certain moments."""

RETRY = 0.5
"""Seconds between tries while the database is away."""

PATIENCE = 10.0
"""Seconds that `reconnecting` waits for the database."""


def reconnecting(function: Callable[..., Answer], *arguments: Any) -> Answer:
    """The function's answer. Called again with a new connection when this thread's has died, for PATIENCE seconds while the
    database is away."""
    since = monotonic()
    while True:
        try:
            return function(*arguments)
        except REFUSALS:
            raise
        except Error:
            connection.close()
            if monotonic() - since > PATIENCE:
                raise
            sleep(0.1)


class Group(Generic[Item]):
    """Gathers items for `write(items) -> one bool each`, which runs in `thread` and commits.

    At least `gap` seconds lie between two writes. While the database is away a write is tried again for `patience` seconds;
    after that the items are answered False. An item that the database refuses for its content is answered False alone."""

    def __init__(
        self,
        thread: Executor,
        write: Callable[[list[Item]], list[bool]],
        gap: float = 0.0,
        patience: float = float("inf"),
    ) -> None:
        self._thread = thread
        self._write = write
        self._gap = gap
        self._patience = patience
        self._waiting: list[tuple[Item, asyncio.Future[bool]]] = []
        self._writing: asyncio.Task | None = None

    @property
    def depth(self) -> int:
        """Items not yet being written."""
        return len(self._waiting)

    def add(self, item: Item) -> "asyncio.Future[bool]":
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._run())
        return future

    async def settled(self) -> None:
        """Until everything added is written."""
        if self._writing is not None:
            await self._writing

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            answers = await self._written([item for item, _ in batch])
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
            if self._gap:
                await asyncio.sleep(self._gap)
        self._writing = None

    async def _written(self, items: list[Item]) -> list[bool]:
        since = monotonic()
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._in_thread, items)
            except REFUSALS:
                logger.exception("%d entries were refused by the database", len(items))
                if len(items) == 1:
                    return [False]
                return [answer for item in items for answer in await self._written([item])]
            except Error as error:
                logger.warning("%d entries can't be written now: %s", len(items), error)
                if monotonic() - since > self._patience:
                    return [False] * len(items)
                await asyncio.sleep(RETRY)
            except Exception:
                logger.exception("%d entries can't be written: a fault of ours", len(items))
                return [False] * len(items)

    def _in_thread(self, items: list[Item]) -> list[bool]:
        try:
            return self._write(items)
        except Error:
            connection.close()
            raise
