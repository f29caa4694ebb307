"""What is done with due messages before any network: expired? suppressed? its sender still its account's? held? which route?
room there, and within its limits? And what a message's next status is once an outcome is known."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from messaging.delivery import health, pacing, routebook, routing, ways
from messaging.delivery.outcomes import Cause, Outcome, Verdict
from messaging.delivery.pacing import Limit
from messaging.delivery.queue import Claim, Decision, Lost
from messaging.delivery.routing import Choice
from messaging.delivery.ways import EVERYWHERE, Action, PathKey, Route, Snapshot
from messaging.lifecycle import Change
from messaging.models import Status
from sendarix.core import ladders
from sendarix.core.times import zulu

MOST_LOSSES = 5
"""Claims that ended with their worker: from then on each counts as an attempt, so that no message kills workers for ever."""

HELD = timedelta(days=3650)
"""A message whose hand-over is uncertain, and whose policy holds it, waits until somebody decides."""

PATIENCE = 900.0
"""Seconds beyond its ladder after which a message without any other route is tried although its path's breaker is open: it must
come to an end as it would without breakers."""

AGAIN = timedelta(seconds=1.5)
"""When a message is looked at again whose route has just reached its cap of the day: by then routing knows, and takes another."""

PAUSED = timedelta(hours=6)
PAUSED_ROUTE = timedelta(minutes=5)
"""When a message is looked at again that a pause holds back, or that pauses of routes leave none, unless the pause ends before:
whoever ends it lets its messages go. Each look costs, and what rules say of routes may change meanwhile."""

LONGEST_WAIT = 4 * 3600.0
"""Seconds that a server may ask for in "try again in N minutes"."""


@dataclass(slots=True)
class Policy:
    """Decides due messages for one worker. `waits(lane, tier, account)`: seconds until there is room (0: now), and why, with
    `{route}` for the route's name; `load`: what the worker has under way by route id; `turns(destination, tier, seconds)`: in
    how many seconds, at least so many, a message that waits for its paths has its turn to be looked at again; `probes`: those
    left for this batch."""

    worker: str
    book: Snapshot
    waits: Callable[[str, int, int], tuple[float, str]]
    load: Mapping[str, int] = field(default_factory=dict)
    rng: random.Random = field(default_factory=random.Random)
    turns: Callable[[str, int, float], float] = lambda path, tier, seconds: seconds
    probes: dict[PathKey, int] = field(default_factory=dict)

    def decide(self, claims: Sequence[Claim]) -> dict[str, Decision]:
        """The changes of each, by message id; the choice of each that is held or sent is left on its claim."""
        self.probes = self._free_probes(claims)
        decisions: dict[str, Decision] = {}
        ready: list[Claim] = []
        for claim in claims:
            decided = self._without_limits(claim)
            if decided is None:
                ready.append(claim)
            else:
                decisions[claim.id] = _steps(claim, *decided)
        decisions |= self._paused(claims)
        probing: Counter[PathKey] = Counter()
        for claim, until in self._within_limits(ready):
            decisions[claim.id] = _steps(claim, self._send(claim) if until is None else _paced(claim, until))
            probing.update(claim.choice.probes if claim.choice and until is None else ())
        health.begin(probing)
        return decisions

    def _free_probes(self, claims: Sequence[Claim]) -> dict[PathKey, int]:
        """Of the half-open paths that these messages might take."""
        half_open = [key for key, path in self.book.paths.items() if path.half_open(claims[0].now)]
        if not half_open:
            return {}
        concerned = {claim.facts.destination for claim in claims if claim.livemode} | {EVERYWHERE}
        return health.probes(key for key in half_open if key[1] in concerned)

    def _without_limits(self, claim: Claim) -> list[Change] | None:
        """What can be decided without counting; None for a message that is ready to go."""
        facts = claim.facts
        ttl = routing.policy_of(self.book, facts).ttl
        if claim.expires_at is None and ttl is not None:
            claim.expires_at = claim.created_at + ttl
        if claim.expires_at is not None and claim.expires_at <= claim.now:
            return [_move(claim, Status.EXPIRED, reason="expired")]
        if claim.suppressed is not None and not claim.overridden:
            return [_move(claim, Status.SUPPRESSED, reason=claim.suppressed, data={"reason": claim.suppressed})]
        if not claim.identity.ours:
            lost = f"{claim.sender_domain} is not a domain that this account may send from any more"
            return _refuse(claim, Cause.SENDER_DOMAIN_LOST, lost)
        claim.choice = choice = self._choose(claim)
        if choice.action is Action.REJECT:
            return _refuse(claim, Cause.POLICY, choice.explanation["why"], rule=choice.explanation["rule"])
        if choice.route is None:
            until = choice.until or claim.now + ways.NOTHING_FREE
            until = min(until, claim.now + ways.NOTHING_FREE)
            if choice.resting:
                until = claim.now + timedelta(seconds=self._turn(claim, until))
            return [_wait(claim, until, "paused", choice.reason)]
        pause, why = self.waits(choice.lane(facts.destination), claim.tier, claim.account_id)
        if pause:
            note = why.format(route=choice.route.name)
            return [_wait(claim, claim.now + timedelta(seconds=pause), "paced", note)]
        for key in choice.probes:
            self.probes[key] -= 1
        return None

    def _paused(self, claims: Sequence[Claim]) -> dict[str, Decision]:
        """Those that only pauses hold back wait long, unless one of these has just been ended: then they are looked at again."""
        held = [(claim, claim.choice) for claim in claims if claim.choice and claim.choice.pauses]
        standing = routebook.standing(pause for _, choice in held for pause in choice.pauses) if held else set()
        decisions = {}
        for claim, choice in held:
            longest = PAUSED_ROUTE if "candidates" in choice.explanation else PAUSED
            stands = standing.issuperset(choice.pauses)
            until = min(choice.until or claim.now + longest, claim.now + (longest if stands else AGAIN))
            decisions[claim.id] = _steps(claim, _wait(claim, until, "paused", choice.reason))
        return decisions

    def _choose(self, claim: Claim) -> Choice:
        """A message whose ladder is over is not held back by breakers any longer."""
        choice = routing.choose(self.book, claim.facts, claim.now, self.rng, self.load, self.probes)
        patience = timedelta(seconds=sum(_ladder(choice.policy)) + PATIENCE)
        if not choice.resting or claim.now - claim.created_at <= patience:
            return choice
        return routing.choose(self.book, claim.facts, claim.now, self.rng, self.load, self.probes, impatient=True)

    def _turn(self, claim: Claim, until: datetime) -> float:
        """Seconds until a message that waits for its path to rest is looked at again: they come back one after another."""
        return self.turns(claim.facts.destination, claim.tier, (until - claim.now).total_seconds())

    def _within_limits(self, claims: Sequence[Claim]) -> list[tuple[Claim, datetime | None]]:
        """Each claim with None when its limits let it go, else with the time to look again."""
        limits = {claim.id: limits_of(claim) for claim in claims}
        wanted = Counter(limit for own in limits.values() for limit in own)
        grants = pacing.grant(wanted.items())
        left = {key: grant.granted for key, grant in grants.items()}
        over: dict[str, list[Limit]] = {}
        for claim in claims:
            over[claim.id] = spent = [limit for limit in limits[claim.id] if left[limit.key] <= 0]
            for limit in limits[claim.id] if not spent else ():
                left[limit.key] -= 1
            if not spent:
                _tell_pacing(claim, [(one, grants[one.key].spare + left[one.key]) for one in limits[claim.id]])
        lined = Counter((one, claim.tier) for claim in claims for one in over[claim.id] if one.seconds != pacing.DAY)
        turns = pacing.line_up({who: (count, grants[who[0].key].next_window) for who, count in lined.items()})
        decided = [(claim, _turn_of(claim, over[claim.id], turns)) for claim in claims]
        for key, count in left.items():
            if count:
                pacing.give_back(key, count)
        return decided

    def _send(self, claim: Claim) -> Change:
        if claim.status in (Status.SCHEDULED, Status.QUEUED):
            data: dict[str, Any] = {"route": _chosen(claim).name}
            if claim.overridden:
                data["overrides"] = claim.suppressed
            return _move(claim, Status.ACCEPTED, worker=self.worker, claims=True, data=data)
        return _move(claim, None, silent=True, worker=self.worker, claims=True)


def _turn_of(
    claim: Claim, over: Sequence[Limit], turns: Mapping[tuple[Limit, int], Iterator[datetime]]
) -> datetime | None:
    """When a message over these limits is looked at again; None where it is over none."""
    again = [claim.now + AGAIN if one.seconds == pacing.DAY else next(turns[one, claim.tier]) for one in over]
    return max(again, default=None)


def _tell_pacing(claim: Claim, kept: Sequence[tuple[Limit, int]]) -> None:
    """Leave with the choice which limits let the message go, and what each would let go after it."""
    if kept and claim.choice:
        told = [{"seconds": round(one.seconds), "limit": one.most, "left": left} for one, left in kept]
        claim.choice.explanation["pacing"] = told


def limits_of(claim: Claim) -> list[Limit]:
    """The limits a message has to keep: its route's per minute and day, and its policy's per minute."""
    return limits(_chosen(claim), claim.choice.policy if claim.choice else None, claim.facts.destination)


def day_caps(claims: Iterable[Claim]) -> Counter[str]:
    """How often each day's cap was granted to these, by key. Shorter windows are over before it comes back."""
    return Counter(limit.key for claim in claims for limit in limits_of(claim) if limit.seconds == pacing.DAY)


