"""A drain: what is due goes out, in order, over few connections, and whatever becomes of it is written down."""

import asyncio
import email
import random
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from unittest import mock
from urllib.parse import urlsplit

import pytest
from django.db import OperationalError

from messaging.delivery import beats, ledger, queue, worker
from sendarix.core import grouping
from tests import world
from tests.delivery.dns_server import DnsServer, Records
from tests.delivery.smtp_sink import Drop, Hang, Held, Later, SmtpSink
from tests.world import MAIL, attempts, drain, message, send, status, story


def recipients(sink) -> list[str]:
    return [mail.recipients[0].partition("@")[0] for mail in sink.accepted]


@pytest.fixture
def one_by_one(sink, take_route):
    """A single connection, so that the order of arrival is the order of sending."""
    take_route(f"smtp://127.0.0.1:{sink.port}?tls=none&connections=1")


def send_to(api, *names, **fields) -> list[str]:
    return [send(api, recipient=f"{name}@hanbit.example", **fields) for name in names]


def draining(linger: float = 0.6):
    return world.in_background(worker.drain, 20.0, linger)


# order


def test_within_a_tier_the_first_accepted_goes_first(api, sink, one_by_one):
    send_to(api, "a", "b", "c", "d")
    assert drain() == 4
    assert recipients(sink) == ["a", "b", "c", "d"]


def test_a_higher_tier_goes_before_a_lower_one(api, sink, one_by_one):
    for tier in ("low", "normal", "high", "critical"):
        send_to(api, f"{tier}1", f"{tier}2", priority=tier)
    drain()
    assert recipients(sink) == [f"{tier}{n}" for tier in ("critical", "high", "normal", "low") for n in (1, 2)]


def test_a_critical_message_overtakes_those_a_worker_already_holds(api, sink, one_by_one):
    sink.script["dot"] = lambda _: Later(0.02)
    api.post("/v1/messages/batch", {"messages": [MAIL | {"priority": "low", "recipient": "low@hanbit.example"}] * 60})
    running = draining()
    assert sink.wait_for(lambda server: len(server.accepted) >= 3)
    send_to(api, "urgent", priority="critical")
    accepted_meanwhile = len(sink.accepted)
    running.result()
    assert recipients(sink).index("urgent") <= accepted_meanwhile + 5


def test_a_critical_message_does_not_wait_until_a_full_worker_looks_at_the_queue_again(
    api, sink, one_by_one, monkeypatch
):
    monkeypatch.setattr(worker, "ROOM", 60)
    monkeypatch.setattr(worker, "BATCH", 60)
    monkeypatch.setattr(worker, "REFILL", 60.0)
    sink.script["dot"] = lambda _: Later(0.03)
    api.post("/v1/messages/batch", {"messages": [MAIL | {"priority": "low", "recipient": "low@hanbit.example"}] * 60})
    running = draining()
    assert sink.wait_for(lambda server: len(server.accepted) >= 3)
    send_to(api, "urgent", priority="critical")
    accepted_meanwhile = len(sink.accepted)
    running.result()
    assert recipients(sink).index("urgent") <= accepted_meanwhile + 10


# a drain's end


def test_a_drain_whose_time_is_up_waits_calmly_for_what_it_holds(api, sink, one_by_one, monkeypatch):
    def claim(*arguments):
        claims = queue_claim(*arguments)
        time.sleep(0.1)
        return claims

    queue_claim, tick, ticks = queue.claim, ledger.Ledger.tick, mock.Mock(return_value=None)
    monkeypatch.setattr(queue, "claim", claim)
    monkeypatch.setattr(ledger.Ledger, "tick", lambda self: ticks() or tick(self))
    monkeypatch.setattr(worker, "BATCH", 10)
    sink.script["dot"] = lambda _: Later(0.03)
    send_to(api, *"abcdefghijklmnopqrst")
    began = time.monotonic()
    worker.drain(budget=0.05)
    assert len(sink.accepted) == 20
    assert ticks.call_count <= 10 + (time.monotonic() - began) / (worker.POLL / 2)


# retries


