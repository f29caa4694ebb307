"""Delivery policies at work: how often, how long and over how many connections a message is tried."""

import random
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from messaging.delivery import ledger, queue
from messaging.models import MailDomain
from tests import world
from tests.delivery import paths
from tests.delivery.paths import policy, route
from tests.delivery.smtp_sink import Drop, Later
from tests.world import MAIL, attempts, drain, message, send, status, story

LATER = "451 4.3.0 later"


def wait_of(message_id: str) -> float:
    """Seconds from its last attempt to the next."""
    [(wait,)] = world.sql(
        "SELECT extract(epoch FROM due_at - (SELECT max(started_at) FROM attempts WHERE message_id = m.id))::float"
        " FROM messages m WHERE id = %s",
        message_id,
    )
    return wait


def test_a_policys_ladder_replaces_the_default_one(api, sink):
    policy("impatient", when={"tags": ["code"]}, retry_ladder=[5, 7])
    sink.script["rcpt"] = LATER
    code, other = send(api, tags=["code"]), send(api)
    drain()
    assert 5 <= wait_of(code) < 25
    assert 30 <= wait_of(other) < 60
    for _ in range(2):
        world.bring_due()
        drain()
    assert (status(api, code), message(api, code)["attempts"]) == ("bounced", 3)
    assert (status(api, other), message(api, other)["attempts"]) == ("deferred", 3)


@pytest.mark.parametrize(
    ("when", "fields"),
    [
        ({"tiers": ["critical"]}, {"priority": "critical"}),
        ({"tags": ["receipt"]}, {"tags": ["receipt"]}),
        ({"destinations": ["daesan.example"]}, {"recipient": "lee@daesan.example"}),
        ({"destinations": ["gmail"]}, {"recipient": "kim@gmail.com"}),
    ],
    ids=["tier", "tag", "domain", "provider"],
)
def test_a_policy_applies_to_what_it_names(api, sink, when, fields):
    policy("short", when=when, retry_ladder=[3])
    sink.script["rcpt"] = LATER
    named, other = send(api, **fields), send(api)
    drain()
    assert (wait_of(named) < 4, wait_of(other) > 29) == (True, True)


def test_a_companys_policy_is_nobody_elses(acme, globex, sink):
    policy("short", acme, retry_ladder=[3])
    sink.script["rcpt"] = LATER
    own, other = send(acme.live), send(globex.live)
    drain()
    assert (wait_of(own) < 4, wait_of(other) > 29) == (True, True)


def test_no_retries_at_all_are_a_policy_too(api, sink):
    policy("once", retry_ladder=[])
    sink.script["rcpt"] = LATER
    message_id = send(api)
    drain()
    assert (status(api, message_id), message(api, message_id)["reason"]) == ("bounced", "retries_exhausted")


def test_a_policys_time_to_live_ends_a_message_that_names_none(api, sink):
    policy("fresh", ttl_seconds=600)
    old, young, own = send(api), send(api), send(api, ttl_seconds=86400)
    world.sql("UPDATE messages SET created_at = created_at - interval '11 minutes' WHERE id = ANY(%s)", [old, own])
    drain()
    assert [status(api, one) for one in (old, young, own)] == ["expired", "delivered", "delivered"]


def test_an_uncertain_hand_over_is_held_when_the_policy_says_so(api, sink):
    policy("once only", when={"tags": ["payment"]}, uncertain="hold")
    sink.script["dot"] = [Drop()]
    message_id = send(api, tags=["payment"])
    drain()
    world.sql("UPDATE messages SET due_at = due_at - interval '1 day'")
    drain()
    shown = message(api, message_id)
    assert (shown["status"], shown["attempts"], shown["waiting"]["for"]) == ("deferred", 1, "held")
    assert shown["waiting"]["why"].startswith("policy once only holds a message whose hand-over is uncertain")
    assert story(api, message_id) == ["queued", "accepted", "deferred"]
    assert sink.dots == 1