def limits(route: Route, policy: ways.Policy | None, destination: str) -> list[Limit]:
    """Those of a route under a policy to a destination."""
    found = []
    if route.per_minute is not None:
        found.append(pacing.per_minute(route.id, destination, route.per_minute))
    if policy is not None and policy.per_minute is not None:
        found.append(pacing.per_minute(f"{route.id} {policy.id}", destination, policy.per_minute))
    if route.per_day is not None:
        found.append(pacing.per_day(route.id, route.per_day))
    return found


def _chosen(claim: Claim) -> Route:
    if claim.choice is None or claim.choice.route is None:
        raise ValueError(f"{claim.id} has no route")
    return claim.choice.route


def _steps(claim: Claim, *changes: Change) -> Decision:
    """A scheduled message is queued first."""
    if claim.status != Status.SCHEDULED:
        return list(changes)
    return [Change(claim.id, Status.SCHEDULED, Status.QUEUED, claim.fence, claim.attempt), *changes]


def _move(claim: Claim, status: Status | None, **options: Any) -> Change:
    """A change from where the message stands when it is due; `status` None: it stays there."""
    previous = Status.QUEUED if claim.status == Status.SCHEDULED else Status(claim.status)
    return Change(claim.id, previous, status or previous, claim.fence, claim.attempt, **options)