def test_a_message_is_tried_six_times_up_the_ladder_and_then_dead(api, sink):
    sink.script["rcpt"] = "451 4.3.0 out of order"
    message_id = send(api)
    waits = []
    for _ in range(6):
        world.bring_due()
        assert drain() == 1
        waits += [
            float(wait)
            for (wait,) in world.sql("SELECT extract(epoch FROM due_at - clock_timestamp()) FROM messages")
            if wait
        ]
    world.bring_due()
    assert drain() == 0
    for wait, step in zip(waits, (30, 300, 1800, 7200, 18000), strict=True):
        assert step - 1 < wait < step * 1.1
    assert story(api, message_id) == ["queued", "accepted", *["deferred"] * 5, "bounced"]
    assert message(api, message_id)["events"][-1]["data"]["reason"] == "retries_exhausted"
    assert [attempt["number"] for attempt in attempts(api, message_id)] == [1, 2, 3, 4, 5, 6]
    assert api.get("/v1/dead-letters").json["data"][0]["cause"] == "retries_exhausted"
    assert world.sql("SELECT count(*) FROM suppressions") == [(0,)]


def test_a_permanent_refusal_ends_it_at_once(api, sink):
    sink.script["rcpt"] = "550 5.1.1 no such user"
    message_id = send(api)
    drain()
    shown = message(api, message_id)
    assert (shown["status"], shown["reason"], shown["attempts"]) == ("bounced", "mailbox_unknown", 1)
    assert (
        shown["events"][-1]["data"]["smtp"] | {"code": 550, "enhanced": "5.1.1", "text": "no such user"}
        == (shown["events"][-1]["data"]["smtp"])
    )
    assert world.sql("SELECT recipient_key, reason FROM suppressions") == [("kim@hanbit.example", "hard_bounce")]


def test_a_server_that_is_away_defers_the_message(api, take_route):
    with SmtpSink() as gone:
        port = gone.port
    take_route(f"smtp://127.0.0.1:{port}?tls=none")
    message_id = send(api)
    drain()
    shown = message(api, message_id)
    assert (shown["status"], shown["reason"]) == ("deferred", "connection")
    assert attempts(api, message_id)[0]["phase"] == "connecting"


# time


def test_an_expired_message_is_not_sent_any_more(api, sink):
    message_id = send(api, ttl_seconds=60)
    world.sql("UPDATE messages SET expires_at = clock_timestamp()")
    assert (drain(), sink.dots) == (0, 0)
    assert story(api, message_id) == ["queued", "expired"]
    assert attempts(api, message_id) == []


def test_a_retry_waits_no_longer_than_the_message_lives(api, sink):
    sink.script["rcpt"] = ["450 4.2.1 later"]
    message_id = send(api, ttl_seconds=10)
    drain()
    assert message(api, message_id)["waiting"]["until"] == message(api, message_id)["expires_at"]
    world.sql("UPDATE messages SET due_at = now(), expires_at = now()")
    drain()
    assert story(api, message_id) == ["queued", "accepted", "deferred", "expired"]


def test_a_scheduled_message_goes_out_at_its_time(api, sink):
    arrived = []
    sink.on_transaction = lambda _: arrived.append(datetime.now(UTC))
    at = datetime.now(UTC) + timedelta(seconds=0.8)
    send(api, scheduled_time=at.isoformat())
    worker.drain(10.0, 1.5)
    assert arrived[0] >= at


def test_a_message_with_no_room_at_its_destination_waits_without_an_event(api, sink, one_by_one):
    sink.script["connect"] = [Hang(1.0)]
    api.post("/v1/messages/batch", {"messages": [MAIL] * 400})
    running = world.in_background(drain)
    ((paced,), *_) = world.until(lambda: world.sql("SELECT id FROM messages WHERE waits_for = 'paced'"))
    running.result()
    world.bring_due()
    drain()
    assert (story(api, paced), message(api, paced)["attempts"]) == (["queued", "accepted", "delivered"], 1)


# connections


def test_messages_share_a_connection(api, sink, one_by_one):
    send_to(api, "a", "b", "c")
    drain()
    assert [session.dots for session in sink.sessions] == [3]


def test_a_lone_message_finds_the_connection_of_the_last_one(api, sink):
    running = draining()
    for name in ("a", "b", "c"):
        send_to(api, name)
        assert sink.wait_for(lambda server, name=name: name in recipients(server))
    running.result()
    assert len(sink.sessions) == 1


def test_a_kept_connection_that_died_costs_no_attempt(api, sink):
    sink.script["dot"] = lambda _: None
    running = draining()
    first, second = send_to(api, "a")[0], None
    assert sink.wait_for(lambda server: bool(server.accepted))
    sink.script["mail"] = [Drop()]
    second = send_to(api, "b")[0]
    running.result()
    assert recipients(sink) == ["a", "b"]
    assert [message(api, one)["attempts"] for one in (first, second)] == [1, 1]


