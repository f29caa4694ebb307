"""Mail that waits in the name of a domain which is not its account's any more: it ends without a dot, and says why."""

import pytest

from messaging.delivery import identities
from messaging.models import SenderDomain
from tests import world
from tests.world import drain, message, send, story

FROM = {"from": "Hanbit <shop@hanbit.example>"}


@pytest.fixture(autouse=True)
def _nothing_kept():
    identities.forget()


def lost(company) -> None:
    """As _lose leaves it when another account's ownership record was found; and seen by now."""
    SenderDomain.objects.filter(account=company.account, domain="hanbit.example").update(owned=False, status="pending")
    identities.forget()


def removed(company) -> None:
    assert company.live.delete("/v1/domains/hanbit.example").status == 200
    identities.forget()


def waiting(company, sink, **fields) -> str:
    """A message whose first try was deferred."""
    sink.script["rcpt"] = ["450 4.2.1 later"]
    message_id = send(company.live, **FROM, **fields)
    drain()
    assert story(company.live, message_id)[-1] == "deferred"
    world.bring_due()
    return message_id


@pytest.mark.parametrize("gone", [removed, lost])
def test_what_was_scheduled_is_not_sent(acme, sink, gone):
    world.domain(acme, "hanbit.example")
    message_id = send(acme.live, **FROM, scheduled_time=world.from_now(hours=1))
    gone(acme)
    world.bring_due()
    assert (drain(), sink.dots) == (0, 0)
    shown = message(acme.live, message_id)
    assert (shown["status"], shown["reason"]) == ("bounced", "sender_domain_lost")
    assert story(acme.live, message_id) == ["scheduled", "queued", "accepted", "bounced"]
    assert shown["events"][-1]["data"]["reason"] == "sender_domain_lost"
    assert "hanbit.example" in shown["events"][-1]["data"]["detail"]


@pytest.mark.parametrize("gone", [removed, lost])
def test_what_was_deferred_is_not_tried_again(acme, sink, gone):
    world.domain(acme, "hanbit.example")
    message_id = waiting(acme, sink)
    gone(acme)
    assert (drain(), sink.dots) == (0, 0)
    assert story(acme.live, message_id) == ["queued", "accepted", "deferred", "bounced"]


def test_it_is_a_dead_letter_that_suppresses_nobody(acme, sink):
    world.domain(acme, "hanbit.example")
    message_id = waiting(acme, sink)
    removed(acme)
    drain()
    (letter,) = acme.live.get("/v1/dead-letters", {"cause": "sender_domain_lost"}).json["data"]
    assert letter["message"]["message_id"] == message_id
    assert world.sql("SELECT count(*) FROM suppressions") == [(0,)]


def test_a_dead_one_goes_out_once_the_domain_is_back(acme, sink):
    world.domain(acme, "hanbit.example")
    message_id = waiting(acme, sink)
    removed(acme)
    drain()
    world.domain(acme, "hanbit.example")
    assert acme.live.post(f"/v1/messages/{message_id}/retry").status == 200
    drain()
    assert (story(acme.live, message_id)[-1], sink.dots) == ("delivered", 1)


def test_a_test_key_s_mail_is_no_different(acme):
    world.domain(acme, "hanbit.example")
    message_id = send(acme.test, **FROM, scheduled_time=world.from_now(hours=1))
    removed(acme)
    world.bring_due()
    drain()
    assert message(acme.test, message_id)["reason"] == "sender_domain_lost"


def test_somebody_else_s_proven_domain_below_ours_is_theirs(acme, globex, sink):
    world.domain(acme, "hanbit.example")
    message_id = send(acme.live, **{"from": "a@shop.hanbit.example"}, scheduled_time=world.from_now(hours=1))
    world.domain(globex, "shop.hanbit.example")
    identities.forget()
    world.bring_due()
    drain()
    assert (message(acme.live, message_id)["reason"], sink.dots) == ("sender_domain_lost", 0)


@pytest.mark.parametrize(("policy", "sent"), [("registered", 1), ("verified", 0)])
def test_a_domain_never_proven_is_the_account_s_where_that_is_enough(transactional_db, sink, policy, sent):
    initech = world.company("initech", sender_policy="registered")
    world.domain(initech, "hanbit.example", status="pending", trusted=False)
    send(initech.live, **FROM)
    world.sql("UPDATE accounts SET sender_policy = %s WHERE id = %s", policy, initech.account.pk)
    drain()
    assert sink.dots == sent


def test_a_broken_domain_is_still_the_account_s(acme, sink):
    world.domain(acme, "hanbit.example")
    message_id = send(acme.live, **FROM)
    SenderDomain.objects.filter(domain="hanbit.example").update(status="broken")
    drain()
    assert (story(acme.live, message_id)[-1], sink.dots) == ("delivered", 1)


def test_mail_of_the_account_s_other_domains_goes_on(acme, sink):
    world.domain(acme, "hanbit.example")
    gone, kept = send(acme.live, **FROM), send(acme.live)
    removed(acme)
    drain()
    assert (story(acme.live, gone)[-1], story(acme.live, kept)[-1], sink.dots) == ("bounced", "delivered", 1)
