"""The queue page: figures, pausing and resuming, purging with the count that was shown."""

from datetime import UTC, datetime, timedelta

import pytest

from messaging.models import Message, QueuePause
from messaging.queues import pauses
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Role
from tests import builders
from tests.api_client import Api
from tests.world import Company, domain

HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def waiting(acme):
    """Three messages that wait, two of them of the low tier."""
    api = Api(builders.api_key(acme))
    domain(Company(acme, api, api), "acme.example")
    for number, tier in enumerate(("critical", "low", "low")):
        answer = api.post("/v1/messages", {
            "recipient": f"kim{number}@hanbit.example", "subject": "Code", "text": "1", "priority": tier
        })  # fmt: skip
        assert answer.status == 202, answer.body


def test_what_waits_is_shown_by_tier_and_renewed_in_part(owner, waiting):
    page = owner.page("queues")
    assert "Nothing leaves." in page
    assert "<h2>By tier</h2>" in page
    part = owner.client.get(owner.url("queues"), headers={"HX-Request": "true"}).content.decode()
    assert 'id="figures"' in part
    assert "<html" not in part


def test_a_pause_is_made_with_reason_and_end_and_resumed(owner):
    fields = {"destination": "naver", "reason": HOSTILE, "lasts": "3600"}
    page = owner.sent("queues", fields)
    made = QueuePause.objects.get()
    assert (made.account_id, made.destination) == (owner.account.pk, "naver")
    assert timedelta(minutes=59) < made.expires_at - datetime.now(UTC) < timedelta(minutes=61)
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert "Resumed; 0 messages are let go." in owner.sent(f"queues/pauses/{made.pk}/resume")
    assert not pauses.concerning(owner.account.pk).exists()


def test_the_end_of_a_pause_is_read_in_the_account_s_zone(owner):
    owner.account.timezone = "Asia/Seoul"
    owner.account.save()
    until = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=2)
    local = (until + timedelta(hours=9)).strftime("%Y-%m-%dT%H:%M")
    owner.sent("queues", {"tier": "low", "reason": "later", "lasts": "until", "until": local})
    assert QueuePause.objects.get().expires_at == until


def test_a_key_is_held_and_shown_by_its_name(owner, acme):
    builders.api_key(acme, name="Shop server")
    page = owner.sent("queues", {"key": acme.api_keys.get().id, "reason": "It sends too much"})
    assert "All mail</strong>" not in page
    assert QueuePause.objects.get().key_id == acme.api_keys.get().id
    assert page.count("Shop server") == 2  # in the list and in the form


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"reason": "why"}, "Give tier, destination, route or key"),
        ({"destination": "not a domain", "reason": "why"}, "Must be a domain or one of"),
        ({"tier": "low", "reason": ""}, "This field is required."),
        ({"tier": "low", "reason": "why", "lasts": "until"}, "Say when it ends."),
        ({"route": "rte_of_nobody", "reason": "why"}, "rte_of_nobody"),
    ],
)
def test_faults_of_a_pause_are_shown(owner, fields, fault):
    answer = owner.post("queues", fields)
    assert answer.status_code == 422
    assert fault in answer.content.decode()
    assert not QueuePause.objects.exists()


def test_the_platform_s_pause_is_shown_and_is_not_theirs_to_end(owner):
    made = pauses.pause(None, pauses.Conditions(destination="gmail"), "Gmail is down", None, Actor(None, "operator"))
    assert "Gmail is down" in owner.page("queues")
    assert "the platform&#x27;s" in owner.sent(f"queues/pauses/{made.pk}/resume")
    assert pauses.concerning(owner.account.pk).count() == 1


def test_a_pause_of_another_account_is_not_there(owner, globex):
    made = pauses.pause(globex.pk, pauses.Conditions(destination="gmail"), "theirs", None, Actor(globex.pk, "operator"))
    assert owner.post(f"queues/pauses/{made.pk}/resume").status_code == 404
    assert "theirs" not in owner.page("queues")


def test_a_purge_is_counted_first_and_cancels_exactly_that(owner, waiting):
    assert "2 messages match" in owner.page("queues/purge", tier="low")
    stale = owner.post("queues/purge", {"tier": "low", "expected": "3"})
    assert (stale.status_code, Message.objects.filter(status="canceled").count()) == (422, 0)
    assert "2 messages are canceled." in owner.sent("queues/purge", {"tier": "low", "expected": "2"})
    assert Message.objects.filter(status="canceled").count() == 2


def test_a_purge_without_a_filter_or_a_count_is_refused(owner, waiting):
    assert owner.get("queues/purge", tier="").status_code == 422
    assert owner.post("queues/purge", {"tier": "low", "expected": "many"}).status_code == 422
    assert not Message.objects.filter(status="canceled").exists()


def test_who_may_only_look_gets_no_forms(member):
    page = member(Role.READ_ONLY).page("queues")
    assert 'id="pause"' not in page
    assert "queues/purge" not in page