def _wait(claim: Claim, until: datetime, kind: str, note: str) -> Change:
    if claim.expires_at is not None:
        until = min(until, claim.expires_at)
    return _move(claim, None, silent=True, due_at=until, waits_for=kind, note=note)


def _paced(claim: Claim, until: datetime) -> Change:
    route = _chosen(claim)
    return _wait(claim, until, "paced", f"the limits of route {route.name} to {claim.facts.destination} are reached")


def _refuse(claim: Claim, cause: Cause, why: str, **passed: str) -> list[Change]:
    """Bounced by policy, after `accepted` (with `passed`), which every message that leaves the queue passes."""
    data = {"reason": str(cause), "detail": why}
    last = Change(claim.id, Status.DEFERRED, Status.BOUNCED, claim.fence, claim.attempt, str(cause), data=data)
    if claim.status == Status.DEFERRED:
        return [last]
    first = _move(claim, Status.ACCEPTED, due_at=claim.now, data=passed)
    return [first, replace(last, previous=Status.ACCEPTED)]


def conclude(claim: Claim, outcome: Outcome, route: str, now: datetime, rng: random.Random) -> list[Change]:
    """The changes that follow an attempt: its outcome and, where the sandbox plays the recipient, what came after."""
    attempt = claim.attempt + 1
    data = _report(outcome, route, attempt)
    previous = Status(claim.status)
    if outcome.verdict == Verdict.DELIVERED:
        steps = [Change(claim.id, previous, Status.DELIVERED, claim.fence, attempt, data=data)]
        if outcome.aftermath:
            steps.append(Change(claim.id, Status.DELIVERED, Status(outcome.aftermath), claim.fence, attempt))
        return steps
    if outcome.verdict == Verdict.BOUNCED:
        reason = str(outcome.cause)
        return [
            Change(claim.id, previous, Status.BOUNCED, claim.fence, attempt, reason, data={**data, "reason": reason})
        ]
    policy = claim.choice.policy if claim.choice else ways.DEFAULT_POLICY
    if outcome.verdict == Verdict.UNCERTAIN:
        return [_defer(claim, previous, attempt, str(Cause.UNCERTAIN), data, now, rng, policy)]
    return [
        _defer(claim, previous, attempt, str(outcome.cause), data, now, rng, policy, at_least=outcome.retry_after or 0)
    ]


