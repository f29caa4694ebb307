"""The event bus: how one app tells another of a change inside the transaction that makes it, without importing it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.dispatch import Signal

recorded = Signal()
"""Sent once per statement with `events: Sequence[Recorded]`, inside the transaction: what a receiver writes commits or rolls
back with the change, and what it raises undoes the change."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One change of one message, as just written; `data` is JSON."""

    number: int
    message_id: str
    account_id: int
    livemode: bool
    type: str
    previous: str | None
    sequence: int
    at: datetime
    data: str


def announce(events: Sequence[Recorded]) -> None:
    if events:
        recorded.send(sender=None, events=events)
