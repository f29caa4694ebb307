"""What monitors ask, with the database there and away."""

import threading

import pytest
from django.db import connection
from django.test import Client

from messaging.delivery import dispatcher, queue
from tests import world


@pytest.fixture
def database_away(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", "9")
    connection.close()
    yield
    connection.close()


@pytest.mark.django_db
def test_an_idle_service_is_alive_and_ready():
    assert Client().get("/healthz").status_code == 200
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["due"]) == (200, 0)


@pytest.mark.django_db
def test_the_queue_is_told_in_the_prometheus_format():
    text = Client().get("/metrics").content.decode()
    assert 'sendarix_queue_messages{state="due",tier="critical"} 0.0' in text


@pytest.mark.django_db(transaction=True)
def test_without_the_database_the_process_is_alive_but_not_ready(database_away):
    assert Client().get("/healthz").status_code == 200
    assert Client().get("/readyz").status_code == 503
    assert Client().get("/metrics").status_code == 503


def test_a_dispatcher_beats_with_its_rounds_until_it_leaves(transactional_db, operator):
    stop = threading.Event()
    running = world.in_background(dispatcher.run, stop)
    try:
        world.until(lambda: queue.look().dispatcher_age is not None)
        assert queue.look().drain_age is None
        assert Client().get("/readyz").json()["last_dispatcher_round_seconds"] < 5
        assert "sendarix_dispatcher_last_round_seconds" in Client().get("/metrics").content.decode()
        shown = operator.client.get("/operator/platform").content.decode()
        assert "last round" in shown
        assert "No worker beats" in shown
    finally:
        stop.set()
        running.result()
    assert Client().get("/readyz").json()["last_dispatcher_round_seconds"] is None
    assert "silent" in operator.client.get("/operator/platform").content.decode()
