"""The circuit breaker of a path: closed while mail goes through, open when it sustainedly does not, half open while a few probes
find out. Pure: a step is a value made from values; health.py keeps them and decides under a lock."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from messaging.delivery.outcomes import BEFORE_MAIL, Cause, Outcome, Verdict

MEMORY = 20
"""Tries that the breaker remembers: each new one takes a twentieth of the weight of those before."""

FEWEST_TRIES = 8.0
"""Weight of the tries that a judgement needs: ten tries in a row have it."""

MOST_STRAIN = 0.6
"""Share of the remembered tries that may speak against a path."""

MOST_MISSES = 5
"""Connections in a row that may come to nothing."""

FEWEST_TROUBLED = 3
"""Different messages that have to be in trouble: one that is tried again and again says nothing of its path."""

MOST_PROBES = 2
"""Messages that may be on their way at once over a half-open path, counting all workers."""

SUCCESSES = 3
"""Probes that have to come through before the path is open to all."""

PROBE_LEASE = timedelta(seconds=60)
"""Probes unheard of for so long no longer count as under way: others may find out."""

LONGEST_REST = 30
"""The rest of an open path doubles with each opening in a row, up to so many times the first."""

FORGIVEN = timedelta(minutes=15)
"""A path that was closed for so long begins with the shortest rest again."""

LONGEST_ASKED = 900.0
"""Seconds that one reply can keep a path quiet."""

PER_MESSAGE = frozenset(
    (
        Cause.GREYLISTED,
        Cause.MAILBOX_FULL,
        Cause.MAILBOX_UNKNOWN,
        Cause.MAILBOX_DISABLED,
        Cause.CONTENT,
        Cause.TOO_LARGE,
        Cause.SMTPUTF8_UNSUPPORTED,
    )
)
"""Causes of a deferral that speak of the message or its mailbox."""

UNREACHABLE = frozenset((Cause.CONNECTION, Cause.TIMEOUT, Cause.DNS, Cause.TLS, Cause.AUTH))


class Bearing(StrEnum):
    """What an outcome says of the path it took: it answered, it said nothing, it strains, or nobody was reached."""

    ANSWER = "answer"
    NOTHING = "nothing"
    STRAIN = "strain"
    MISS = "miss"


def bearing(outcome: Outcome) -> Bearing:
    """A refusal for good is an answer, unless it is one of our reputation or rate."""
    if outcome.verdict is Verdict.DELIVERED:
        return Bearing.ANSWER
    if outcome.verdict is Verdict.BOUNCED:
        return Bearing.STRAIN if outcome.cause in (Cause.REPUTATION, Cause.RATE_LIMITED) else Bearing.ANSWER
    if outcome.cause in PER_MESSAGE or is_ours(outcome):
        return Bearing.NOTHING
    missed = outcome.phase in BEFORE_MAIL and outcome.cause in UNREACHABLE
    return Bearing.MISS if missed else Bearing.STRAIN


def asked_to_wait(outcome: Outcome) -> float | None:
    """Seconds for which whoever answered wants to be left alone by all of us. One who names a time for this message or mailbox
    alone (greylisting, a full mailbox) does not."""
    if outcome.retry_after is None or outcome.cause not in (Cause.RATE_LIMITED, Cause.REPUTATION):
        return None
    return min(outcome.retry_after, LONGEST_ASKED)


def is_ours(outcome: Outcome) -> bool:
    """Whether the attempt failed on our side, before anybody answered."""
    return outcome.verdict is Verdict.DEFERRED and outcome.cause is Cause.SYSTEM and outcome.reply is None


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """`successes` and `probing` (under way) count the probes of a half-open path; `openings` those in a row."""

    state: State = State.CLOSED
    open_until: datetime | None = None
    openings: int = 0
    successes: int = 0
    probing: int = 0
    probed_at: datetime | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """The tries remembered, of them those that speak against the path, misses in a row, different messages in trouble."""

    tries: float = 0.0
    strained: float = 0.0
    misses: int = 0
    troubled: int = 0


@dataclass(frozen=True, slots=True)
class Probes:
    """What came back of probes: those that got an answer, those that failed, those that told nothing."""

    good: int = 0
    bad: int = 0
    void: int = 0


NO_PROBES = Probes()


@dataclass(frozen=True, slots=True)
class Step:
    """The breaker after it. `reason` is set when its state has changed."""

    breaker: Breaker
    reason: str | None = None


def step(breaker: Breaker, window: Window, probes: Probes, now: datetime, rest: timedelta) -> Step:
    """What news make of a breaker. `rest`: how long a path is left alone when it opens first; zero: it never opens."""
    breaker = _counted(breaker, probes)
    if breaker.state is State.CLOSED:
        reason = _against(window) if rest else None
        return Step(_opened(breaker, now, rest), reason) if reason else Step(breaker)
    if breaker.state is State.OPEN:
        return Step(breaker)
    if probes.bad:
        return Step(_opened(breaker, now, rest), "a probe failed")
    if breaker.successes >= SUCCESSES:
        return Step(Breaker(openings=breaker.openings, changed_at=now), f"{breaker.successes} probes came through")
    return Step(breaker)


def ask(breaker: Breaker, now: datetime) -> Step:
    """Before a probe: an open path whose rest is over is half open from now on."""
    if breaker.state is State.OPEN and breaker.open_until is not None and breaker.open_until <= now:
        return Step(
            Breaker(State.HALF_OPEN, openings=breaker.openings, changed_at=now), "its rest is over, probes go out"
        )
    if breaker.probed_at is not None and now - breaker.probed_at > PROBE_LEASE:
        return Step(replace(breaker, probing=0))
    return Step(breaker)


def free_probes(breaker: Breaker) -> int:
    return max(0, MOST_PROBES - breaker.probing) if breaker.state is State.HALF_OPEN else 0


def _counted(breaker: Breaker, probes: Probes) -> Breaker:
    if probes == NO_PROBES or breaker.state is not State.HALF_OPEN:
        return breaker
    back = probes.good + probes.bad + probes.void
    return replace(breaker, successes=breaker.successes + probes.good, probing=max(0, breaker.probing - back))


def _against(window: Window) -> str | None:
    """Why a closed path should open, or None."""
    if window.troubled < FEWEST_TROUBLED:
        return None
    if window.misses >= MOST_MISSES:
        return f"{window.misses} connections in a row came to nothing"
    if window.tries >= FEWEST_TRIES and window.strained > MOST_STRAIN * window.tries:
        return f"{window.strained / window.tries:.0%} of the last tries were deferred or failed"
    return None


def _opened(breaker: Breaker, now: datetime, rest: timedelta) -> Breaker:
    again = breaker.state is State.HALF_OPEN or (breaker.changed_at is not None and now - breaker.changed_at < FORGIVEN)
    openings = breaker.openings + 1 if again else 1
    until = now + rest * min(2 ** min(openings - 1, 10), LONGEST_REST)
    return Breaker(State.OPEN, until, openings, changed_at=now)
