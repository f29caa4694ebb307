"""Within a tier the accounts take turns: one customer's flood does not make another's mail wait."""

from collections.abc import Sequence

import pytest

from messaging.delivery import queue
from messaging.lifecycle import Change
from messaging.models import Status
from tests import builders, world
from tests.world import MAIL, company, drain, post, send, status

HELD = {"worker": "w", "claims": True, "silent": True}


@pytest.fixture
def initech(transactional_db):
    return company("initech")


def flood(api, count: int, **fields) -> None:
    for start in range(0, count, 500):
        messages = [MAIL | fields] * min(500, count - start)
        assert api.post("/v1/messages/batch", {"messages": messages}).status == 202


def take(room: int, after: int = 0) -> list[queue.Claim]:
    """Claim as a worker does, and hold what is claimed."""

    def decide(claims: Sequence[queue.Claim]) -> dict[str, queue.Decision]:
        return {
            one.id: [Change(one.id, Status(one.status), Status(one.status), one.fence, 0, **HELD)] for one in claims
        }

    return queue.claim("w", room, decide, after)


def counted(claims: list[queue.Claim]) -> dict[int, int]:
    return {account: sum(claim.account_id == account for claim in claims) for account in {c.account_id for c in claims}}


def test_accounts_share_a_claim_and_the_rest_goes_to_whom_it_helps(acme, globex, initech):
    flood(acme.live, 300)
    flood(globex.live, 10)
    send(initech.live)
    shares = counted(take(100))
    assert shares == {acme.account.id: 89, globex.account.id: 10, initech.account.id: 1}


def test_two_floods_get_the_same(acme, globex):
    flood(acme.live, 200)
    flood(globex.live, 200)
    assert counted(take(100)) == {acme.account.id: 50, globex.account.id: 50}


def test_each_account_keeps_its_order_and_nothing_is_taken_twice(acme, globex):
    flood(acme.live, 60)
    flood(globex.live, 30)
    taken = [claim for _ in range(9) for claim in take(10)]
    assert len({claim.id for claim in taken}) == len(taken) == 90
    for owner in (acme, globex):
        own = [claim.id for claim in taken if claim.account_id == owner.account.id]
        assert own == sorted(own)


def test_a_higher_tier_still_goes_first_whosever_it_is(acme, globex):
    flood(acme.live, 50)
    flood(globex.live, 5, priority="high")
    assert [claim.tier for claim in take(10)] == [1] * 5 + [2] * 5


def test_with_more_accounts_than_room_the_next_claim_goes_on_behind(acme, globex, initech):
    owners = sorted(owner.account.id for owner in (acme, globex, initech))
    for owner in (acme, globex, initech):
        flood(owner.live, 4)
    first = take(2)
    assert sorted(c.account_id for c in first) == owners[:2]
    assert sorted(c.account_id for c in take(2, after=owners[1])) == sorted([owners[2], owners[0]])


def test_what_is_not_due_takes_no_share(acme, globex):
    flood(acme.live, 20)
    post(globex.live, scheduled_time=world.from_now(hours=1))
    assert counted(take(20)) == {acme.account.id: 20}


def test_a_flood_does_not_make_anothers_mail_wait_in_a_real_drain(acme, globex, sink):
    flood(acme.live, 800, recipient="crowd@hanbit.example")
    mail = send(globex.live, recipient="kim@hanbit.example")
    while world.sql("SELECT id FROM messages WHERE due_at IS NOT NULL LIMIT 1"):
        drain()
    assert status(globex.live, mail) == "delivered"
    order = [transaction.recipients[0] for transaction in sink.transactions]
    assert (len(order), order.count("kim@hanbit.example")) == (801, 1)
    assert order.index("kim@hanbit.example") < 400


def test_a_paused_flood_is_in_nobodys_way(acme, globex, sink):
    acme.live.post("/v1/queues/pause", {"all": True, "reason": "moving house"})
    flood(acme.live, 400)
    mails = [send(globex.live) for _ in range(3)]
    while world.sql("SELECT id FROM messages WHERE due_at <= clock_timestamp() LIMIT 1"):
        drain()
    assert {status(globex.live, mail) for mail in mails} == {"delivered"}
    assert len(sink.transactions) == 3


def test_due_mail_is_found_behind_many_accounts_whose_mail_waits_for_its_time(acme, globex, monkeypatch):
    monkeypatch.setattr(queue, "MOST_ACCOUNTS", 1)
    first, last = sorted((acme, globex), key=lambda owner: owner.account.id)
    for number in range(8):
        early = builders.account(f"early{number}")
        world.sql("UPDATE accounts SET id = -%s WHERE id = %s", number + 1, early.id)
        copied = send(first.live, scheduled_time=world.from_now(hours=1))
        world.sql("UPDATE messages SET account_id = -%s WHERE id = %s", number + 1, copied)
    due = send(last.live)
    assert [claim.id for claim in take(10, after=-1_000)] == [due]
