"""lifecycle.record: the one writer of a status, its table of moves walked pair by pair."""

from itertools import product

import pytest
from django.db import transaction

from messaging import lifecycle
from messaging.lifecycle import MOVES, Change
from messaging.models import Status
from sendarix.core import events
from tests import world
from tests.world import send, story

PAIRS = list(product(Status, Status))


def placed(api, status: Status) -> str:
    message_id = send(api)
    world.sql("UPDATE messages SET status = %s, due_at = NULL WHERE id = %s", status, message_id)
    return message_id


@pytest.mark.parametrize(("before", "after"), [pair for pair in PAIRS if pair[1] in MOVES[pair[0]]])
def test_an_allowed_move_moves_and_is_one_event(api, before, after):
    message_id = placed(api, before)
    assert lifecycle.record([Change(message_id, before, after, fence=0, attempt=0)]) == {message_id}
    shown = world.message(api, message_id)
    assert shown["status"] == after
    assert [event["sequence"] for event in shown["events"]] == [1, 2]
    assert shown["events"][1]["type"] == f"message.{after}"
    assert shown["events"][1]["data"]["previous_status"] == before


@pytest.mark.parametrize(("before", "after"), [pair for pair in PAIRS if pair[1] not in MOVES[pair[0]]])
def test_a_forbidden_move_cannot_even_be_said(before, after):
    with pytest.raises(ValueError, match=f"from {before} to {after}"):
        Change("msg_x", before, after, fence=0, attempt=0)


def test_every_status_has_its_moves_and_every_one_is_reached():
    assert set(MOVES) == set(Status)
    assert set().union(*MOVES.values()) == set(Status) - {Status.SCHEDULED}


def test_a_message_that_moved_meanwhile_is_left_alone(api):
    message_id = placed(api, Status.CANCELED)
    assert lifecycle.record([Change(message_id, Status.QUEUED, Status.ACCEPTED, fence=0, attempt=0)]) == set()
    assert story(api, message_id) == ["queued"]


def test_a_change_under_an_old_fence_is_left_alone(api):
    message_id = placed(api, Status.ACCEPTED)
    world.sql("UPDATE messages SET fence = 2")
    assert lifecycle.record([Change(message_id, Status.ACCEPTED, Status.DELIVERED, fence=1, attempt=1)]) == set()
    assert world.status(api, message_id) == "accepted"


def test_a_silent_change_writes_no_event_and_moves_no_status(api):
    message_id = send(api)
    with pytest.raises(ValueError, match="from queued to canceled"):
        Change(message_id, Status.QUEUED, Status.CANCELED, 0, 0, silent=True)
    lifecycle.record([Change(message_id, Status.QUEUED, Status.QUEUED, 0, 0, silent=True, worker="w", claims=True)])
    assert world.sql("SELECT worker, due_at, fence, sequence FROM messages") == [("w", None, 1, 1)]
    assert story(api, message_id) == ["queued"]


def test_the_bus_hears_each_change_in_the_transaction_that_makes_it(api):
    message_id = placed(api, Status.QUEUED)
    heard: list[tuple] = []

    def hear(events, **_):
        heard.extend((event.message_id, event.type, event.previous, event.sequence) for event in events)
        raise RuntimeError("the receiver fails")

    events.recorded.connect(hear)
    try:
        with pytest.raises(RuntimeError), transaction.atomic():
            lifecycle.record([Change(message_id, Status.QUEUED, Status.CANCELED, 0, 0)])
    finally:
        events.recorded.disconnect(hear)
    assert heard == [(message_id, "message.canceled", "queued", 2)]
    assert story(api, message_id) == ["queued"]
