"""Replacing DKIM keys: at every moment the records in the zone fit what mail is signed with."""

from io import StringIO

import pytest
from django.core.management import call_command

from messaging.delivery import identities
from messaging.domains import rotation, schedule
from messaging.models import DkimKey
from sendarix.accounts.models import AuditEntry
from tests import world
from tests.messaging.domain_zone import add, at, publish, put, verify

NEW = "sx2._domainkey.hanbit.example"


@pytest.fixture
def verified(api, zone) -> dict:
    publish(zone, add(api))
    return verify(api)


def rotate(api) -> dict:
    answer = api.post("/v1/domains/hanbit.example/rotate-dkim")
    assert answer.status == 200, answer.json
    return answer.json


def states() -> dict[str, str]:
    return dict(DkimKey.objects.values_list("selector", "status"))


def signing(acme) -> list[str]:
    identities.forget()
    identities.prefetch([(acme.account.pk, "hanbit.example")])
    return [key.selector for key in identities.of(acme.account.pk, "hanbit.example").keys]


def test_a_rotation_adds_a_pair_to_publish_and_signs_as_before(acme, api, verified):
    domain = rotate(api)
    assert [one["host"].partition(".")[0] for one in domain["records"] if one["purpose"] == "dkim"] == [
        "sx1",
        "sx1e",
        "sx2",
        "sx2e",
    ]
    assert "as soon as its record is found" in at(domain, NEW)["reason"]
    assert signing(acme) == ["sx1", "sx1e"]


def test_the_new_pair_signs_once_it_is_seen_and_the_old_stays_listed(acme, api, zone, verified):
    rotate(api)
    assert verify(api)["status"] == "verified"
    assert signing(acme) == ["sx1", "sx1e"]
    publish(zone, {"records": [one for one in rotate(api)["records"] if one["host"].startswith("sx2")]})
    domain = verify(api)
    assert states() == {"sx1": "retired", "sx1e": "retired", "sx2": "active", "sx2e": "active"}
    assert signing(acme) == ["sx2", "sx2e"]
    old = at(domain, "sx1._domainkey.hanbit.example")
    assert (domain["status"], old["required"]) == ("verified", False)
    assert "keep its record published until" in old["reason"]


def test_a_rotation_under_way_is_answered_with_the_same_pair(api, verified):
    first, second = rotate(api), rotate(api)
    assert [one["value"] for one in first["records"]] == [one["value"] for one in second["records"]]


def test_rotations_at_the_same_moment_make_one_pair(acme, verified):
    world.together([lambda: rotate(acme.live)] * 4)
    assert states() == {"sx1": "active", "sx1e": "active", "sx2": "pending", "sx2e": "pending"}


def test_an_old_record_taken_away_too_late_to_matter_breaks_nothing(api, zone, verified):
    publish(zone, {"records": [one for one in rotate(api)["records"] if one["host"].startswith("sx2")]})
    zone.zones.pop("sx1._domainkey.hanbit.example")
    assert verify(api)["status"] == "verified"


def test_a_wrong_new_record_changes_nothing(acme, api, zone, verified):
    rotate(api)
    put(zone, NEW, "v=DKIM1; k=rsa; p=AAAA")
    domain = verify(api)
    assert (domain["status"], at(domain, NEW)["verdict"]) == ("verified", "wrong")
    assert signing(acme) == ["sx1", "sx1e"]


def test_a_replaced_key_is_listed_for_seven_days_then_forgotten(api, zone, verified):
    publish(zone, {"records": [one for one in rotate(api)["records"] if one["host"].startswith("sx2")]})
    verify(api)
    assert rotation.forget() == 0
    world.sql("UPDATE dkim_keys SET retired_at = now() - interval '7 days 1 minute' WHERE status = 'retired'")
    assert "sx1._domainkey.hanbit.example" not in [
        one["host"] for one in api.get("/v1/domains/hanbit.example").json["records"]
    ]
    assert rotation.forget() == 2
    assert set(states()) == {"sx2", "sx2e"}


def test_who_began_a_rotation_and_when_it_took_effect_is_in_the_audit_log(api, zone, verified):
    publish(zone, {"records": [one for one in rotate(api)["records"] if one["host"].startswith("sx2")]})
    world.sql("UPDATE sender_domains SET next_check_at = now() WHERE domain = 'hanbit.example'")
    schedule.recheck_due()
    begun, done = (AuditEntry.objects.get(action=action) for action in ("dkim.rotated", "dkim.activated"))
    assert begun.actor.startswith("key_")
    assert begun.after == {"selectors": ["sx2", "sx2e"]}
    assert (done.actor, done.before) == ("domain-check", {"selectors": ["sx1", "sx1e"]})


def test_a_rotation_of_a_trusted_domain_ends_when_the_new_record_is_seen(acme, api, zone):
    call_command("add_domain", "acme", "hanbit.example", "--trusted", stdout=StringIO())
    domain = rotate(api)
    due = "UPDATE sender_domains SET next_check_at = now() WHERE next_check_at IS NOT NULL"
    world.sql(due)
    assert (schedule.recheck_due(), states()["sx2"]) == (1, "pending")
    publish(zone, {"records": [one for one in domain["records"] if one["host"].startswith("sx2")]})
    world.sql(due)
    assert schedule.recheck_due() == 1
    assert states() == {"sx1": "retired", "sx1e": "retired", "sx2": "active", "sx2e": "active"}
    shown = api.get("/v1/domains/hanbit.example").json
    assert (shown["status"], shown["next_check_at"]) == ("verified", None)


def test_a_rotation_under_way_goes_on_when_its_domain_is_trusted(acme, api, verified):
    rotate(api)
    call_command("add_domain", "acme", "hanbit.example", "--trusted", stdout=StringIO())
    assert api.get("/v1/domains/hanbit.example").json["next_check_at"] is not None
