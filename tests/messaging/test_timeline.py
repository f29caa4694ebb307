"""GET /v1/messages/{id}: where a message stands, what it waits for, and every change of it."""

import re

from tests import world
from tests.world import attempts, drain, message, send, story


def test_a_delivered_message_tells_its_whole_story(api, sink):
    message_id = send(api, metadata={"order": "7"}, tags=["bill"])
    drain()
    shown = message(api, message_id)
    assert story(api, message_id) == ["queued", "accepted", "delivered"]
    assert (shown["status"], shown["attempts"], shown["waiting"], shown["sending"]) == ("delivered", 1, None, False)
    assert shown["created_at"] <= shown["accepted_at"] <= shown["ended_at"]
    last = shown["events"][-1]
    assert re.fullmatch(r"evt_[0-9a-z]{26}", last["id"])
    assert (last["type"], last["message_id"], last["sequence"]) == ("message.delivered", message_id, 3)
    assert (
        last["data"]
        | {
            "recipient": "kim@hanbit.example",
            "status": "delivered",
            "previous_status": "accepted",
            "metadata": {"order": "7"},
            "tags": ["bill"],
            "livemode": True,
            "attempt": 1,
            "route": f"smtp:127.0.0.1:{sink.port}",
        }
        == last["data"]
    )
    assert last["data"]["smtp"]["code"] == 250


def test_events_are_numbered_without_a_gap(api, sink):
    sink.script["rcpt"] = ["450 4.2.1 later"]
    message_id = send(api, scheduled_time=world.from_now(hours=1))
    world.bring_due()
    drain()
    world.bring_due()
    drain()
    assert story(api, message_id) == ["scheduled", "queued", "accepted", "deferred", "delivered"]
    assert [event["sequence"] for event in message(api, message_id)["events"]] == [1, 2, 3, 4, 5]


def test_a_deferred_message_says_why_it_waits_and_until_when(api, sink):
    sink.script["rcpt"] = "450 4.2.1 greylisted, come back"
    message_id = send(api)
    drain()
    shown = message(api, message_id)
    assert (shown["status"], shown["reason"], shown["ended_at"]) == ("deferred", "greylisted", None)
    assert shown["waiting"] == {"for": "retry", "until": shown["events"][-1]["data"]["next_attempt_at"], "why": None}
    assert shown["events"][-1]["data"]["smtp"]["text"] == "greylisted, come back"


def test_each_attempt_is_kept_with_its_route_peer_and_reply(api, sink):
    sink.script["rcpt"] = ["450 4.2.1 later"]
    message_id = send(api)
    drain()
    world.bring_due()
    drain()
    first, second = attempts(api, message_id)
    assert (first["number"], first["verdict"], first["phase"]) == (1, "deferred", "rcpt")
    assert first["smtp"] == {"code": 450, "enhanced": "4.2.1", "text": "later"}
    assert (second["number"], second["verdict"], second["cause"], second["phase"]) == (2, "delivered", None, "done")
    assert (second["mx"], second["address"], second["tls"]) == ("127.0.0.1", "127.0.0.1", None)
    assert second["explanation"]["why"]
    assert second["duration_ms"] >= 0


def test_a_message_being_sent_says_so(api):
    message_id = send(api)
    world.dying_worker(message_id)
    shown = message(api, message_id)
    assert (shown["status"], shown["sending"], shown["waiting"]) == ("accepted", True, None)


def test_an_unknown_message_is_404(api):
    assert api.get("/v1/messages/msg_nowhere").code == "not_found"
    assert api.get("/v1/messages/msg_nowhere/attempts").code == "not_found"