def test_a_policy_limits_the_connections_and_the_messages_of_each(api, sink):
    route("wide", sink.port, connections=10)
    policy("gently", pacing={"connections": 2, "per_connection": 3})
    at_once = []

    def dot(_: str) -> Later:
        at_once.append(sum(seen.reply == "(none)" for seen in sink.transactions))
        return Later(0.05)

    sink.script["dot"] = dot
    assert api.post("/v1/messages/batch", {"messages": [MAIL] * 18}).status == 202
    drain()
    assert len(sink.accepted) == 18
    assert max(at_once) == 2
    assert max(session.dots for session in sink.sessions) == 3


def test_a_hand_over_lost_with_its_worker_is_held_where_the_policy_for_its_provider_says_so(api, sink):
    policy("careful", when={"destinations": ["gmail"]}, uncertain="hold")
    MailDomain.objects.create(domain="company.example", provider="gmail", looked_up_at=datetime.now(UTC))
    message_id = send(api, recipient="kim@company.example")
    world.dying_worker(message_id, marked=True)
    with mock.patch.object(queue, "LEASE", timedelta(0)):
        ledger.recover(random.Random(1))
    assert message(api, message_id)["waiting"]["for"] == "held"


def test_a_policys_connections_are_its_own_and_not_those_of_others_by_the_same_route(api, sink):
    route("wide", sink.port, connections=4)
    policy("gently", when={"destinations": ["slow.example"]}, pacing={"connections": 1})
    at_once: dict[str, list[int]] = {"slow.example": [], "hanbit.example": []}

    def dot(_: str) -> Later:
        under_way = [seen.recipients[0].partition("@")[2] for seen in sink.transactions if seen.reply == "(none)"]
        for domain, counts in at_once.items():
            counts.append(under_way.count(domain))
        return Later(0.1)

    sink.script["dot"] = dot
    for recipient in ("lee@slow.example", "kim@hanbit.example"):
        api.post("/v1/messages/batch", {"messages": [MAIL | {"recipient": recipient}] * 8})
    drain()
    assert (max(at_once["slow.example"]), max(at_once["hanbit.example"])) == (1, 4)


def test_what_a_server_asks_for_is_waited_for(api, sink):
    sink.script["rcpt"] = "450 4.2.0 greylisted, try again in 10 minutes"
    message_id = send(api)
    drain()
    assert 600 <= wait_of(message_id) < 630


def test_an_attempt_names_the_policy_it_was_made_under(api, sink):
    policy("gently", retry_ladder=[5])
    message_id = send(api)
    drain()
    assert attempts(api, message_id)[0]["explanation"]["policy"] == "gently"


def test_a_disabled_policy_does_nothing(api, sink):
    policy("short", enabled=False, retry_ladder=[3])
    sink.script["rcpt"] = LATER
    message_id = send(api)
    drain()
    assert wait_of(message_id) >= 30


def test_a_change_of_policy_holds_from_the_next_attempt_on(api, sink):
    sink.script["rcpt"] = LATER
    message_id = send(api)
    drain()
    policy("short", retry_ladder=[3, 3])
    world.bring_due()
    drain()
    assert 3 <= wait_of(message_id) < 30


def test_a_rule_rejects_with_its_reason_and_without_a_connection(api, sink):
    paths.publish({"when": {"domains": ["hanbit.example"]}, "then": {"reject": {"reason": "they left us"}}})
    message_id = send(api)
    drain()
    shown = message(api, message_id)
    assert (shown["status"], shown["reason"], sink.sessions) == ("bounced", "policy", [])
    assert shown["events"][-1]["data"]["detail"] == "rule rule 1: they left us"


def test_a_rule_holds_with_its_reason(api, sink):
    paths.publish({"then": {"hold": {"reason": "until the audit is over", "seconds": 30}}})
    message_id = send(api)
    drain()
    assert message(api, message_id)["waiting"]["why"] == "rule rule 1: until the audit is over"
