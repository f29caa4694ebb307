"""How many connections a lane uses, and what it gives up when its destination asks to be left alone."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

from messaging.delivery import lanes
from messaging.delivery.lanes import Job, Lane
from messaging.delivery.outcomes import Cause, Outcome, Phase, Reply, Verdict
from messaging.delivery.ways import Kind, Route
from messaging.models import Tier

TAKEN = Outcome(Verdict.DELIVERED, None, Phase.DONE)
TOO_FAST = Outcome(Verdict.DEFERRED, Cause.RATE_LIMITED, Phase.RCPT, Reply(451, None, "too fast"))
LATER = Outcome(Verdict.DEFERRED, Cause.RATE_LIMITED, Phase.RCPT, Reply(451, None, "later"), retry_after=60.0)
ACME, GLOBEX = 1, 2
AWAY = Outcome(Verdict.DEFERRED, Cause.CONNECTION, Phase.CONNECTING)


class Stage:
    """A lane whose attempts end when the test says so. They are its carrier's, too."""

    def __init__(self, connections: int = 20) -> None:
        self.running: list[asyncio.Future[Outcome]] = []
        self.lane = Lane(connections, lambda: self, self._carry)

    async def close(self) -> None:
        return

    async def deliver(self, claim: object, mark: Callable[[], Awaitable[bool]]) -> Outcome:
        raise AssertionError("the lane lets the worker carry")

    async def _carry(self, carrier: object, job: Job) -> Outcome:
        end: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.running.append(end)
        return await end

    async def fill(self, count: int, tier: Tier = Tier.NORMAL, account: int = ACME) -> None:
        route = Route("mx", "mx", Kind.MX)
        for number in range(count):
            name = f"{tier.label}{number}" if account == ACME else f"other{number}"
            claim = SimpleNamespace(id=name, tier=tier, account_id=account)
            self.lane.add(Job(claim, route, None, "hanbit.example"))
        await settle()

    async def end(self, count: int, outcome: Outcome = TAKEN) -> None:
        """The oldest attempts end, one by one."""
        for _ in range(count):
            self.running.pop(0).set_result(outcome)
            await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def played(story: Callable[[Stage], Awaitable[None]]) -> None:
    async def play() -> None:
        stage = Stage()
        try:
            await story(stage)
        finally:
            stage.lane.take_waiting()
            await stage.lane.close()

    asyncio.run(play())


def test_a_lane_starts_with_four_connections_and_each_success_allows_one_more():
    async def story(stage: Stage) -> None:
        await stage.fill(100)
        assert len(stage.running) == 4
        await stage.end(6)
        assert len(stage.running) == 10

    played(story)


def test_near_its_limit_it_takes_a_round_of_successes_to_allow_one_more():
    async def story(stage: Stage) -> None:
        await stage.fill(100)
        await stage.end(6 + 9)
        assert len(stage.running) == 10
        await stage.end(1)
        assert len(stage.running) == 11

    played(story)


def test_it_never_uses_more_than_its_limit():
    async def story(stage: Stage) -> None:
        await stage.fill(1000)
        await stage.end(400)
        assert len(stage.running) == 20

    played(story)


def test_a_deferral_for_the_rate_halves_it_once_for_all_that_were_under_way():
    async def story(stage: Stage) -> None:
        await stage.fill(100)
        await stage.end(6)
        await stage.end(5, TOO_FAST)
        assert len(stage.running) == 5
        await stage.end(5, TOO_FAST)
        assert len(stage.running) == 5
        await stage.end(5, TOO_FAST)
        assert len(stage.running) == 2

    played(story)


def test_after_a_cut_it_grows_again_only_slowly():
    async def story(stage: Stage) -> None:
        await stage.fill(100)
        await stage.end(6)
        await stage.end(5, TOO_FAST)
        await stage.end(4)
        assert len(stage.running) == 5
        await stage.end(1)
        assert len(stage.running) == 6

    played(story)


