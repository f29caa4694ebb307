"""Finding mail hosts, asked of a real DNS server on loopback."""

import asyncio
from random import Random

import pytest

from messaging.delivery.dns import Host, Resolver, hosts, smarthost
from messaging.delivery.outcomes import Cause, Outcome, Verdict
from tests.delivery.dns_server import DnsServer

ZONES = {
    "hanbit.example": {"MX": ["20 mx2.hanbit.example.", "10 mx1.hanbit.example."]},
    "mx1.hanbit.example": {"A": ["193.0.6.139"], "AAAA": ["2a00:1450:4001::1a"]},
    "mx2.hanbit.example": {"A": ["193.0.6.140"]},
    "equal.example": {"MX": [f"10 mx{n}.equal.example." for n in range(6)]},
    **{f"mx{n}.equal.example": {"A": [f"193.0.7.{n}"]} for n in range(6)},
    "plain.example": {"A": ["193.0.6.142"]},
    "nullmx.example": {"MX": ["0 ."]},
    "halfnull.example": {"MX": ["0 .", "10 mx1.hanbit.example."]},
    "empty.example": {"TXT": ['"nothing to see"']},
    "deadmx.example": {"MX": ["10 gone.example."]},
    "broken.example": "SERVFAIL",
    "refused.example": "REFUSED",
    "silent.example": "SILENT",
    "halfdead.example": {"MX": ["10 broken.example.", "20 mx1.hanbit.example."]},
    "stuck.example": {"MX": ["10 broken.example.", "20 inside.example."]},
    "alias.example": {"CNAME": ["hanbit.example."]},
    "loop.example": {"CNAME": ["pool.example."]},
    "pool.example": {"CNAME": ["loop.example."]},
    "inside.example": {"A": ["10.0.0.5"], "AAAA": ["64:ff9b::a00:5"]},
    "trap.example": {"MX": ["10 inside.example."]},
    "mixed.example": {"MX": ["10 both.example."]},
    "both.example": {"A": ["127.0.0.1", "193.0.6.143"]},
    "many.example": {"MX": [f"{n} mx{n % 6}.equal.example." for n in range(60)]},
}


@pytest.fixture(scope="module")
def server():
    with DnsServer(ZONES) as running:
        yield running


def look_up(server: DnsServer, domain: str, **options) -> list[Host] | Outcome:
    resolver = Resolver([server.address], timeout=0.3, lifetime=0.6)
    return asyncio.run(hosts(domain, resolver, **options))


def test_hosts_come_in_order_of_preference_with_ipv4_first(server):
    assert look_up(server, "hanbit.example") == [
        Host("mx1.hanbit.example", 10, ("193.0.6.139", "2a00:1450:4001::1a")),
        Host("mx2.hanbit.example", 20, ("193.0.6.140",)),
    ]


def test_equal_preferences_are_shuffled_by_the_chance_given(server):
    orders = {tuple(host.name for host in look_up(server, "equal.example", rng=Random(n))) for n in range(8)}
    again = look_up(server, "equal.example", rng=Random(3))
    assert len(orders) > 3
    assert look_up(server, "equal.example", rng=Random(3)) == again


def test_a_domain_without_mx_is_its_own_mail_host(server):
    assert look_up(server, "plain.example") == [Host("plain.example", 0, ("193.0.6.142",))]


def test_an_alias_is_followed(server):
    found = look_up(server, "alias.example")
    assert [host.name for host in found] == ["mx1.hanbit.example", "mx2.hanbit.example"]


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("nullmx.example", "null MX"),
        ("nowhere.example", "does not exist"),
        ("empty.example", "no mail host with an address"),
        ("deadmx.example", "no mail host with an address"),
        ("a..b.example", "not a domain name"),
        ("x" * 64 + ".example", "not a domain name"),
    ],
)
def test_what_will_not_change_bounces(server, domain: str, words: str):
    found = look_up(server, domain)
    assert (found.verdict, found.cause) == (Verdict.BOUNCED, Cause.DNS)
    assert words in found.detail
    assert not found.dead_mailbox


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("broken.example", "SERVFAIL"),
        ("refused.example", "REFUSED"),
        ("silent.example", "no answer in time"),
        ("loop.example", "chain"),
        ("stuck.example", "SERVFAIL"),
    ],
)
def test_a_resolver_in_trouble_defers(server, domain: str, words: str):
    found = look_up(server, domain)
    assert (found.verdict, found.cause) == (Verdict.DEFERRED, Cause.DNS)
    assert words in found.detail


def test_one_host_that_can_not_be_found_does_not_hide_the_others(server):
    assert [host.name for host in look_up(server, "halfdead.example")] == ["mx1.hanbit.example"]
    assert [host.name for host in look_up(server, "halfnull.example")] == ["mx1.hanbit.example"]


def test_a_domain_that_leads_inside_bounces_by_policy_and_says_where(server):
    found = look_up(server, "trap.example")
    assert (found.verdict, found.cause) == (Verdict.BOUNCED, Cause.POLICY)
    assert "10.0.0.5" in found.detail
    assert "64:ff9b::a00:5" in found.detail


def test_a_private_address_beside_a_public_one_is_left_out(server):
    assert look_up(server, "mixed.example") == [Host("both.example", 10, ("193.0.6.143",))]


def test_a_route_may_allow_private_addresses(server):
    found = look_up(server, "trap.example", allow_private=True)
    assert found == [Host("inside.example", 10, ("10.0.0.5", "64:ff9b::a00:5"))]


def test_no_more_than_twenty_hosts_are_looked_up(server):
    assert len(look_up(server, "many.example")) == 20


def test_an_answer_is_kept_for_its_ttl():
    async def thrice(resolver: Resolver) -> None:
        await hosts("hanbit.example", resolver)
        await hosts("hanbit.example", resolver)
        await asyncio.sleep(1.1)
        await hosts("hanbit.example", resolver)

    with DnsServer(ZONES, ttl=1) as short:
        asyncio.run(thrice(Resolver([short.address])))
        assert short.asked.count(("hanbit.example", "MX")) == 2


def test_a_truncated_answer_is_asked_again_by_tcp():
    with DnsServer(ZONES, truncate=True) as server:
        assert len(look_up(server, "hanbit.example")) == 2
        assert server.by_tcp >= 3


def test_a_smarthost_is_an_address_or_a_name_of_the_system():
    assert asyncio.run(smarthost("193.0.6.139")) == ("193.0.6.139",)
    assert "127.0.0.1" in asyncio.run(smarthost("localhost", allow_private=True))
    inside = asyncio.run(smarthost("localhost"))
    assert (inside.verdict, inside.cause) == (Verdict.BOUNCED, Cause.POLICY)
    unknown = asyncio.run(smarthost("no-such-host.invalid"))
    assert (unknown.verdict, unknown.cause) == (Verdict.DEFERRED, Cause.DNS)
