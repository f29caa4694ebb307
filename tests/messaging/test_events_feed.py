"""GET /v1/events: every event of the account once, in commit order, with nothing skipped, whatever commits late."""

import psycopg2
import pytest
from django.db import connection

from tests import world
from tests.world import drain, send


def page(api, after=None, limit=None, holds=0) -> dict:
    """A page of the feed, asked for again until it holds so many: any transaction, autovacuum's too, holds it back a moment."""
    query = {name: value for name, value in (("after", after), ("limit", limit)) if value}

    def ask() -> dict | None:
        answer = api.get("/v1/events", query)
        assert answer.status == 200, answer.json
        return answer.json if len(answer.json["data"]) >= holds else None

    return world.until(ask)


def told(api, after=None, holds=0) -> list[tuple[str, str]]:
    return [(event["message_id"], event["type"]) for event in page(api, after, 100, holds)["data"]]


@pytest.fixture
def other_connection(transactional_db):
    """A second connection with a transaction of its own."""
    parameters = connection.get_connection_params()
    parameters = {name: parameters[name] for name in parameters if name not in ("cursor_factory", "context")}
    found = psycopg2.connect(**parameters)
    yield found
    found.close()


def insert_event(other, message_id: str) -> None:
    with other.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events (message_id, account_id, livemode, type, sequence, at, data, transaction) SELECT message_id,"
            " account_id, livemode, 'complained', 9, now(), '{}', pg_current_xact_id()::text::bigint FROM events"
            " WHERE message_id = %s LIMIT 1",
            [message_id],
        )


def test_events_come_oldest_first_as_the_timeline_shows_them(api, sink):
    message_id = send(api)
    drain()
    assert told(api, holds=3) == [(message_id, f"message.{name}") for name in ("queued", "accepted", "delivered")]
    assert page(api)["data"] == world.message(api, message_id)["events"]


def test_a_consumer_goes_on_where_it_stopped(api):
    ids = [send(api) for _ in range(3)]
    page(api, holds=3)
    first = page(api, limit=2)
    assert (len(first["data"]), first["has_more"]) == (2, True)
    second = page(api, first["next_cursor"])
    assert [event["message_id"] for event in second["data"]] == ids[2:]
    assert not second["has_more"]
    nothing = page(api, second["next_cursor"])
    assert (nothing["data"], nothing["next_cursor"]) == ([], second["next_cursor"])
    late = send(api)
    assert told(api, nothing["next_cursor"], holds=1) == [(late, "message.queued")]


def test_an_event_that_commits_late_is_not_skipped(api, other_connection):
    first = send(api)
    insert_event(other_connection, first)
    send(api)
    before = page(api, holds=1)
    assert [event["message_id"] for event in before["data"]] == [first]
    other_connection.commit()
    after = told(api, before["next_cursor"], holds=2)
    assert [kind for _, kind in after] == ["message.complained", "message.queued"]


def test_a_transaction_that_began_late_and_numbered_early_keeps_its_place(api, other_connection):
    """The number is taken first and the transaction id later: the order is the transactions', and nothing is lost."""
    first = send(api)
    with other_connection.cursor() as cursor:
        cursor.execute("SELECT nextval('events_id_seq')")
    seen = page(api, holds=1)
    insert_event(other_connection, first)
    second = send(api)
    assert told(api, seen["next_cursor"]) == []
    other_connection.commit()
    assert told(api, seen["next_cursor"], holds=2) == [(first, "message.complained"), (second, "message.queued")]


def test_many_writers_and_one_reader_lose_and_double_nothing(acme):
    """The reader pages through the feed while eight writers commit."""
    seen, cursor = [], None
    writers = [world.in_background(lambda: [send(acme.key()) for _ in range(10)]) for _ in range(8)]
    while len(seen) < 80:
        found = page(acme.live, cursor, 7, holds=1)
        seen += [event["message_id"] for event in found["data"]]
        cursor = found["next_cursor"]
    sent = [message_id for writer in writers for message_id in writer.result()]
    assert sorted(seen) == sorted(sent)
    assert page(acme.live, cursor)["data"] == []


def test_the_feed_of_another_account_or_environment_is_its_own(acme, globex):
    live, test, other = send(acme.live), send(acme.test), send(globex.live)
    assert [[message_id for message_id, _ in told(api, holds=1)] for api in (acme.live, acme.test, globex.live)] == [
        [live],
        [test],
        [other],
    ]


@pytest.mark.parametrize(
    ("query", "faults"),
    [({"limit": 0}, {"limit": "out_of_range"}), ({"cursor": "x"}, {"cursor": "unknown_field"})],
)
def test_a_parameter_that_is_wrong_is_a_fault(api, query, faults):
    assert api.get("/v1/events", query).faults == faults