def test_a_burst_after_a_lone_message_goes_over_many_connections(api, sink, take_route):
    take_route(f"smtp://127.0.0.1:{sink.port}?tls=none&connections=4")
    running = draining()
    send_to(api, "first")
    assert sink.wait_for(lambda server: bool(server.accepted))
    time.sleep(0.1)
    sink.script["dot"] = lambda _: Later(0.3)
    api.post("/v1/messages/batch", {"messages": [MAIL] * 12})
    assert sink.wait_for(lambda server: len(server.accepted) == 13, 10)
    running.result()
    assert [session.dots > 1 for session in sink.sessions] == [True] * 4


def test_a_slow_destination_does_not_hold_up_another(api, settings, take_route):
    zones: Records = {f"{name}.example": {"MX": [f"10 mx.{name}.example."]} for name in ("slow", "quick")}
    hosts: Records = {"mx.slow.example": {"A": ["127.0.0.2"]}, "mx.quick.example": {"A": ["127.0.0.3"]}}
    go_on = threading.Event()
    with (
        DnsServer(zones | hosts) as names,
        SmtpSink({"rcpt": lambda _: Held(go_on)}, host="127.0.0.2") as slow,
        SmtpSink(host="127.0.0.3", port=slow.port) as quick,
    ):
        settings.DNS_SERVERS = [urlsplit(f"//127.0.0.1:{names.address[1]}")]
        take_route(f"mx:?port={slow.port}&allow_private=1&tls=none")
        api.post("/v1/messages/batch", {"messages": [MAIL | {"recipient": "a@slow.example"}] * 40})
        message_id = send(api, recipient="b@quick.example")
        running = world.in_background(drain)
        assert quick.wait_for(lambda server: bool(server.accepted))
        assert slow.accepted == []
        go_on.set()
        running.result()
        assert len(slow.accepted) == 40
        assert attempts(api, message_id)[0]["mx"] == "mx.quick.example"
        assert attempts(api, message_id)[0]["address"] == "127.0.0.3"


# claims, marks and fences


def recover() -> int:
    """What the dispatcher does once the lease of a silent worker is over."""
    with mock.patch.object(queue, "LEASE", timedelta(0)):
        return ledger.recover(random.Random(1))


def test_a_claim_whose_worker_ended_before_the_dot_is_given_back_free_of_charge(api, sink):
    message_id = send(api)
    world.dying_worker(message_id)
    assert (drain(), recover(), recover()) == (0, 1, 0)
    assert drain() == 1
    lost, made = attempts(api, message_id)
    assert (lost["number"], lost["verdict"], lost["cause"], lost["phase"]) == (1, "deferred", "system", "claimed")
    assert (made["number"], made["verdict"], sink.dots) == (1, "delivered", 1)
    assert message(api, message_id)["attempts"] == 1


def test_a_claim_whose_worker_ended_at_the_dot_is_sent_again_visibly(api, sink):
    message_id = send(api)
    world.dying_worker(message_id, marked=True)
    assert recover() == 1
    shown = message(api, message_id)
    assert (shown["status"], shown["reason"], shown["attempts"]) == ("deferred", "uncertain", 1)
    assert shown["events"][-1]["data"]["uncertain"] is True
    world.bring_due()
    drain()
    assert story(api, message_id)[-2:] == ["deferred", "delivered"]
    assert f"Message-ID: <{message_id}@acme.example>".encode() in sink.accepted[0].content


def test_a_dot_without_an_answer_is_uncertain_and_repeated_under_the_same_message_id(api, sink):
    sink.script["dot"] = [Drop()]
    message_id = send(api)
    drain()
    shown = message(api, message_id)
    assert (shown["status"], shown["reason"]) == ("deferred", "uncertain")
    assert shown["events"][-1]["data"]["uncertain"] is True
    world.bring_due()
    drain()
    first, second = (email.message_from_bytes(mail.content)["Message-ID"] for mail in sink.transactions)
    assert first == second == f"<{message_id}@acme.example>"
    assert status(api, message_id) == "delivered"


def test_a_last_try_lost_at_the_dot_is_a_dead_letter_like_any_other(api, sink):
    message_id = send(api)
    world.dying_worker(message_id, marked=True)
    world.sql("UPDATE messages SET attempt = 5")
    recover()
    assert (status(api, message_id), message(api, message_id)["reason"]) == ("bounced", "retries_exhausted")
    assert [letter["cause"] for letter in api.get("/v1/dead-letters").json["data"]] == ["retries_exhausted"]


