"""What was delivered to an endpoint, as its owner reads it, and delivering it again."""

import json
from datetime import UTC, datetime

import pytest

from tests.webhooks.receiver import Receiver, Reply
from tests.world import from_now, send, sql
from webhooks import dispatch, recovery


@pytest.fixture
def receiver():
    with Receiver() as server:
        yield server


@pytest.fixture
def hook(api, receiver):
    return make(api, receiver)


def make(api, receiver, **fields):
    answer = api.post("/v1/webhooks", {"url": receiver.url} | fields)
    assert answer.status == 201, answer.json
    return answer.json["id"]


def drain():
    dispatch.drain(linger=0)


def listed(api, hook, **query):
    answer = api.get(f"/v1/webhooks/{hook}/deliveries", query)
    assert answer.status == 200, answer.json
    return answer.json["data"]


def read(api, hook, delivery_id):
    answer = api.get(f"/v1/webhooks/{hook}/deliveries/{delivery_id}")
    assert answer.status == 200, answer.json
    return answer.json


def shown(api, hook):
    return api.get(f"/v1/webhooks/{hook}").json


def retry_now():
    sql("UPDATE webhook_deliveries SET due_at = now() WHERE due_at > now()")
    sql("UPDATE webhook_endpoints SET paused_until = NULL")
    drain()


def test_a_delivery_tells_what_waits_and_then_what_came_of_it(api, hook):
    message_id = send(api)
    (waiting,) = listed(api, hook)
    drain()
    (done,) = listed(api, hook)
    assert waiting["id"].startswith("dlv_")
    assert (waiting["status"], waiting["attempt"], waiting["ended_at"]) == ("waiting", 0, None)
    assert (done["status"], done["attempt"], done["next_attempt_at"]) == ("succeeded", 1, None)
    assert (done["id"], done["type"], done["message_id"]) == (waiting["id"], "message.queued", message_id)
    assert done["event_id"] == api.get("/v1/events").json["data"][0]["id"]


def test_the_body_shown_is_the_very_text_that_was_sent_and_the_object_of_the_feed(api, hook, receiver):
    send(api, recipient="Søren <soren@hanbit.example>", metadata={"order": "주문 7"})
    drain()
    detail = read(api, hook, listed(api, hook)[0]["id"])
    (request,) = receiver.wait(1)
    assert detail["body"].encode() == request.body
    assert json.loads(detail["body"]) == api.get("/v1/events").json["data"][0]


def test_every_try_is_kept_with_request_and_reply(api, hook, receiver):
    receiver.script = [Reply(500, {"X-Trace": "a1"}, b"out of order")]
    send(api)
    drain()
    retry_now()
    detail = read(api, hook, listed(api, hook)[0]["id"])
    first, second = detail["attempts"]
    assert (first["number"], first["succeeded"], first["reply"]["code"]) == (1, False, 500)
    assert (first["reply"]["body"], first["cause"]) == ("out of order", "status")
    assert {name.lower(): value for name, value in first["reply"]["headers"].items()}["x-trace"] == "a1"
    assert (second["number"], second["succeeded"], second["cause"]) == (2, True, None)
    assert second["address"] == "127.0.0.1"
    sent = {name.lower(): value for name, value in first["request"]["headers"].items()}
    assert sent["webhook-id"] == detail["event_id"]
    assert sent["webhook-signature"].startswith("v1,")


def test_a_try_without_a_reply_says_why(api):
    hook = api.post("/v1/webhooks", {"url": "http://127.0.0.1:9/"}).json["id"]
    send(api)
    drain()
    (attempt,) = read(api, hook, listed(api, hook)[0]["id"])["attempts"]
    assert (attempt["succeeded"], attempt["reply"]) == (False, None)
    assert attempt["cause"]
    assert attempt["detail"]


