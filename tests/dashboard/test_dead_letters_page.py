"""The page of dead letters: grouped by cause, queued again after a count."""

import re

import pytest

from messaging import lifecycle
from messaging.delivery import queue
from messaging.lifecycle import Change
from messaging.models import DeadLetter, Message, Status
from sendarix.accounts import audit
from sendarix.accounts.models import Role
from tests import builders
from tests.api_client import Api
from tests.world import domain, send


@pytest.fixture
def api(acme):
    domain(acme, "acme.example")
    return Api(builders.api_key(acme))


def die(message_id: str, cause: str) -> str:
    """As when delivery gives a message up."""
    fence = Message.objects.get(pk=message_id).fence
    steps = ((Status.QUEUED, Status.ACCEPTED), (Status.ACCEPTED, Status.BOUNCED))
    for previous, status in steps:
        assert lifecycle.record([Change(message_id, previous, status, fence, 1, cause)])
    queue.bury([message_id])
    return message_id


@pytest.fixture
def dead(api):
    """Three, oldest first: two of policy and one of an unknown mailbox."""
    causes = ("policy", "mailbox_unknown", "policy")
    return [die(send(api, recipient=f"kim{n}@hanbit.example"), cause) for n, cause in enumerate(causes)]


def listed(page: str) -> list[str]:
    return re.findall(r'href="[^"]*/messages/(msg_\w+)"', page[page.index("<table") :] if "<table" in page else "")


def test_they_are_counted_by_cause_and_narrowed(owner, dead):
    page = owner.page("dead-letters")
    assert re.search(r'Refused by policy</span><span class="value">2<', page)
    assert listed(page) == dead[::-1]
    assert listed(owner.page("dead-letters", cause="mailbox_unknown")) == dead[1:2]
    assert listed(owner.page("dead-letters", recipient="KIM0@hanbit.example")) == dead[:1]


@pytest.mark.parametrize("fields", [{"cause": "nonsense"}, {"recipient": "nobody"}, {"created_after": "soon"}])
def test_a_filter_that_cannot_be_read_is_said_so(owner, dead, fields):
    answer = owner.get("dead-letters", **fields)
    assert answer.status_code == 422
    assert listed(answer.content.decode()) == []


def test_all_that_match_are_queued_again_after_their_count(owner, dead, acme):
    preview = owner.page("dead-letters/redrive", cause="policy")
    assert "2 messages would be queued again" in preview
    assert DeadLetter.objects.count() == 3
    page = owner.sent("dead-letters/redrive", {"cause": "policy", "expected": "2"})
    assert "2 messages are queued again." in page
    assert list(DeadLetter.objects.values_list("message_id", flat=True)) == dead[1:2]
    entry = audit.entries(acme.pk, action="dead_letters.redriven").get()
    assert entry.after == {"filter": {"cause": "policy"}, "count": 2}


def test_the_picked_are_queued_again_and_no_other(owner, dead):
    assert "1 message would be queued again" in owner.page("dead-letters/redrive", id=dead[0])
    owner.sent("dead-letters/redrive", {"id": dead[0], "expected": "1"})
    assert Message.objects.get(pk=dead[0]).status == Status.QUEUED
    assert DeadLetter.objects.count() == 2


@pytest.mark.parametrize("picked", [{"picked": "1"}, {"id": "a\x00b"}, {"id": ""}, {"id": "msg_nowhere"}])
def test_those_picked_are_never_all(owner, dead, picked):
    for answer in (
        owner.get("dead-letters/redrive", **picked),
        owner.post("dead-letters/redrive", picked | {"expected": "3"}),
        owner.post("dead-letters/redrive", picked | {"expected": "0"}),
    ):
        page = answer.content.decode()
        assert answer.status_code == 422
        assert "Tick at least one message." in page or "None of the ticked messages is a dead letter." in page
    assert DeadLetter.objects.count() == 3


def test_a_count_that_no_longer_holds_does_nothing(owner, dead):
    answer = owner.post("dead-letters/redrive", {"cause": "policy", "expected": "1"})
    assert answer.status_code == 422
    assert "Look at the count again." in answer.content.decode()
    assert DeadLetter.objects.count() == 3


def test_who_only_reads_drives_nothing(member, dead):
    visitor = member(Role.READ_ONLY)
    page = visitor.page("dead-letters")
    assert "kim0@hanbit.example" not in page
    assert "redrive" not in page.replace("dead-letters/redrive", "", 1)
    assert visitor.post("dead-letters/redrive", {"id": dead[0], "expected": "1"}).status_code == 403


def test_another_account_s_are_neither_seen_nor_driven(owner, globex):
    domain(globex, "globex.example")
    theirs = die(send(Api(builders.api_key(globex))), "policy")
    assert listed(owner.page("dead-letters")) == []
    owner.post("dead-letters/redrive", {"id": theirs, "expected": "0"})
    assert DeadLetter.objects.get().message_id == theirs
