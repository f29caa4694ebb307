"""POST /v1/messages/{id}/retry: a deferred message is tried now, a dead one again from the start."""

import pytest

from tests import world
from tests.world import attempts, drain, message, send, status, story


def retry(api, message_id):
    return api.post(f"/v1/messages/{message_id}/retry")


def test_a_deferred_message_is_tried_at_once(api, sink):
    sink.script["rcpt"] = ["450 4.2.1 later"]
    message_id = send(api)
    assert (drain(), drain()) == (1, 0)
    assert retry(api, message_id).json["status"] == "deferred"
    assert drain() == 1
    assert status(api, message_id) == "delivered"
    assert [attempt["number"] for attempt in attempts(api, message_id)] == [1, 2]


def test_a_dead_message_is_queued_again_with_a_fresh_ladder(api, sink):
    sink.script["rcpt"] = ["550 5.7.1 not like this"]
    message_id = send(api)
    drain()
    assert status(api, message_id) == "bounced"
    answer = retry(api, message_id)
    assert (answer.json["status"], answer.json["attempts"], answer.json["ended_at"]) == ("queued", 0, None)
    assert api.get("/v1/dead-letters").json["data"] == []
    drain()
    assert story(api, message_id) == ["queued", "accepted", "bounced", "queued", "accepted", "delivered"]


def test_whoever_drives_a_message_again_wants_it_sent_also_after_its_expiry(api, sink):
    sink.script["rcpt"] = ["550 5.7.1 not like this"]
    message_id = send(api, ttl_seconds=60)
    drain()
    world.sql("UPDATE messages SET expires_at = now() - interval '1 second'")
    retry(api, message_id)
    drain()
    assert status(api, message_id) == "delivered"


@pytest.mark.parametrize("end", ["queued", "delivered", "canceled"])
def test_any_other_message_is_a_conflict(api, sink, end):
    message_id = send(api)
    if end == "delivered":
        drain()
    if end == "canceled":
        api.delete(f"/v1/messages/{message_id}")
    answer = retry(api, message_id)
    assert (answer.status, answer.code) == (409, "conflict")
    assert message(api, message_id)["status"] == end


def test_an_unknown_or_foreign_message_is_404(api, globex):
    assert retry(api, "msg_nowhere").status == retry(api, send(globex.live)).status == 404