def test_a_connection_that_fails_leaves_one():
    async def story(stage: Stage) -> None:
        await stage.fill(100)
        await stage.end(4, AWAY)
        assert len(stage.running) == 1

    played(story)


def test_who_asks_to_be_left_alone_gets_nothing_more_of_that_tier_and_those_below():
    async def story(stage: Stage) -> None:
        await stage.fill(4)
        for tier in Tier:
            await stage.fill(2, tier)
        await stage.end(1, LATER)
        left = {job.claim.id for job in stage.lane.take_quiet()}
        assert left == {"normal0", "normal1", "low0", "low1"}
        assert stage.lane.pause(Tier.HIGH, ACME)[0] == 0.0
        seconds, why = stage.lane.pause(Tier.LOW, ACME)
        assert (seconds, why) == (pytest.approx(60, abs=2), "route {route} asked to be left alone")

    played(story)


def test_what_is_given_up_leaves_the_others_in_their_order():
    async def story(stage: Stage) -> None:
        await stage.fill(4)
        await stage.fill(4, Tier.LOW)
        await stage.fill(2, Tier.HIGH)
        assert len(stage.lane.take_waiting(lambda job: job.claim.id in ("low1", "high0"))) == 2
        assert [job.claim.id for job in stage.lane.take_waiting()] == ["high1", "low0", "low2", "low3"]
        assert stage.lane.held == 4

    played(story)


def left(stage: Stage) -> list[str]:
    """What waits, in the order in which it will go."""
    return [job.claim.id for job in stage.lane.take_waiting()]


def test_accounts_of_a_tier_go_one_after_another_whoever_came_first():
    async def story(stage: Stage) -> None:
        await stage.fill(4)
        await stage.fill(4, Tier.LOW)
        await stage.fill(2, Tier.LOW, GLOBEX)
        await stage.fill(1, Tier.NORMAL, GLOBEX)
        assert left(stage) == ["other0", "low0", "other0", "low1", "other1", "low2", "low3"]

    played(story)


def test_who_comes_to_a_long_line_goes_next_and_not_again_and_again():
    async def story(stage: Stage) -> None:
        await stage.fill(4 + 50)
        await stage.end(10)
        await stage.fill(3, Tier.NORMAL, GLOBEX)
        assert left(stage)[:6] == ["other0", "normal20", "other1", "normal21", "other2", "normal22"]

    played(story)


def test_a_full_line_is_full_for_those_who_filled_it():
    async def story(stage: Stage) -> None:
        await stage.fill(4 + 400)
        seconds, why = stage.lane.pause(Tier.NORMAL, ACME)
        assert (seconds > 0, why) == (True, "route {route} is busy")
        assert stage.lane.pause(Tier.NORMAL, GLOBEX, taken=90, own=2) == (0.0, "")
        await stage.fill(400, Tier.NORMAL, GLOBEX)
        assert stage.lane.pause(Tier.NORMAL, GLOBEX)[0] > 0

    played(story)


def test_the_turns_of_a_long_backlog_are_its_accounts_own(monkeypatch):
    monkeypatch.setattr(lanes, "monotonic", lambda: 1_000.0)

    async def story(stage: Stage) -> None:
        await stage.fill(4 + 400)
        await stage.fill(400, Tier.NORMAL, GLOBEX)
        waits = [stage.lane.pause(Tier.NORMAL, ACME)[0] for _ in range(200)]
        assert waits == sorted(waits)
        assert stage.lane.pause(Tier.NORMAL, GLOBEX)[0] < waits[10]

    played(story)


def test_a_lane_that_had_nothing_to_do_is_not_stuck_when_it_begins_again(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(lanes, "monotonic", lambda: now)

    async def story(stage: Stage) -> None:
        nonlocal now
        stage.lane.connections = 4
        await stage.fill(4)
        await stage.end(4)
        now += 60
        await stage.fill(20)
        assert stage.lane.pause(Tier.NORMAL, ACME)[0] == 0
        now += lanes.STUCK + 1
        assert stage.lane.pause(Tier.NORMAL, ACME)[0] > 0

    played(story)
