"""Dead letters: what delivery gave up on, listed, grouped, and driven again."""

import pytest

from tests import world
from tests.world import drain, send, status

REFUSALS = {"full": "552 5.2.2 mailbox full", "gone": "550 5.1.1 no such user", "policy": "550 5.7.1 not like this"}


def refuse(command: str) -> str | None:
    return next((reply for name, reply in REFUSALS.items() if f"<{name}" in command), None)


@pytest.fixture
def dead(api, sink):
    """Ids of messages that bounced, oldest first; the sink has changed its mind since."""
    sink.script["rcpt"] = refuse
    ids = [send(api, recipient=f"{name}@hanbit.example") for name in ("policy", "gone", "policy2", "fine")]
    drain()
    sink.script.clear()
    assert [status(api, message_id) for message_id in ids] == ["bounced", "bounced", "bounced", "delivered"]
    return ids[:3]


def listed(api, **query):
    return [letter["message"]["message_id"] for letter in api.get("/v1/dead-letters", query).json["data"]]


def redrive(api, **asked):
    return api.post("/v1/dead-letters/redrive", asked)


def test_they_are_listed_newest_first_with_their_cause(api, dead):
    letters = api.get("/v1/dead-letters").json["data"]
    assert [letter["message"]["message_id"] for letter in letters] == dead[::-1]
    assert [letter["cause"] for letter in letters] == ["policy", "mailbox_unknown", "policy"]
    assert listed(api, cause="mailbox_unknown") == dead[1:2]


def test_they_come_in_pages(api, dead):
    first = api.get("/v1/dead-letters", {"limit": 2}).json
    assert first["has_more"]
    assert listed(api, limit=2, cursor=first["next_cursor"]) == dead[:1]


def test_they_are_grouped_by_cause(api, dead):
    groups = api.get("/v1/dead-letters", {"group": "cause"}).json["data"]
    assert [(group["cause"], group["count"]) for group in groups] == [("policy", 2), ("mailbox_unknown", 1)]
    assert groups[0]["oldest"] <= groups[0]["newest"]


def test_some_are_driven_again_by_id(api, dead, sink):
    answer = redrive(api, ids=[dead[0], "msg_nowhere"])
    assert answer.json == {"dry_run": False, "matched": 1, "redriven": [dead[0]]}
    drain()
    assert status(api, dead[0]) == "delivered"
    assert listed(api) == dead[:0:-1]


@pytest.mark.parametrize(
    ("wanted", "which"),
    [
        ({"cause": "policy"}, [0, 2]),
        ({"recipient": "POLICY2@hanbit.example"}, [2]),
        ({"created_before": "2001-01-01T00:00:00Z"}, []),
        ({"created_after": "2001-01-01T00:00:00Z"}, [0, 1, 2]),
        ({}, [0, 1, 2]),
    ],
)
def test_some_are_driven_again_by_filter(api, dead, wanted, which):
    answer = redrive(api, filter=wanted)
    assert answer.json == {"dry_run": False, "matched": len(which), "redriven": [dead[n] for n in which]}


def test_a_dry_run_only_counts(api, dead):
    assert redrive(api, filter={"cause": "policy"}, dry_run=True).json == {
        "dry_run": True,
        "matched": 2,
        "redriven": [],
    }
    assert len(listed(api)) == 3


def test_a_suppressed_recipient_stays_suppressed_when_driven_again(api, dead, sink):
    redrive(api, ids=[dead[1]])
    drain()
    assert status(api, dead[1]) == "suppressed"


def test_another_accounts_and_the_test_environments_are_left_alone(acme, dead, globex):
    for other in (globex.live, acme.test):
        assert listed(other) == []
        assert redrive(other, ids=dead).faults == {"ids": "not_found"}
        assert redrive(other, filter={}).json["matched"] == 0


@pytest.mark.parametrize(
    ("asked", "status_code"),
    [
        ({}, 422),
        ({"ids": []}, 422),
        ({"ids": ["a"], "filter": {}}, 422),
        ({"ids": "all"}, 422),
        ({"filter": {"reason": "policy"}}, 422),
        ({"filter": {"created_after": "yesterday"}}, 422),
        ({"ids": ["x" * 41]}, 422),
        ({"filter": {}, "dry_run": "yes"}, 422),
    ],
)
def test_a_redrive_that_does_not_say_what_is_refused(api, asked, status_code):
    assert redrive(api, **asked).status == status_code


def test_ids_of_no_dead_letter_are_a_fault_and_drive_nothing(api, dead):
    for ids in (["msg_nowhere"], ["", "not an id"]):
        for dry_run in (True, False):
            answer = redrive(api, ids=ids, dry_run=dry_run)
            assert (answer.status, answer.faults) == (422, {"ids": "not_found"})
    assert redrive(api, ids=["a\x00b"]).status in (400, 422)
    assert listed(api) == dead[::-1]


def test_an_unknown_grouping_is_a_fault(api):
    assert api.get("/v1/dead-letters", {"group": "status"}).faults == {"group": "invalid_value"}


def test_a_message_that_died_twice_is_one_letter(api, dead, sink):
    sink.script["rcpt"] = "550 5.7.1 still not"
    redrive(api, ids=[dead[0]])
    drain()
    assert listed(api) == dead[::-1]
    assert world.sql("SELECT count(*) FROM dead_letters") == [(3,)]
