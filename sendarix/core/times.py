"""Times as the API writes them: ISO 8601, UTC with Z, to the millisecond."""

from datetime import UTC, datetime
from typing import overload


@overload
def zulu(at: datetime) -> str: ...
@overload
def zulu(at: None) -> None: ...
def zulu(at: datetime | None) -> str | None:
    if at is None:
        return None
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
