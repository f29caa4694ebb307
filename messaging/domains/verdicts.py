"""What was found at one record, and what is to be said of it."""

from dataclasses import dataclass
from enum import StrEnum

from messaging.domains.lookups import Found

SHOWN = 5
"""Live values of one record that are kept and shown, and of each so many characters:"""
LONGEST_SHOWN = 1000


class Verdict(StrEnum):
    """Unchecked: nobody looked yet, or nobody could say."""

    OK = "ok"
    MISSING = "missing"
    WRONG = "wrong"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Finding:
    """`reason` is one or several plain sentences; `proposed` replaces the value to publish when what is there should be kept."""

    verdict: Verdict
    reason: str
    found: tuple[str, ...] = ()
    proposed: str | None = None

    def as_json(self) -> dict[str, object]:
        found = [value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}…" for value in self.found[:SHOWN]]
        kept: dict[str, object] = {"verdict": str(self.verdict), "reason": self.reason, "found": found}
        return kept | ({"proposed": self.proposed} if self.proposed else {})


def ok(reason: str, *found: str) -> Finding:
    return Finding(Verdict.OK, reason, found)


def missing(reason: str, *found: str) -> Finding:
    return Finding(Verdict.MISSING, reason, found)


def wrong(reason: str, *found: str) -> Finding:
    return Finding(Verdict.WRONG, reason, found)


def unanswered(found: Found) -> Finding:
    return Finding(Verdict.UNCHECKED, f"The DNS gave no answer ({found.failure}).")