@pytest.fixture
def history(api, hook, receiver):
    """Three deliveries, oldest first: succeeded, failed for good, waiting."""
    ids = [send(api) for _ in range(3)]
    drain()
    for message_id, status in zip(ids[1:], ("failed", "waiting"), strict=True):
        sql("UPDATE webhook_deliveries SET status = %s WHERE message_id = %s", status, message_id)
    return ids


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [2, 1, 0]),
        ({"status": "failed"}, [1]),
        ({"status": "failed,waiting"}, [2, 1]),
        ({"status": ["succeeded", "waiting"]}, [2, 0]),
        ({"type": "message.queued"}, [2, 1, 0]),
        ({"type": "message.bounced"}, []),
        ({"created_before": "2001-01-01T00:00:00Z"}, []),
        ({"created_after": "2001-01-01T00:00:00Z", "status": "failed"}, [1]),
    ],
)
def test_filters_narrow_together(api, hook, history, query, found):
    assert [row["message_id"] for row in listed(api, hook, **query)] == [history[n] for n in found]


def test_deliveries_of_one_message_are_found(api, hook, history):
    assert [row["message_id"] for row in listed(api, hook, message_id=history[1])] == [history[1]]
    assert listed(api, hook, message_id="msg_nowhere") == []


def test_they_come_in_pages_newest_first_that_new_ones_do_not_shift(api, hook, history):
    path = f"/v1/webhooks/{hook}/deliveries"
    first = api.get(path, {"limit": 2}).json
    send(api)
    second = api.get(path, {"limit": 2, "cursor": first["next_cursor"]}).json
    assert [row["message_id"] for row in first["data"] + second["data"]] == history[::-1]
    assert (first["has_more"], second["has_more"]) == (True, False)


@pytest.mark.parametrize("query", ["cursor=x", "cursor=LTE", "cursor=MR8y"])
def test_a_cursor_that_is_none_is_400(api, hook, query):
    assert api.get(f"/v1/webhooks/{hook}/deliveries?{query}").code == "bad_cursor"


@pytest.mark.parametrize("query", ["status=lost", "type=message.lost", "created_after=now", "limit=101", "message_id="])
def test_a_query_that_is_wrong_is_422_and_names_the_field(api, hook, query):
    answer = api.get(f"/v1/webhooks/{hook}/deliveries?{query}")
    assert (answer.status, list(answer.faults)) == (422, [query.partition("=")[0]])


def test_a_delivery_is_found_by_its_whole_id_only(api, hook, receiver, history):
    other = make(api, receiver)
    known = listed(api, hook)[0]["id"]
    otherwise = known[:5] + ("1" if known[5] != "1" else "2") + known[6:]
    paths = [
        f"{hook}/deliveries/{otherwise}",
        f"{other}/deliveries/{known}",
        f"{hook}/deliveries/7",
        f"{hook}/deliveries/dlv_",
    ]
    assert [api.get(f"/v1/webhooks/{path}").status for path in paths] == [404] * 4
    assert read(api, hook, known)["id"] == known


def test_a_delivery_whose_event_was_thrown_away_is_still_shown(api, hook):
    send(api)
    sql("DELETE FROM events")
    (row,) = listed(api, hook)
    assert (row["event_id"], read(api, hook, row["id"])["body"]) == (None, None)


def test_a_test_event_goes_to_one_endpoint_whatever_it_takes(api, receiver):
    hook, other = make(api, receiver, event_types=["message.bounced"]), make(api, receiver)
    answer = api.post(f"/v1/webhooks/{hook}/test")
    drain()
    assert (answer.status, answer.json["type"], answer.json["message_id"]) == (202, "webhook.test", None)
    assert read(api, hook, answer.json["id"])["status"] == "succeeded"
    assert listed(api, other) == []
    assert json.loads(receiver.wait(1)[0].body)["type"] == "webhook.test"


def test_a_replay_posts_the_same_event_with_the_same_id(api, hook, receiver):
    send(api)
    drain()
    delivery_id = listed(api, hook)[0]["id"]
    answer = api.post(f"/v1/webhooks/{hook}/deliveries/{delivery_id}/replay")
    drain()
    first, second = receiver.wait(2)
    assert (answer.status, answer.json["id"], answer.json["status"]) == (202, delivery_id, "waiting")
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert len(read(api, hook, delivery_id)["attempts"]) == 2


