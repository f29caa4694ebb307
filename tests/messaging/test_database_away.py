"""The database away: 503, when to come back, and nothing half accepted."""

import pytest
from django.db import connection

from messaging.models import Message
from sendarix.core import events
from tests import world
from tests.world import MAIL, post, send

PATHS = [
    ("POST", "/v1/messages", MAIL),
    ("GET", "/v1/messages", None),
    ("GET", "/v1/messages/msg_x", None),
    ("DELETE", "/v1/messages/msg_x", None),
    ("GET", "/v1/events", None),
    ("POST", "/v1/nowhere", {}),
]


@pytest.fixture
def away(acme, tmp_path):
    """No server answers where ours did."""
    server = connection.settings_dict["HOST"], connection.settings_dict["PORT"]
    connection.close()
    connection.settings_dict.update(HOST=str(tmp_path), PORT="")
    yield
    connection.close()
    connection.settings_dict.update(HOST=server[0], PORT=server[1])


@pytest.mark.parametrize(("method", "path", "payload"), PATHS)
def test_every_call_is_503_with_all_headers(api, away, method, path, payload):
    answer = api.call(method, path, payload)
    assert (answer.status, answer.code) == (503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert {"X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= answer.headers.keys()


def test_the_next_request_after_it_is_back_is_accepted(api, away):
    server = connection.settings_dict["HOST"]
    assert post(api).status == 503
    connection.settings_dict["HOST"] = world.SERVER
    assert post(api).status == 202
    connection.settings_dict["HOST"] = server


def test_health_says_so_and_the_process_lives(client, away):
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")


def test_health_is_well_when_the_database_is_there(client, api):
    send(api)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["due"]) == (200, 1)
    assert b'sendarix_queue_messages{state="due",tier="normal"} 1.0' in client.get("/metrics").content


def cut(**_: object) -> None:
    """The server ends this connection, in the midst of a transaction."""
    try:
        world.sql("SELECT pg_terminate_backend(pg_backend_pid())")
    except Exception:
        connection.connection.close()
        raise


def test_a_connection_cut_during_acceptance_is_503_and_leaves_nothing(api):
    events.recorded.connect(cut)
    try:
        answer = post(api, headers={"Idempotency-Key": "k"}, attachments=[{"filename": "a", "content": "AAAA"}])
    finally:
        events.recorded.disconnect(cut)
    assert (answer.status, answer.code) == (503, "database_unavailable")
    assert Message.objects.count() == 0
    assert world.sql("SELECT count(*) FROM idempotency_keys") == [(0,)]
    assert post(api, headers={"Idempotency-Key": "k"}).status == 202
