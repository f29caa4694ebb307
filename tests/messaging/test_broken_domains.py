"""Mail of a domain whose records stopped being right: signed and bounced to only by what the DNS still says."""

import re

import pytest

from messaging.delivery import identities
from tests import world
from tests.messaging.domain_zone import add, publish, verify
from tests.world import drain, send

RSA, ED25519 = "sx1._domainkey.hanbit.example", "sx1e._domainkey.hanbit.example"
RETURN_PATH = "bounces.hanbit.example"


@pytest.fixture
def shop(acme, zone):
    """Acme may send from what it has registered; hanbit.example is verified."""
    world.sql("UPDATE accounts SET sender_policy = 'registered'")
    publish(zone, add(acme.live))
    assert verify(acme.live)["status"] == "verified"
    return acme.live


def sent(api, sink) -> tuple[list[str], str]:
    """The selectors that signed the next mail, and the host of its envelope's sender."""
    identities.forget()
    send(api, **{"from": "Hanbit <shop@hanbit.example>"})
    drain()
    mail = sink.accepted[-1]
    head = mail.content.partition(b"\r\n\r\n")[0].decode()
    selectors = re.findall(r"^DKIM-Signature:.*?\bs=(\w+);", head, re.MULTILINE | re.DOTALL)
    return selectors, mail.sender.partition("@")[2]


def withdrawn(api, zone, *hosts: str) -> str:
    """The status after a look that misses these records."""
    for host in hosts:
        del zone.zones[host]
    return verify(api)["status"]


def test_a_sound_domain_is_signed_for_and_takes_its_bounces(shop, sink):
    assert sent(shop, sink) == (["sx1", "sx1e"], RETURN_PATH)


def test_a_missing_rsa_record_ends_that_signature_alone(shop, sink, zone):
    assert withdrawn(shop, zone, RSA) == "broken"
    assert sent(shop, sink) == (["sx1e"], RETURN_PATH)


def test_without_any_key_record_mail_is_unsigned(shop, sink, zone):
    assert withdrawn(shop, zone, RSA, ED25519) == "broken"
    assert sent(shop, sink) == ([], RETURN_PATH)


def test_a_missing_return_path_leaves_the_plain_sender(shop, sink, zone):
    assert withdrawn(shop, zone, RETURN_PATH) == "verified"
    assert sent(shop, sink) == (["sx1", "sx1e"], "hanbit.example")


def test_a_domain_broken_by_silence_relies_on_none_of_its_records(shop, sink, zone):
    zone.zones |= dict.fromkeys((RSA, ED25519, RETURN_PATH), "SERVFAIL")
    assert [verify(shop)["status"] for _ in range(3)] == ["verified", "verified", "broken"]
    assert sent(shop, sink) == ([], "hanbit.example")


def test_one_silent_look_changes_nothing(shop, sink, zone):
    zone.zones |= dict.fromkeys((RSA, ED25519, RETURN_PATH), "SERVFAIL")
    assert verify(shop)["status"] == "verified"
    assert sent(shop, sink) == (["sx1", "sx1e"], RETURN_PATH)


def test_a_repaired_domain_is_signed_for_again(shop, sink, zone):
    records = dict(zone.zones)
    assert withdrawn(shop, zone, RSA, ED25519, RETURN_PATH) == "broken"
    assert sent(shop, sink) == ([], "hanbit.example")
    zone.zones |= records
    assert verify(shop)["status"] == "verified"
    assert sent(shop, sink) == (["sx1", "sx1e"], RETURN_PATH)


def test_mail_that_waited_while_its_domain_broke_goes_out_unsigned(shop, sink, zone):
    send(shop, **{"from": "shop@hanbit.example"}, scheduled_time=world.from_now(hours=1))
    withdrawn(shop, zone, RSA, ED25519)
    identities.forget()
    world.bring_due()
    drain()
    assert b"DKIM-Signature" not in sink.accepted[0].content
