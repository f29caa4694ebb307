"""Domains are looked at again by themselves, each by one process, and the operator's command registers one."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from messaging.domains import schedule
from messaging.models import DkimKey, SenderDomain
from tests import world
from tests.messaging.domain_zone import add, publish, verify


def bring_due() -> None:
    world.sql("UPDATE sender_domains SET next_check_at = now() WHERE NOT trusted")


def wait_of(name: str = "hanbit.example") -> timedelta:
    return SenderDomain.objects.get(domain=name).next_check_at - timezone.now()


def age(by: str) -> None:
    """As if everything about the domain had been as it is for so long."""
    ago = f"now() - interval '{by}'"
    world.sql(
        f"UPDATE sender_domains SET status_since = {ago}, created_at = {ago}, next_check_at = now() WHERE NOT trusted"
    )
    world.sql(f"UPDATE dkim_keys SET created_at = {ago}")


def test_a_new_domain_is_looked_at_within_a_minute_and_verified_without_being_asked(api, zone):
    publish(zone, add(api))
    assert wait_of() <= timedelta(minutes=1)
    assert schedule.recheck_due() == 0
    bring_due()
    assert schedule.recheck_due() == 1
    assert api.get("/v1/domains/hanbit.example").json["status"] == "verified"


@pytest.mark.parametrize(
    ("waited", "least", "most"),
    [("10 seconds", 30, 61), ("30 minutes", 800, 910), ("20 hours", 3500, 3610), ("4 days", 86_000, 86_500)],
)
def test_a_domain_that_waits_is_looked_at_ever_less_often(api, zone, waited, least, most):
    add(api)
    age(waited)
    schedule.recheck_due()
    assert least <= wait_of().total_seconds() <= most


def test_a_verified_domain_is_looked_at_daily_and_sooner_after_silence(api, zone):
    publish(zone, add(api))
    verify(api)
    assert wait_of() > timedelta(hours=23)
    zone.zones["sx1._domainkey.hanbit.example"] = "SERVFAIL"
    verify(api)
    assert wait_of() < timedelta(hours=1)


def test_a_rotation_under_way_is_looked_at_soon(api, zone):
    publish(zone, add(api))
    verify(api)
    api.post("/v1/domains/hanbit.example/rotate-dkim")
    assert wait_of() <= timedelta(minutes=1)
    verify(api)
    assert wait_of() <= timedelta(minutes=1, seconds=5)


def test_a_trusted_domain_is_never_due(acme, zone):
    world.sql("UPDATE sender_domains SET next_check_at = NULL")
    assert schedule.recheck_due() == 0


def test_many_dispatchers_look_at_each_domain_once(api, zone):
    for number in range(6):
        publish(zone, add(api, f"d{number}.example"))
    bring_due()
    zone.asked.clear()
    assert sum(world.together([lambda: schedule.recheck_due(2)] * 3)) == 6
    assert [name for name, _ in zone.asked].count("sx1._domainkey.d0.example") == 1


def test_a_domain_removed_while_it_is_looked_at_is_left_alone(api, zone):
    publish(zone, add(api))
    bring_due()
    zone.zones["_dmarc.hanbit.example"] = "SILENT"
    looking = world.in_background(schedule.recheck_due)
    world.until(lambda: ("_dmarc.hanbit.example", "TXT") in zone.asked)
    api.delete("/v1/domains/hanbit.example")
    assert looking.result() == 1
    assert not SenderDomain.objects.filter(domain="hanbit.example").exists()


# manage.py add_domain


def run(*arguments: str) -> str:
    said = StringIO()
    call_command("add_domain", *arguments, stdout=said)
    return said.getvalue()


def test_an_operator_registers_a_domain(acme):
    said = json.loads(run("acme", "hanbit.example", "--json"))
    assert (said["domain"], said["status"], said["account"]) == ("hanbit.example", "pending", "acme")
    assert "sx1._domainkey.hanbit.example" in [record["host"] for record in said["records"]]


def test_an_operators_word_is_enough_and_its_keys_sign_at_once(acme):
    assert "verified" in run("acme", "hanbit.example", "--trusted")
    assert list(DkimKey.objects.values_list("status", flat=True)) == ["active", "active"]


def test_an_operators_word_also_counts_for_a_domain_that_is_there(acme, api):
    add(api)
    assert json.loads(run("acme", "hanbit.example", "--trusted", "--json"))["status"] == "verified"
    assert "verified" in run("acme", "hanbit.example", "--trusted")
    assert set(DkimKey.objects.values_list("status", flat=True)) == {"active"}


@pytest.mark.parametrize(
    "arguments", [("nobody", "hanbit.example"), ("acme", "co.uk"), ("acme", "globex.example", "--trusted")]
)
def test_what_can_not_be_registered_is_refused_in_words(acme, globex, arguments):
    with pytest.raises(CommandError):
        run(*arguments)
