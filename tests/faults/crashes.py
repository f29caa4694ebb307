"""Points of delivery that no mail server can see, at which a forked drain kills itself (SIGKILL) or stands still (SIGSTOP)."""

import functools
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

from django.db import transaction

from messaging import content, lifecycle
from messaging.delivery import queue
from messaging.models import Status

Original = Callable[..., Any]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@functools.cache
def stand() -> None:
    """Once: who goes on may come by again, because the database ended what it was at."""
    os.kill(os.getpid(), signal.SIGSTOP)


def _after_claim(claim: Original, *arguments: Any) -> Any:
    if held := claim(*arguments):
        die()
    return held


async def _mid_body(open_blocks: Original, *arguments: Any) -> AsyncIterator[bytes]:
    number = 0
    async for block in open_blocks(*arguments):
        yield block
        number += 1
        if number == 3:
            die()


def _before_mark(mark: Original, *arguments: Any) -> Any:
    die()
    return mark(*arguments)


def _stand_before_mark(mark: Original, *arguments: Any) -> Any:
    stand()
    return mark(*arguments)


def _after_mark(mark: Original, *arguments: Any) -> Any:
    held = mark(*arguments)
    transaction.on_commit(die)
    return held


def _before_commit(record: Original, changes: list[lifecycle.Change]) -> Any:
    recorded = record(changes)
    if _ends(changes):
        die()
    return recorded


def _after_commit(record: Original, changes: list[lifecycle.Change]) -> Any:
    recorded = record(changes)
    if _ends(changes):
        transaction.on_commit(die)
    return recorded


def _stand_before_record(record: Original, changes: list[lifecycle.Change]) -> Any:
    if _ends(changes):
        stand()
    return record(changes)


def _stand_in_claim(record: Original, changes: list[lifecycle.Change]) -> Any:
    if any(change.status is Status.ACCEPTED for change in changes):
        stand()
    return record(changes)


def _ends(changes: list[lifecycle.Change]) -> bool:
    return any(change.status is Status.DELIVERED for change in changes)


POINTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "after claim": (queue, "claim", _after_claim),
    "mid body": (content, "open_blocks", _mid_body),
    "before mark": (queue, "mark", _before_mark),
    "after mark": (queue, "mark", _after_mark),
    "before commit": (lifecycle, "record", _before_commit),
    "after commit": (lifecycle, "record", _after_commit),
    "stand in claim": (lifecycle, "record", _stand_in_claim),
    "stand before mark": (queue, "mark", _stand_before_mark),
    "stand before record": (lifecycle, "record", _stand_before_record),
}


def arm(point: str) -> None:
    """Put the crash in the product's way, in this process only. The empty point arms nothing."""
    if point:
        module, name, crash = POINTS[point]
        original = getattr(module, name)
        setattr(module, name, lambda *arguments: crash(original, *arguments))
