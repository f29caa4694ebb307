"""The event bus: how one app tells another of a change inside the transaction that makes it, without importing it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.dispatch import Signal

TYPES: dict[str, str] = {
    "message.scheduled": "A message was accepted, to be sent at a later time.",
    "message.queued": "A message was accepted, and waits to be sent.",
    "message.accepted": "It passed every policy and was given to a route.",
    "message.delivered": "The recipient's server took it.",
    "message.deferred": "The recipient's server refused it for now; it is tried again.",
    "message.bounced": "It was refused for good, or every try was used up.",
    "message.suppressed": "The recipient is on the suppression list: it was not sent.",
    "message.canceled": "It was canceled before it was sent.",
    "message.expired": "Its time ran out before it was sent.",
    "message.complained": "The recipient called it spam.",
    "message.unsubscribed": "The recipient unsubscribed by it.",
    "domain.verified": "A sender domain's records were found right.",
    "domain.broken": "A sender domain's records were right once and are not any more.",
    "domain.claimed": "A sender domain that another account had belongs to this one now.",
    "domain.lost": "A sender domain belongs to another account now.",
    "alert.fired": "What an alert rule watches has crossed its line.",
    "alert.resolved": "It has come back, or the rule was changed.",
    "webhook.disabled": "An endpoint takes nothing more: it answered 410, or nothing but failures for five days.",
    "webhook.test": "Asked for by a call to try an endpoint, and sent to that one whatever it asks for.",
}
"""Every type of event that an endpoint can ask for, and what it says."""

recorded = Signal()
"""Sent once per statement with `events: Sequence[Recorded]`, inside the transaction: what a receiver writes commits or rolls
back with the change, and what it raises undoes the change. First events of accounts that are not `listened` to are not sent:
who receives this has to set that flag."""

noted = Signal()
"""Sent with `note: Note`, inside the transaction, by whoever has something to tell that is about no message. The keeper of the
events table writes it down, sends `recorded`, and answers with the event's number."""

erased = Signal()
"""Sent with `message_ids: Sequence[str]`, inside the transaction: what these messages said and to whom is masked for good, and
so must be every copy of it."""

address_erased = Signal()
"""Sent with `account_id: int`, `recipient_key: str`, `found: str` (a regular expression of PostgreSQL that finds its spellings
in a text, for `~*`) and `mask: str`, inside the transaction: wherever else the account's address
is named, the mask is to stand."""

forgotten = Signal()
"""Sent with `message_ids: Sequence[str]`, inside the transaction: these messages and their events are deleted."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event as just written. `type` is the whole one (`message.delivered`); `data` is JSON. Without a message `previous` is
    None and `sequence` 1."""

    number: int
    message_id: str | None
    account_id: int
    livemode: bool
    type: str
    previous: str | None
    sequence: int
    at: datetime
    data: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened to an account rather than to a message: `domain.broken`, `webhook.disabled`."""

    account_id: int
    livemode: bool
    type: str
    data: dict[str, Any]


class Source(Protocol):
    """The keeper of the events table, asked by apps that may not import it."""

    def objects(self, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Events by number, as every customer sees them: the objects of GET /v1/events. One statement."""

    def between(
        self, account_id: int, livemode: bool, after: tuple[datetime, int], until: datetime, limit: int
    ) -> list[Recorded]:
        """Events of an account beyond `after` (time, number) and before `until`, by time; at most `limit`."""


_sources: list[Source] = []


def keep(source: Source) -> None:
    """Name the keeper of the events table, once, when apps are ready."""
    _sources[:] = [source]


def source() -> Source:
    return _sources[0]


def announce(events: Sequence[Recorded]) -> None:
    if events:
        recorded.send(sender=None, events=events)


def note(account_id: int, livemode: bool, type: str, **data: Any) -> int | None:
    """Have an event of the account written in the caller's transaction; its number, None where nobody keeps events."""
    answers = noted.send(sender=None, note=Note(account_id, livemode, type, data))
    return next((number for _, number in answers if number is not None), None)


def erase(message_ids: Sequence[str]) -> None:
    if message_ids:
        erased.send(sender=None, message_ids=message_ids)


def erase_address(account_id: int, recipient_key: str, found: str, mask: str) -> None:
    address_erased.send(sender=None, account_id=account_id, recipient_key=recipient_key, found=found, mask=mask)


def forget(message_ids: Sequence[str]) -> None:
    if message_ids:
        forgotten.send(sender=None, message_ids=message_ids)