def _defer(
    claim: Claim | Lost,
    previous: Status,
    attempt: int,
    reason: str,
    data: dict[str, Any],
    now: datetime,
    rng: random.Random,
    policy: ways.Policy,
    *,
    at_once: bool = False,
    at_least: float = 0.0,
) -> Change:
    """`at_once`: no wait, though the attempt counts against the ladder. `at_least`: seconds that the server asked for."""
    if reason == Cause.UNCERTAIN and policy.holds_uncertain:
        return _hold(claim, previous, attempt, data, now, policy)
    wait = ladders.next_wait(_ladder(policy), attempt, rng)
    if wait is None:
        data = {**data, "reason": str(Cause.RETRIES_EXHAUSTED), "last_reason": reason}
        return Change(claim.id, previous, Status.BOUNCED, claim.fence, attempt, str(Cause.RETRIES_EXHAUSTED), data=data)
    wait = 0.0 if at_once else max(wait, min(at_least, LONGEST_WAIT))
    due_at = now + timedelta(seconds=wait if claim.livemode else wait / settings.TEST_CLOCK)
    if claim.expires_at is not None:
        due_at = min(due_at, claim.expires_at)
    data = {**data, "reason": reason, "next_attempt_at": zulu(due_at)}
    return Change(
        claim.id, previous, Status.DEFERRED, claim.fence, attempt, reason, due_at=due_at, waits_for="retry", data=data
    )


def _ladder(policy: ways.Policy) -> Sequence[float]:
    return settings.RETRY_LADDER if policy.ladder is None else policy.ladder


def _hold(
    claim: Claim | Lost, previous: Status, attempt: int, data: dict[str, Any], now: datetime, policy: ways.Policy
) -> Change:
    note = f"policy {policy.name} holds a message whose hand-over is uncertain until it is retried or canceled"
    return Change(
        claim.id, previous, Status.DEFERRED, claim.fence, attempt, str(Cause.UNCERTAIN),
        due_at=now + HELD, waits_for="held", note=note, data={**data, "reason": str(Cause.UNCERTAIN)},
    )  # fmt: skip


def _report(outcome: Outcome, route: str, attempt: int) -> dict[str, Any]:
    """The data of an outcome's event, as events, webhooks and the API show it."""
    report: dict[str, Any] = {"attempt": attempt, "route": route}
    if outcome.provider is not None:
        report["api"] = api_reply(outcome)
        if outcome.verdict == Verdict.DELIVERED:
            report["handed_to"] = outcome.provider
    elif outcome.reply is not None:
        reply = outcome.reply
        report["smtp"] = {"code": reply.code, "enhanced": reply.enhanced, "text": reply.text, "mx": outcome.mx}
    if outcome.verdict == Verdict.UNCERTAIN:
        report["uncertain"] = True
    if outcome.detail:
        report["detail"] = outcome.detail
    return report


def api_reply(outcome: Outcome) -> dict[str, Any]:
    """What a provider's API said, as events show it."""
    reply = outcome.reply
    return {
        "provider": outcome.provider,
        "code": reply.code if reply else None,
        "text": reply.text if reply else "",
        "reference": outcome.reference,
    }


def recover(lost: Lost, policy: ways.Policy, rng: random.Random) -> Change:
    """What becomes of a message whose worker is gone: sent again at once; and where its final dot may have been written, visibly
    so (same Message-ID, an event that says so). No wait would tell more, and the destination did nothing wrong."""
    status = Status(lost.status)
    if lost.marked:
        attempt = lost.attempt + 1
        data = {
            "attempt": attempt,
            "uncertain": True,
            "detail": "the worker ended after it may have handed the message over",
        }
        change = _defer(lost, status, attempt, str(Cause.UNCERTAIN), data, lost.now, rng, policy, at_once=True)
        return replace(change, claims=True)
    losses = (lost.fence - lost.attempt + 1) // 2  # each raises the fence twice: when claimed, and when given back
    if losses > MOST_LOSSES:
        data = {"attempt": lost.attempt + 1, "detail": "its workers ended again and again while they held it"}
        change = _defer(lost, status, lost.attempt + 1, str(Cause.SYSTEM), data, lost.now, rng, policy)
        return replace(change, claims=True)
    return Change(
        lost.id, status, status, lost.fence, lost.attempt,
        reason="worker_lost", due_at=lost.now if lost.attempt else lost.first_due, waits_for="queued", silent=True, claims=True,
    )  # fmt: skip