def test_a_time_is_recovered_and_what_was_taken_is_not_repeated(api, hook, receiver):
    began = from_now()
    taken = send(api)
    drain()
    api.patch(f"/v1/webhooks/{hook}", {"enabled": False})
    missed = [send(api) for _ in range(2)]
    api.patch(f"/v1/webhooks/{hook}", {"enabled": True})
    answer = api.post(f"/v1/webhooks/{hook}/recover", {"since": began})
    drain()
    assert (answer.status, answer.json) == (202, {"recovered": 2, "truncated": False, "next_since": None})
    assert [json.loads(request.body)["message_id"] for request in receiver.wait(3)] == [taken, *missed]


def test_of_more_than_one_call_recovers_the_answer_says_where_to_go_on(api, hook, monkeypatch):
    monkeypatch.setattr(recovery, "MOST", 2)
    api.patch(f"/v1/webhooks/{hook}", {"enabled": False})
    missed = [send(api) for _ in range(3)]
    api.patch(f"/v1/webhooks/{hook}", {"enabled": True})
    first = api.post(f"/v1/webhooks/{hook}/recover", {"since": from_now(days=-30)}).json
    assert (first["recovered"], first["truncated"]) == (2, True)
    rest = api.post(f"/v1/webhooks/{hook}/recover", {"since": first["next_since"]}).json
    assert rest == {"recovered": 1, "truncated": False, "next_since": None}
    assert [row["message_id"] for row in listed(api, hook)] == missed[::-1]


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ({}, ["since"]),
        ({"since": "yesterday"}, ["since"]),
        ({"since": "2026-01-01T00:00:00"}, ["since"]),
        ({"since": "2090-01-01T00:00:00Z"}, ["since"]),
        ({"since": "2020-01-01T00:00:00Z"}, ["since"]),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, ["until"]),
        ({"since": "2026-01-02T00:00:00Z", "till": "2026-01-01T00:00:00Z"}, ["till"]),
    ],
)
def test_a_time_that_is_none_is_refused(api, hook, asked, fields):
    answer = api.post(f"/v1/webhooks/{hook}/recover", asked)
    assert (answer.status, list(answer.faults)) == (422, fields)


def test_a_disabled_endpoint_is_neither_tried_nor_told_again(api, hook, history):
    delivery_id = listed(api, hook)[-1]["id"]
    api.patch(f"/v1/webhooks/{hook}", {"enabled": False})
    calls = [("test", None), (f"deliveries/{delivery_id}/replay", None), ("recover", {"since": from_now(days=-1)})]
    answers = [api.post(f"/v1/webhooks/{hook}/{path}", body) for path, body in calls]
    assert [(answer.status, answer.code) for answer in answers] == [(409, "conflict")] * 3


def test_an_endpoint_shows_how_it_does(api, hook, receiver):
    receiver.script = [Reply(500)]
    for _ in range(2):
        send(api)
    drain()
    failing = shown(api, hook)
    assert failing["failing_since"] is None or failing["failing_since"] <= zulu_now()
    assert failing["waiting"]["count"] == 1
    assert failing["waiting"]["oldest_at"] <= zulu_now()
    assert (failing["last_day"]["attempts"], failing["last_day"]["success_rate"]) == (2, 0.5)
    retry_now()
    sound = shown(api, hook)
    assert (sound["waiting"], sound["failing_since"]) == ({"count": 0, "oldest_at": None}, None)
    assert (sound["last_day"]["attempts"], sound["last_day"]["success_rate"]) == (3, 0.6667)
    assert sound["last_day"]["p95_ms"] >= 0
    assert sound["last_success_at"]


def zulu_now():
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def test_attempts_of_yesterday_do_not_count(api, hook):
    send(api)
    drain()
    sql("UPDATE webhook_attempts SET started_at = started_at - interval '25 hours'")
    assert shown(api, hook)["last_day"] == {"attempts": 0, "success_rate": None, "p95_ms": None}


def test_figures_of_one_endpoint_are_not_another_ones(api, hook, receiver):
    quiet = make(api, receiver, event_types=["message.bounced"])
    send(api)
    page = {row["id"]: row for row in api.get("/v1/webhooks").json["data"]}
    assert (page[hook]["waiting"]["count"], page[quiet]["waiting"]["count"]) == (1, 0)
