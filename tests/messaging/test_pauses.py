"""Pausing and resuming: what waits, what goes on, and how it goes on again."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from threading import Event

import pytest
from django.core.management import CommandError, call_command

from messaging.delivery import policy, routebook
from messaging.models import QueuePause
from messaging.queues import pauses
from sendarix.accounts.models import AuditEntry
from tests import world
from tests.delivery.paths import route
from tests.delivery.smtp_sink import SmtpSink
from tests.world import attempts, drain, from_now, in_background, message, send, status, story

WHY = {"reason": "Gmail defers us"}
MIN = {"recipient": "min@gmail.com"}


def pause(api, **fields) -> str:
    answer = api.post("/v1/queues/pause", WHY | fields)
    assert answer.status == 201, answer.json
    return answer.json["id"]


def resume(api, **fields) -> dict:
    answer = api.post("/v1/queues/resume", fields)
    assert answer.status == 200, answer.json
    return answer.json


def expire() -> None:
    """As if the end of every pause had come."""
    QueuePause.objects.update(expires_at=datetime.now(UTC) - timedelta(milliseconds=1))
    routebook.forget()


def claims(message_id: str) -> int:
    return world.sql("SELECT fence FROM messages WHERE id = %s", message_id)[0][0]


@pytest.mark.parametrize(
    ("where", "held"),
    [
        ({"tier": "low"}, {"priority": "low"}),
        ({"destination": "gmail"}, MIN),
        ({"destination": "DAESAN.example"}, {"recipient": "lee@daesan.example"}),
        ({"destination": "gmail", "tier": "low"}, MIN | {"priority": "low"}),
        ({"all": True}, {"priority": "critical"}),
    ],
    ids=["tier", "group", "domain", "both", "all"],
)
def test_a_pause_holds_what_it_names_until_it_is_resumed(api, sink, where, held):
    pause_id = pause(api, **where)
    waits = send(api, **held)
    goes = None if "all" in where else send(api)
    drain()
    assert message(api, waits)["waiting"] == {"for": "paused", "until": None, "why": "paused: Gmail defers us"}
    assert goes is None or status(api, goes) == "delivered"
    assert resume(api, id=pause_id) == {"resumed": 1, "released": 1}
    drain()
    assert story(api, waits) == ["queued", "accepted", "delivered"]


def test_a_message_tells_of_its_pause_before_any_worker_has_seen_it(api):
    waits, later = send(api), send(api, scheduled_time=from_now(hours=1))
    ends = from_now(hours=2)
    pause(api, all=True, expires_at=ends)
    told = message(api, waits)["waiting"]
    assert (told["for"], told["why"]) == ("paused", "paused: Gmail defers us")
    assert told["until"][:19] == ends[:19]
    assert message(api, later)["waiting"]["for"] == "scheduled"


def test_a_paused_route_leaves_its_mail_to_the_others_and_holds_it_when_there_are_none(acme, api, sink):
    with SmtpSink() as backup:
        first, second = route("first", sink.port, acme), route("second", backup.port, acme)
        pause(api, route=first.id)
        taken = send(api)
        drain()
        assert attempts(api, taken)[0]["route"] == "second"
        pause(api, route=second.id, reason="moving house")
        waits = send(api)
        drain()
        assert message(api, waits)["waiting"]["for"] == "paused"
        assert "first: paused: Gmail defers us; second: paused: moving house" in message(api, waits)["waiting"]["why"]
        assert resume(api, route=second.id) == {"resumed": 1, "released": 1}
        drain()
        assert attempts(api, waits)[0]["route"] == "second"


def test_a_pause_of_a_key_holds_what_this_key_has_sent_and_sends_and_nothing_else(acme, api, sink):
    other = acme.key()
    before = send(other)
    key_id = world.sql("SELECT key_id FROM message_contents")[0][0]
    pause_id = pause(api, key=key_id)
    after, free = send(other), send(api)
    drain()
    assert (status(api, before), status(api, after), status(api, free)) == ("queued", "queued", "delivered")
    assert message(api, after)["waiting"]["why"] == "paused: Gmail defers us"
    assert [one["key"] for one in api.get("/v1/queues/pauses").json["data"]] == [key_id]
    assert api.post("/v1/queues/purge", {"filter": {"key": key_id}}).json["matched"] == 2
    assert resume(api, id=pause_id) == {"resumed": 1, "released": 2}
    drain()
    assert (status(api, before), status(api, after)) == ("delivered", "delivered")


def test_an_accounts_pause_is_nobody_elses(acme, globex, sink):
    pause(acme.live, all=True)
    held, free = send(acme.live), send(globex.live)
    drain()
    assert (status(acme.live, held), status(globex.live, free)) == ("queued", "delivered")
    assert globex.live.get("/v1/queues/pauses").json["data"] == []
    assert resume(globex.live, all=True) == {"resumed": 0, "released": 0}


def test_test_mail_is_never_held_back(acme):
    pause(acme.live, all=True)
    sent = send(acme.test, recipient="delivered@sandbox.sendarix.test")
    assert message(acme.test, sent)["waiting"]["for"] == "queued"
    drain()
    assert status(acme.test, sent) == "delivered"


def test_what_is_paused_is_looked_at_once_and_not_over_and_over(api, sink):
    pause(api, all=True)
    waits = send(api)
    for _ in range(3):
        drain()
    due_in = world.sql("SELECT due_at - clock_timestamp() FROM messages WHERE id = %s", waits)[0][0]
    assert policy.PAUSED - timedelta(minutes=1) < due_in <= policy.PAUSED
    assert claims(waits) == 0


def test_a_message_waits_no_longer_than_its_pause_and_its_own_end(api, sink):
    pause(api, all=True, seconds=600)
    plain, short = send(api), send(api, ttl_seconds=60)
    drain()
    ends = QueuePause.objects.get().expires_at
    due = dict(world.sql("SELECT id, due_at FROM messages"))
    assert due[plain] == ends
    assert due[short] == world.sql("SELECT expires_at FROM messages WHERE id = %s", short)[0][0]


def test_when_a_pause_has_expired_its_mail_goes_on_by_itself(api, sink):
    pause_id = pause(api, all=True, seconds=600)
    waits = send(api)
    drain()
    expire()
    pauses.sweep()
    drain()
    assert status(api, waits) == "delivered"
    assert not QueuePause.objects.exists()
    entry = AuditEntry.objects.get(action="queue.resumed")
    assert (entry.actor, entry.subject, entry.before["reason"]) == ("expiry", pause_id, WHY["reason"])


def test_mail_goes_on_in_the_order_in_which_it_was_accepted(api, sink):
    pause(api, all=True)
    held = [send(api, subject=f"number {number}") for number in range(3)]
    drain()
    resume(api, all=True)
    newest = send(api, subject="number 3")
    rows = world.sql("SELECT id FROM messages WHERE due_at <= clock_timestamp() ORDER BY tier, account_id, due_at, id")
    assert [row[0] for row in rows] == [*held, newest]


def test_the_rest_of_a_great_many_is_let_go_by_the_dispatcher(api, sink, monkeypatch):
    monkeypatch.setattr(pauses, "AT_ONCE", -1.0)
    pause(api, all=True)
    waits = send(api)
    drain()
    assert resume(api, all=True) == {"resumed": 1, "released": 0}
    assert api.get("/v1/queues/pauses").json["data"] == []
    monkeypatch.undo()
    pauses.sweep()
    drain()
    assert status(api, waits) == "delivered"
    assert not QueuePause.objects.exists()


def test_a_worker_that_has_not_heard_of_the_end_does_not_hold_mail_for_long(api, sink, monkeypatch):
    pause(api, all=True)
    stale = routebook.snapshot()
    resume(api, all=True)
    waits = send(api)
    monkeypatch.setattr(routebook, "snapshot", lambda: stale)
    drain()
    due_in = world.sql("SELECT due_at - clock_timestamp() FROM messages WHERE id = %s", waits)[0][0]
    assert due_in <= policy.AGAIN


def test_what_another_pause_still_holds_stays(api, sink):
    pause(api, destination="gmail")
    pause(api, tier="low", reason="first the rest")
    waits = send(api, **MIN, priority="low")
    drain()
    resume(api, destination="gmail")
    drain()
    assert message(api, waits)["waiting"]["why"] == "paused: first the rest"
    resume(api, tier="low")
    drain()
    assert status(api, waits) == "delivered"


def test_what_a_worker_has_not_begun_to_send_is_held_back_too(acme, api, sink):
    gate = Event()
    sink.script["data"] = lambda _: (gate.wait(10), None)[1]
    route("narrow", sink.port, acme, connections=1)
    for number in range(5):
        send(api, subject=f"number {number}")
    draining = in_background(drain)
    world.until(lambda: world.sql("SELECT id FROM messages WHERE worker IS NOT NULL") and sink.sessions)
    pause(api, all=True)
    world.until(lambda: len(world.sql("SELECT id FROM messages WHERE waits_for = 'paused'")) == 4)
    gate.set()
    draining.result()
    assert len(sink.transactions) == 1


def test_a_retry_that_is_paused_keeps_its_place_on_the_ladder(api, sink):
    sink.script["rcpt"] = "451 4.3.0 later"
    waits = send(api)
    drain()
    pause(api, all=True)
    world.bring_due()
    drain()
    assert message(api, waits)["waiting"]["for"] == "paused"
    resume(api, all=True)
    assert message(api, waits)["waiting"]["for"] == "retry"
    sink.script.clear()
    drain()
    assert [attempt["number"] for attempt in attempts(api, waits)] == [1, 2]


def test_a_paused_message_can_be_canceled(api, sink):
    pause(api, all=True)
    waits = send(api)
    drain()
    assert api.post(f"/v1/messages/{waits}/cancel").json["status"] == "canceled"


def test_pauses_are_listed_and_in_the_audit_log(api):
    first = pause(api, tier="low", seconds=60)
    second = pause(api, destination="naver")
    listed = api.get("/v1/queues/pauses").json["data"]
    assert [one["id"] for one in listed] == [second, first]
    assert (listed[0]["destination"], listed[0]["expires_at"], listed[0]["platform"]) == ("naver", None, False)
    resume(api, id=first)
    told = [
        (entry.action, entry.subject) for entry in AuditEntry.objects.filter(action__startswith="queue.").order_by("id")
    ]
    assert told == [("queue.paused", first), ("queue.paused", second), ("queue.resumed", first)]
    assert AuditEntry.objects.get(action="queue.resumed").before["reason"] == WHY["reason"]


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({}, "", "required"),
        ({"all": True, "tier": "low"}, "", "conflict"),
        ({"all": False}, "all", "invalid_value"),
        ({"tier": "urgent"}, "tier", "invalid_value"),
        ({"destination": "not a domain"}, "destination", "invalid_value"),
        ({"route": "rte_nowhere"}, "route", "invalid_value"),
        ({"key": "key_nowhere"}, "key", "invalid_value"),
        ({"all": True, "seconds": 0}, "seconds", "out_of_range"),
        ({"all": True, "expires_at": from_now(hours=-1)}, "expires_at", "out_of_range"),
        ({"all": True, "expires_at": from_now(days=400)}, "expires_at", "out_of_range"),
        ({"all": True, "expires_at": from_now(hours=1), "seconds": 5}, "", "conflict"),
        ({"all": True, "reason": ""}, "reason", "too_short"),
        ({"all": True, "reason": "a\nb"}, "reason", "invalid_value"),
    ],
)
def test_what_is_wrong_with_a_pause_is_named(api, fields, field, code):
    answer = api.post("/v1/queues/pause", WHY | fields)
    assert (answer.status, answer.faults[field]) == (422, code)


@pytest.mark.parametrize("fields", [{}, {"id": "pse_1", "tier": "low"}, {"tier": "low", "all": True}])
def test_what_to_resume_must_be_clear(api, fields):
    assert api.post("/v1/queues/resume", fields).status == 422


def test_there_are_so_many_pauses_at_a_time(api, monkeypatch):
    monkeypatch.setattr(pauses, "MOST", 1)
    pause(api, all=True)
    assert api.post("/v1/queues/pause", WHY | {"all": True}).status == 409


def test_anothers_pause_and_route_are_unknown(acme, globex):
    theirs = pause(globex.live, all=True)
    assert acme.live.post("/v1/queues/resume", {"id": theirs}).status == 404
    answer = acme.live.post("/v1/queues/pause", WHY | {"route": route("theirs", owner=globex).id})
    assert answer.faults == {"route": "invalid_value"}


def operate(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue().strip()


def test_operators_hold_everybodys_mail_and_customers_see_it_and_cant_end_it(acme, globex, sink):
    pause_id = operate("pause_queue", "--tier", "normal", "--reason", "moving house")
    mails = [(owner.live, send(owner.live)) for owner in (acme, globex)]
    drain()
    assert {message(api, mail)["waiting"]["why"] for api, mail in mails} == {"paused: moving house"}
    listed = acme.live.get("/v1/queues/pauses").json["data"]
    assert [(one["id"], one["platform"], one["created_by"]) for one in listed] == [(pause_id, True, "operator")]
    assert acme.live.post("/v1/queues/resume", {"id": pause_id}).code == "forbidden"
    assert resume(acme.live, tier="normal")["resumed"] == 0
    assert operate("resume_queue", pause_id) == "1 pauses ended, 2 messages let go"
    drain()
    assert {status(api, mail) for api, mail in mails} == {"delivered"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("pause_queue", "--reason", "x"),
        ("pause_queue", "--reason", "x", "--all", "--seconds", "0"),
        ("resume_queue",),
        ("resume_queue", "pse_nowhere"),
    ],
)
def test_an_operator_is_told_what_is_wrong(transactional_db, arguments):
    with pytest.raises(CommandError):
        operate(*arguments)


def test_a_reason_may_hold_any_character(api, sink):
    pause(api, all=True, reason='"quoted" \\ 100 %')
    waits = send(api)
    drain()
    assert message(api, waits)["waiting"]["why"] == 'paused: "quoted" \\ 100 %'
    assert resume(api, all=True)["released"] == 1
