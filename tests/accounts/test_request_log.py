"""The request log: what is kept of a call, what never is, and that keeping it holds up nobody."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError

from sendarix.accounts import request_log
from sendarix.accounts.request_log import Entry, Filter, Made
from sendarix.core import ids
from tests import world
from tests.api_client import Api
from tests.world import MAIL, _left_behind, acme, globex, transactional_db

__all__ = ["_left_behind", "acme", "globex", "transactional_db"]


@pytest.fixture(autouse=True)
def log(transactional_db) -> Iterator[request_log.Writer]:
    writer = request_log.keep()
    yield writer
    request_log.stop()
    world.sql("DELETE FROM api_requests; DELETE FROM request_counts")


def kept(owner, log, livemode=True, **wanted):
    log.flush()
    return list(request_log.entries(owner.account.pk, livemode, Filter(**wanted)))


def entry(account_id: int, **fields) -> Entry:
    values = {
        "id": ids.new("req"),
        "at": datetime.now(UTC),
        "account_id": account_id,
        "livemode": True,
        "key_id": "key_a",
        "method": "GET",
        "route": "v1/messages/<str:message_id>",
        "path": "/v1/messages/x",
        "status": 200,
        "code": None,
        "faults": (),
        "duration_ms": 1.5,
        "source": "192.0.2.1",
    }
    return Entry(**values | fields)


def test_a_call_is_kept_with_its_message(acme, log):
    answer = acme.live.post("/v1/messages", MAIL)
    (row,) = kept(acme, log)
    assert row.id == answer.headers["X-Request-Id"]
    assert (row.method, row.route, row.path, row.status) == ("POST", "/v1/messages", "/v1/messages", 202)
    assert (row.message_id, row.messages, row.replayed) == (answer.json["message_id"], 1, False)
    assert row.source == "127.0.0.1"
    assert row.duration_ms > 0


def test_a_refusal_is_kept_with_the_names_of_its_faults_and_no_value(acme, log):
    acme.live.post("/v1/messages", {"recipient": "secret-value", "colour": "secret-value"})
    (row,) = kept(acme, log)
    assert (row.status, row.code) == (422, "validation_failed")
    assert {"field": "colour", "code": "unknown_field"} in row.faults
    assert "secret-value" not in str(row.__dict__)


def test_a_path_keeps_its_ids_and_loses_its_query_and_addresses(acme, log):
    acme.live.get("/v1/messages/msg_x")
    acme.live.get("/v1/messages", {"recipient": "kim@hanbit.example"})
    acme.live.get("/v1/suppressions/kim@hanbit.example")
    acme.live.get("/v1/suppressions/kim%2540hanbit.example")
    assert [row.path for row in kept(acme, log)][::-1] == [
        "/v1/messages/msg_x",
        "/v1/messages",
        "/v1/suppressions/{recipient}",
        "/v1/suppressions/{recipient}",
    ]


def test_replays_are_counted_for_the_message_they_answered_with(acme, log):
    made = {acme.live.post("/v1/messages", MAIL, {"Idempotency-Key": "k"}).json["message_id"] for _ in range(3)}
    log.flush()
    (message_id,) = made
    assert request_log.replays(acme.account.pk, True, message_id).count() == 2
    assert len(kept(acme, log)) == 3


def test_a_batch_is_kept_with_its_first_message_and_their_number(acme, log):
    answer = acme.live.post("/v1/messages/batch", {"messages": [{"recipient": "no"}, MAIL, MAIL]})
    (row,) = kept(acme, log)
    assert (row.message_id, row.messages) == (answer.json["results"][1]["message_id"], 2)


def test_calls_without_a_usable_key_are_not_kept(acme, log):
    Api(None).get("/v1/messages")
    Api("sk_live_wrong").get("/v1/messages")
    log.flush()
    assert world.sql("SELECT count(*) FROM api_requests") == [(0,)]


def test_a_call_over_the_rate_is_kept(acme, log):
    acme.account.rate_limit = 1
    acme.account.save()
    for _ in range(2):
        acme.live.get("/v1/messages")
    assert [row.status for row in kept(acme, log)] == [429, 200]


def test_the_log_is_narrowed_and_paged(acme, log):
    acme.live.get("/v1/messages")
    acme.live.get("/v1/messages/msg_x")
    acme.live.post("/v1/messages", {})
    newest, missing, first = kept(acme, log)
    assert kept(acme, log, status=4) == [newest, missing]
    assert kept(acme, log, status=404) == [missing]
    assert kept(acme, log, path="/v1/messages/msg_x") == kept(acme, log, path="/v1/messages/{message_id}") == [missing]
    assert kept(acme, log, request_id=first.id) == [first]
    assert kept(acme, log, key_id=first.key_id) == [newest, missing, first]
    assert kept(acme, log, since=datetime.now(UTC) + timedelta(minutes=1)) == []
    assert kept(acme, log, until=datetime.now(UTC) - timedelta(minutes=1)) == []
    assert list(request_log.entries(acme.account.pk, True, Filter(), before=missing.id)) == [first]


def test_nobody_sees_anothers_requests_or_those_of_the_other_environment(acme, globex, log):
    acme.live.get("/v1/messages")
    assert kept(globex, log) == kept(acme, log, livemode=False) == []
    (row,) = kept(acme, log)
    assert request_log.one(globex.account.pk, True, row.id) is None
    assert request_log.one(acme.account.pk, True, row.id) == row


def test_use_is_counted_by_key(acme, log):
    acme.live.get("/v1/messages")
    acme.live.get("/v1/messages/msg_x")
    acme.test.get("/v1/messages")
    keys = {row.livemode: row.key_id for mode in (True, False) for row in kept(acme, log, livemode=mode)}
    use = request_log.use_of_keys(acme.account.pk, datetime.now(UTC))
    assert use == {keys[True]: request_log.Use(2, 1), keys[False]: request_log.Use(1, 0)}


def test_what_is_written_comes_from_a_thread_of_its_own(acme, log):
    acme.live.get("/v1/messages")
    world.until(lambda: world.sql("SELECT count(*) FROM api_requests") == [(1,)])


def test_while_the_database_is_away_entries_wait_and_nothing_is_raised(acme, log, monkeypatch):
    def away(entries):
        raise OperationalError("away")

    with monkeypatch.context() as patched:
        patched.setattr(request_log, "write", away)
        acme.live.get("/v1/messages")
        assert log.flush() == 0
    assert len(kept(acme, log)) == 1


def test_memory_is_bounded_and_what_is_dropped_is_counted(acme, monkeypatch):
    writer = request_log.Writer()
    monkeypatch.setattr(request_log, "HELD", 10)
    monkeypatch.setattr(writer, "_written", lambda group: False)
    for _ in range(25):
        writer.add(entry(acme.account.pk))
    assert (writer.dropped, len(writer._waiting)) == (15, 10)


def test_one_entry_that_the_database_refuses_costs_no_other(acme, log):
    for key in ("key_a", "x" * 31, "key_b"):
        log.add(entry(acme.account.pk, key_id=key))
    assert {row.key_id for row in kept(acme, log)} == {"key_a", "key_b"}
    assert log.dropped == 1


def test_hostile_paths_and_fields_are_kept_as_far_as_they_can_be(acme, log):
    log.add(entry(acme.account.pk, path="/v1/\x00\ud800", faults=(("f\x00", "unknown_field"),), made=Made("msg_x", 1)))
    (row,) = kept(acme, log)
    assert (row.path, row.faults[0]["field"]) == ("/v1/?", "f")
