"""Taking in many recipients at once. Each row is taken or refused by itself and told so; what is taken is committed together."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.keys import Caller
from sendarix.core import shapes
from sendarix.core.errors import FieldError, ValidationFailed
from suppressions import services
from suppressions.models import Reason
from suppressions.services import Entry
from suppressions.shapes import MOST_ROWS, SuppressionRowShape
from suppressions.spreadsheets import MOST_LINES, Table


@dataclass(frozen=True, slots=True)
class Given:
    """One row as it came: its line (or place in the list, from 1), and what it holds or why it can't be read."""

    line: int
    value: Any
    fault: str | None = None


@dataclass(slots=True)
class Reading:
    """What was understood: `entries` by key, and for each row its line, recipient, key and faults."""

    entries: dict[str, Entry] = field(default_factory=dict)
    rows: list[tuple[int, str, str | None, list[FieldError]]] = field(default_factory=list)


def of_list(rows: list[Any]) -> Iterator[Given]:
    return (Given(line, row) for line, row in enumerate(rows, 1))


def of_table(table: Table) -> Iterator[Given]:
    """Raises ValidationFailed when the table has more than MOST_ROWS rows, or MOST_LINES lines."""
    for count, line in enumerate(table, 1):
        if count > MOST_ROWS or line.number > MOST_LINES:
            message = f"At most {MOST_ROWS:,} rows are allowed; split the table."
            raise ValidationFailed([FieldError("csv", "too_long", message)])
        yield Given(line.number, line.cells, line.fault)


def bring_in(caller: Caller, actor: Actor, given: Iterable[Given], reason: Reason) -> dict[str, Any]:
    """Suppress the recipients of all good rows, in one transaction; counts and a result per row. `reason`: of rows without one.

    Everything is read before the transaction begins, so that it is short: the feed of events waits for it."""
    found = read(given, reason)
    with transaction.atomic():
        results = take(caller.account_id, caller.livemode, actor.id, found)
        summary = counts(results)
        if found.entries:
            audit.record(actor, "suppression.imported", "suppressions", after=summary | {"livemode": caller.livemode})
    return summary | {"results": results}


def take(account_id: int, livemode: bool, actor: str, found: Reading) -> list[dict[str, Any]]:
    """Suppress the recipients of what was read, in the caller's transaction; a result per row."""
    added = services.add(account_id, livemode, actor, list(found.entries.values()), keep_first=True)
    return list(_results(found, added))


def refused(given: Iterable[Given], fault: FieldError) -> list[dict[str, Any]]:
    """The result of rows that can't be taken in, whatever they say."""
    return [_refused(row.line, _told(row.value), [fault]) for row in given]


def counts(results: Iterable[dict[str, Any]]) -> dict[str, int]:
    """How many rows were `created`, `existing` and `failed`."""
    found = Counter(result["result"] for result in results)
    return {"created": found["created"], "existing": found["exists"], "failed": found["error"]}


def read(given: Iterable[Given], reason: Reason) -> Reading:
    """Every row, good or bad; `reason`: of rows without one."""
    found = Reading()
    for row in given:
        try:
            entry = _entry(row, reason)
        except ValidationFailed as refused:
            found.rows.append((row.line, _told(row.value), None, refused.errors))
            continue
        twin = found.entries.get(entry.recipient_key)
        found.entries[entry.recipient_key] = replace(twin, expires_at=_later(twin, entry)) if twin else entry
        found.rows.append((row.line, entry.recipient, entry.recipient_key, []))
    return found


def _entry(row: Given, reason: Reason) -> Entry:
    if row.fault:
        raise ValidationFailed([FieldError("", "invalid_value", row.fault)])
    if not isinstance(row.value, dict):
        raise ValidationFailed([FieldError("", "invalid_type", "Must be an object.")])
    shape = shapes.validate(SuppressionRowShape, row.value)
    return shape.entry(shape.reason or reason)


def _later(one: Entry, other: Entry) -> datetime | None:
    return max(one.expires_at, other.expires_at) if one.expires_at and other.expires_at else None


def _told(value: Any) -> str:
    """What a bad row said its recipient is, cut to a length that can be shown."""
    recipient = value.get("recipient") if isinstance(value, dict) else None
    return recipient[:320] if isinstance(recipient, str) else ""


def _results(read: Reading, added: set[str]) -> Iterator[dict[str, Any]]:
    """The first row of a new recipient created it; a later one found it there."""
    left = set(added)
    for line, recipient, key, faults in read.rows:
        if key is None:
            yield _refused(line, recipient, faults)
        else:
            yield {"line": line, "recipient": recipient, "result": "created" if key in left else "exists"}
            left.discard(key)


def _refused(line: int, recipient: str, faults: Iterable[FieldError]) -> dict[str, Any]:
    errors = [{"field": fault.field, "code": fault.code, "message": fault.message} for fault in faults]
    return {"line": line, "recipient": recipient, "result": "error", "errors": errors}
