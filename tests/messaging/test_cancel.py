"""Cancel: until a worker has the message, never afterwards, and twice is fine."""

import threading
import time
from functools import partial

import pytest

from tests import builders, world
from tests.api_client import Api
from tests.delivery.smtp_sink import Held
from tests.world import drain, message, send, status, story

WAYS = {
    "delete": lambda api, message_id: api.delete(f"/v1/messages/{message_id}"),
    "cancel": lambda api, message_id: api.post(f"/v1/messages/{message_id}/cancel"),
}


@pytest.fixture(params=WAYS)
def cancel(request):
    return WAYS[request.param]


def deferred(api, sink) -> str:
    sink.script["rcpt"] = ["450 4.2.1 later"]
    message_id = send(api)
    drain()
    return message_id


def test_a_queued_message_is_canceled_and_never_sent(api, sink, cancel):
    message_id = send(api)
    answer = cancel(api, message_id)
    assert (answer.status, answer.json["status"]) == (200, "canceled")
    assert (drain(), sink.dots) == (0, 0)
    assert story(api, message_id) == ["queued", "canceled"]
    assert message(api, message_id)["ended_at"]


def test_a_scheduled_message_is_canceled(api, sink, cancel):
    message_id = send(api, scheduled_time=world.from_now(hours=1))
    assert cancel(api, message_id).json["status"] == "canceled"
    world.bring_due()
    assert drain() == 0


def test_a_deferred_message_is_canceled(api, sink, cancel):
    message_id = deferred(api, sink)
    assert cancel(api, message_id).json["status"] == "canceled"
    world.bring_due()
    assert drain() == 0
    assert story(api, message_id) == ["queued", "accepted", "deferred", "canceled"]


def test_canceling_twice_is_200_and_one_event(api, cancel):
    message_id = send(api)
    assert cancel(api, message_id).json == cancel(api, message_id).json
    assert story(api, message_id) == ["queued", "canceled"]


def test_a_message_being_sent_is_404(api, cancel):
    message_id = send(api)
    world.dying_worker(message_id)
    answer = cancel(api, message_id)
    assert (answer.status, answer.code) == (404, "not_cancelable")
    assert "being sent" in answer.json["error"]["message"]


@pytest.mark.parametrize("end", ["delivered", "bounced", "suppressed", "expired"])
def test_a_message_that_has_ended_is_404(acme, sink, cancel, end):
    sink.script["rcpt"] = ["550 5.7.1 no"] if end == "bounced" else []
    message_id = send(acme.live, ttl_seconds=60 if end == "expired" else None)
    if end == "suppressed":
        world.suppress(acme, "kim@hanbit.example", "manual")
    world.sql("UPDATE messages SET expires_at = now() WHERE expires_at IS NOT NULL")
    drain()
    assert status(acme.live, message_id) == end
    answer = cancel(acme.live, message_id)
    assert (answer.status, answer.code) == (404, "not_cancelable")
    assert status(acme.live, message_id) == end


def test_an_unknown_or_foreign_message_is_404(api, globex, cancel):
    foreign = send(globex.live)
    assert cancel(api, "msg_nowhere").code == cancel(api, foreign).code == "not_found"
    assert status(globex.live, foreign) == "queued"


def race(acme, sink, rounds: int) -> None:
    """Cancel and drain at the same moment, again and again: each message has one winner."""
    client = Api(builders.api_key(acme.account))
    for _ in range(rounds):
        message_id = send(client)
        before = sink.dots
        answer, _ = world.together([partial(client.delete, f"/v1/messages/{message_id}"), drain])
        drain()
        sent = sink.dots - before
        assert (answer.status, sent) in ((200, 0), (404, 1)), (answer.json, sent)
        assert status(client, message_id) == ("canceled" if answer.status == 200 else "delivered")


def test_the_race_with_delivery_has_one_winner(acme, sink):
    race(acme, sink, 15)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_500_cancels_around_the_due_time_have_one_winner_each(acme, sink):
    """Due times 20 ms apart, each canceled within 50 ms of its own, while a drain runs all along."""
    client, stop = Api(builders.api_key(acme.account)), threading.Event()

    def keep_draining() -> None:
        while not stop.is_set():
            drain(5)

    background = world.in_background(keep_draining)
    answers = {}
    for number in range(500):
        ahead = 0.06 if number % 2 else 0.11
        message_id = send(client, recipient=f"k{number}@hanbit.example", scheduled_time=world.from_now(seconds=ahead))
        time.sleep(max(0.0, ahead - 0.05 + (number * 37 % 100) / 1000))
        answers[number] = client.delete(f"/v1/messages/{message_id}").status
    time.sleep(1)
    stop.set()
    background.result()
    sent = [mail.recipients[0] for mail in sink.accepted]
    wrong = {n: code for n, code in answers.items() if sent.count(f"k{n}@hanbit.example") != {200: 0, 404: 1}[code]}
    assert wrong == {}
    assert {200, 404} == set(answers.values())


def test_a_message_on_its_way_is_not_canceled_and_arrives(api, sink):
    go_on = threading.Event()
    sink.script["data"] = Held(go_on)
    message_id = send(api)
    draining = world.in_background(drain)
    assert sink.wait_for(lambda server: any("DATA" in session.commands for session in server.sessions))
    assert api.delete(f"/v1/messages/{message_id}").code == "not_cancelable"
    go_on.set()
    draining.result()
    assert (status(api, message_id), sink.dots) == ("delivered", 1)
