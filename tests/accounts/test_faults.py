"""What goes wrong on our side: one shape, no secrets in the log, and the next request works again."""

import threading

import pytest
from django.db import connection

from sendarix.accounts import api as door
from tests import builders
from tests.accounts.probe import Gate
from tests.accounts.test_requests import check
from tests.api_client import Api

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.probe")]


@pytest.mark.parametrize("path", ["/v1/broken/value", "/v1/page"])
def test_an_unforeseen_fault_is_a_500_in_the_one_shape(api, path):
    check(api.get(path), 500, "internal_error")


def test_the_log_has_the_request_id_and_the_place_but_not_the_data(api, caplog):
    answer = api.get("/v1/broken/value")
    assert answer.headers["X-Request-Id"] in caplog.text
    assert "ValueError" in caplog.text
    assert "probe.py" in caplog.text
    assert "anna" not in caplog.text


def test_what_the_framework_raises_has_the_shape_too(api):
    check(api.get("/v1/broken/throttled"), 429, "rate_limited")


def test_a_wrong_host_is_400(api):
    check(api.get("/v1/letters", headers={"Host": "evil.example"}), 400, "bad_host")
    check(api.get("/v1/letters", headers={"Host": "a b\\c"}), 400, "bad_host")


@pytest.fixture
def token(transactional_db):
    return builders.api_key(builders.account())


def test_a_connection_that_died_while_idle_is_replaced_unseen(token):
    assert Api(token).get("/v1/letters").status == 200
    with connection.cursor() as cursor, pytest.raises(Exception, match="terminat"):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert Api(token).get("/v1/letters").status == 200


def test_a_database_lost_within_a_handler_is_503_and_the_next_request_connects_anew(token):
    answer = Api(token).get("/v1/broken/connection")
    check(answer, 503, "database_unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert Api(token).get("/v1/letters").status == 200


def test_a_database_that_is_away_is_503_until_it_is_back(token):
    host = connection.settings_dict["HOST"]
    try:
        connection.close()
        connection.settings_dict["HOST"] = "/nowhere"
        answer = Api(token).get("/v1/letters")
        unknown = Api(None).get("/v1/page")
    finally:
        connection.settings_dict["HOST"] = host
    check(answer, 503, "database_unavailable")
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert unknown.status == 500
    assert Api(token).get("/v1/letters").status == 200


def test_only_so_many_large_bodies_are_worked_on_at_once(token, monkeypatch):
    monkeypatch.setattr(door, "LARGE_WAIT", 0.2)
    large = {"from": "x", "text": "a" * (door.LARGE_BODY + 1)}
    workers = [threading.Thread(target=_post_and_leave, args=(token, large)) for _ in range(door.LARGE_BODIES)]
    Gate.opened.clear()
    for worker in workers:
        worker.start()
    try:
        assert all(Gate.inside.acquire(timeout=20) for _ in workers)
        check(Api(token).post("/v1/letters", large), 503, "busy")
        assert Api(token).post("/v1/letters", {"from": "x"}).status == 202
    finally:
        Gate.opened.set()
        for worker in workers:
            worker.join()
    assert Api(token).post("/v1/letters", large).status == 202


def _post_and_leave(token, payload):
    Api(token).post("/v1/gate", payload)
    connection.close()