def test_a_message_that_ends_worker_after_worker_climbs_the_ladder(api, sink):
    message_id = send(api)
    for _ in range(5):
        world.dying_worker(message_id)
        recover()
    assert message(api, message_id)["attempts"] == 0
    world.dying_worker(message_id)
    recover()
    assert (status(api, message_id), message(api, message_id)["reason"]) == ("deferred", "system")


def test_a_worker_that_lost_its_claim_writes_no_dot(api, sink):
    go_on = threading.Event()
    sink.script["data"] = [Held(go_on)]
    message_id = send(api)
    running = world.in_background(drain)
    assert sink.wait_for(lambda server: any("DATA" in session.commands for session in server.sessions))
    world.sql("UPDATE messages SET fence = fence + 1, worker = 'another'")
    go_on.set()
    running.result()
    assert sink.dots == 0
    assert (status(api, message_id), attempts(api, message_id)) == ("accepted", [])


@pytest.mark.parametrize("losses", [0, 20])
def test_a_worker_thought_dead_writes_no_dot_when_it_goes_on(api, sink, losses):
    go_on = threading.Event()
    sink.script["data"] = [Held(go_on)]
    message_id = send(api)
    world.sql("UPDATE messages SET fence = %s", losses)
    running = world.in_background(drain)
    assert sink.wait_for(lambda server: any("DATA" in session.commands for session in server.sessions))
    world.sql("UPDATE messages SET worker = 'gone'")
    recover()
    world.sql("UPDATE messages SET due_at = now() + interval '1 hour'")
    go_on.set()
    running.result()
    assert sink.dots == 0
    world.bring_due()
    drain()
    assert (status(api, message_id), sink.dots) == ("delivered", 1)


def test_the_outcome_of_a_worker_that_lost_its_claim_is_not_recorded(api, sink):
    go_on = threading.Event()
    sink.script["dot"] = [Held(go_on)]
    message_id = send(api)
    running = world.in_background(drain)
    assert sink.wait_for(lambda server: server.dots > 0)
    world.sql("UPDATE messages SET fence = fence + 1, worker = 'another'")
    go_on.set()
    running.result()
    assert (status(api, message_id), attempts(api, message_id)) == ("accepted", [])
    assert world.sql("SELECT worker FROM messages") == [("another",)]


def test_connections_cut_while_idle_cost_no_attempt(api, sink):
    attachment = {"filename": "a.txt", "content": "AAAA"}
    for _ in range(2):
        message_id = send(api, attachments=[attachment])
        drain()
        assert (status(api, message_id), message(api, message_id)["attempts"]) == ("delivered", 1)
        world.cut_connections()


def test_a_drain_goes_on_when_all_its_connections_to_the_database_are_cut(api, sink):
    sink.script["dot"] = lambda _: Later(0.02)
    api.post("/v1/messages/batch", {"messages": [MAIL] * 100})
    running = world.in_background(drain)
    assert sink.wait_for(lambda server: len(server.accepted) > 5)
    world.cut_connections()
    running.result()
    drain()
    recover()
    world.bring_due()
    drain()
    assert world.sql("SELECT status, count(*) FROM messages GROUP BY 1") == [("delivered", 100)]
    ids = re.findall(rb"Message-ID: (\S+)", b"".join(mail.content for mail in sink.accepted))
    uncertain = world.sql("SELECT count(*) FROM attempts WHERE verdict = 'uncertain'")[0][0]
    assert len(set(ids)) == 100
    assert len(ids) <= 100 + uncertain


def test_a_drain_that_may_have_lost_a_claim_leaves_however_long_the_database_is_away(db, monkeypatch):
    drain = worker.Drain(worker.threads(), 1.0, 0.0)
    monkeypatch.setattr(beats, "beat", mock.Mock(side_effect=OperationalError))
    drain.leaving = True
    asyncio.run(drain._claim(0))
    assert drain.leaving


def test_a_connection_that_died_while_it_stood_idle_is_made_anew(db):
    with ThreadPoolExecutor(1) as thread:
        thread.submit(queue.body, "msg_").result()
        world.cut_connections()
        assert thread.submit(grouping.reconnecting, queue.body, "msg_").result() == (None, None)
        thread.submit(worker._drop_connection).result()
