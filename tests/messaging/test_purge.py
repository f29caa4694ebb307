"""POST /v1/queues/purge: counted first, and only what waits."""

import pytest

from messaging.models import Event, Message
from messaging.queues import purge
from sendarix.accounts import keys
from sendarix.accounts.models import AuditEntry
from tests import world
from tests.world import drain, from_now, message, send, status, story

LOW = {"priority": "low"}


def preview(api, **wanted) -> dict:
    answer = api.post("/v1/queues/purge", {"filter": wanted})
    assert answer.status == 200, answer.json
    return answer.json


def throw_away(api, expected: int, **wanted):
    return api.post("/v1/queues/purge", {"filter": wanted, "dry_run": False, "expected": expected})


def test_a_preview_counts_and_leaves_everything(api):
    kept = [send(api, **LOW), send(api, **LOW), send(api)]
    assert preview(api, tier="low") == {"dry_run": True, "matched": 2, "more": False, "canceled": 0}
    assert {status(api, one) for one in kept} == {"queued"}


def test_a_purge_cancels_what_matches_and_tells_it(api):
    gone, kept = send(api, **LOW), send(api)
    answer = throw_away(api, 1, tier="low")
    assert answer.json == {"dry_run": False, "matched": 1, "more": False, "canceled": 1}
    assert (status(api, gone), message(api, gone)["reason"], status(api, kept)) == ("canceled", "purged", "queued")
    assert (story(api, gone), message(api, gone)["waiting"]) == (["queued", "canceled"], None)
    assert Event.objects.get(message_id=gone, type="canceled").data == {"reason": "purged"}
    entry = AuditEntry.objects.get(action="queue.purged")
    assert entry.after == {"filter": {"tier": "low"}, "count": 1}


def test_another_count_than_expected_changes_nothing(api):
    mail = send(api)
    for expected in (0, 2):
        assert throw_away(api, expected, tier="normal").code == "conflict"
    assert status(api, mail) == "queued"
    assert not AuditEntry.objects.filter(action="queue.purged").exists()


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        ({"destination": "hanbit.example"}, {}),
        ({"destination": "gmail"}, {"recipient": "min@gmail.com"}),
        ({"destination": "naver"}, {"recipient": "lee@daesan.example"}),
        ({"recipient": "LEE@daesan.example"}, {"recipient": "lee@daesan.example"}),
        ({"tag": "sale"}, {"tags": ["sale", "spring"]}),
        ({"status": "scheduled"}, {"scheduled_time": from_now(hours=1)}),
        ({"tier": "low", "tag": "sale"}, {"priority": "low", "tags": ["sale"]}),
    ],
    ids=["domain", "group", "hosted", "recipient", "tag", "status", "two"],
)
def test_a_filter_finds_what_it_names(api, wanted, fields):
    world.sql("INSERT INTO mail_domains VALUES ('daesan.example', 'naver', '{}', now())")
    named = send(api, **fields)
    for other in (
        {"recipient": "park@naver.example"},
        {"tags": ["sale"], "priority": "high", "recipient": "a@b.example"},
    ):
        if wanted != {"tag": "sale"} or "tags" not in other:
            send(api, **other)
    assert throw_away(api, 1, **wanted).json["canceled"] == 1
    assert status(api, named) == "canceled"


def test_a_filter_by_template_and_by_time(acme, api):
    acme.template(key="note", subject="Note", text="Hello")
    templated = send(api, template="note", subject=None, text=None, **{"from": "shop@acme.example"})
    after = message(api, send(api))["created_at"]
    assert preview(api, template="note")["matched"] == 1
    assert preview(api, created_before=after)["matched"] == 1
    assert preview(api, created_after=after)["matched"] == 1
    assert throw_away(api, 1, created_before=after).json["canceled"] == 1
    assert status(api, templated) == "canceled"


def test_what_a_worker_holds_or_what_has_ended_is_left_alone(api, sink):
    ended = send(api)
    drain()
    claimed = send(api)
    world.dying_worker(claimed)
    assert preview(api, tier="normal")["matched"] == 0
    assert (status(api, ended), status(api, claimed)) == ("delivered", "accepted")


def test_what_is_claimed_between_count_and_cancel_goes_out(acme, api, monkeypatch):
    first, second = send(api), send(api)
    counted = purge.matched

    def late(caller, wanted):
        found = counted(caller, wanted)
        world.dying_worker(second)
        return found

    monkeypatch.setattr(purge, "matched", late)
    assert throw_away(api, 2, tier="normal").json["canceled"] == 1
    assert (status(api, first), status(api, second)) == ("canceled", "accepted")


def test_a_purge_takes_so_many_at_a_time_the_oldest_first(api, monkeypatch):
    monkeypatch.setattr(purge, "MOST", 3)
    monkeypatch.setattr(purge, "BATCH", 2)
    mails = [send(api) for _ in range(5)]
    assert throw_away(api, 3, tier="normal").json == {"dry_run": False, "matched": 3, "more": True, "canceled": 3}
    assert [status(api, mail) for mail in mails] == ["canceled"] * 3 + ["queued"] * 2


def test_other_accounts_and_environments_are_out_of_reach(acme, globex):
    theirs = [send(globex.live), send(acme.test)]
    assert preview(acme.live, tier="normal")["matched"] == 0
    assert throw_away(acme.live, 0, tier="normal").json["canceled"] == 0
    assert set(Message.objects.filter(id__in=theirs).values_list("status", flat=True)) == {"queued"}


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "filter", "required"),
        ({"filter": {}}, "filter", "required"),
        ({"filter": {"tier": None}}, "filter", "required"),
        ({"filter": {"subject": "x"}}, "filter.subject", "unknown_field"),
        ({"filter": {"status": "delivered"}}, "filter.status", "invalid_value"),
        ({"filter": {"tier": "low"}, "dry_run": False}, "expected", "required"),
        ({"filter": {"tier": "low"}, "dry_run": False, "expected": -1}, "expected", "out_of_range"),
    ],
)
def test_what_is_wrong_with_a_purge_is_named(api, body, field, code):
    answer = api.post("/v1/queues/purge", body)
    assert (answer.status, answer.faults[field]) == (422, code)


def test_an_ordinary_key_may_not_purge(acme):
    answer = acme.key(scopes=keys.ORDINARY).post("/v1/queues/purge", {"filter": LOW})
    assert (answer.status, answer.code) == (403, "insufficient_scope")
