"""SPF records: syntax, limits and loops (RFC 7208), and whether our servers are included."""

import asyncio

import pytest

from messaging.domains import spf
from messaging.domains.lookups import Lookups
from messaging.domains.verdicts import Finding
from tests.delivery.dns_server import DnsServer, txt

OURS = "spf.sendarix.test"
INCLUDE = f"include:{OURS}"


def check(*records: str | bytes, **others: str) -> Finding:
    """The SPF of hanbit.example; `others` are records of <name>.example."""
    zones = {"hanbit.example": {"TXT": [txt(record) for record in records]}} if records else {}
    zones[OURS] = {"TXT": [txt("v=spf1 ip4:192.0.2.0/24 -all")]}
    zones |= {f"{name}.example": {"TXT": [txt(value)]} for name, value in others.items()}
    zones |= {"mail.example": {"A": ["192.0.2.1"], "MX": ["10 mail.example."]}}
    return asked(zones)


def asked(zones: dict) -> Finding:
    async def look() -> Finding:
        return await spf.check(Lookups([server.address]), "hanbit.example", OURS)

    with DnsServer(zones) as server:
        return asyncio.run(look())


@pytest.mark.parametrize(
    "record",
    [f"v=spf1 {INCLUDE} ~all", f"V=SPF1 {INCLUDE.upper()} -ALL", f"v=spf1  ip4:198.51.100.7 ip6:2001:db8::/32  {INCLUDE} -all",
     f"v=spf1 +{INCLUDE} a:mail.example/24//64 mx:mail.example ?all", f"v=spf1 {INCLUDE} exp=why.example unknown=x -all",
     f"v=spf1 exists:%{{ir}}.%{{l1r-}}.mail.example {INCLUDE} -all"],
)  # fmt: skip
def test_a_record_that_includes_us_is_right(record):
    assert check(record).verdict == "ok", check(record).reason


def test_being_included_by_something_it_includes_is_enough():
    assert check("v=spf1 include:team.example -all", team=f"v=spf1 {INCLUDE} -all").verdict == "ok"
    assert check("v=spf1 redirect=team.example", team=f"v=spf1 {INCLUDE} -all").verdict == "ok"


@pytest.mark.parametrize("record", ["v=spf1 mx:mail.example ~all", f"v=spf1 -all {INCLUDE}", f"v=spf1 -{INCLUDE} ~all"])
def test_a_record_without_us_is_wrong_and_a_merged_one_is_proposed(record):
    found = check(record)
    assert (found.verdict, found.reason) == ("wrong", f"The SPF record does not include us: add {INCLUDE}.")
    assert found.proposed


def test_the_proposed_record_keeps_what_is_there():
    assert (
        check("v=spf1 mx:mail.example ip4:198.51.100.7 ~all").proposed
        == f"v=spf1 mx:mail.example ip4:198.51.100.7 {INCLUDE} ~all"
    )
    assert spf.merged("v=spf1 redirect=team.example", OURS) == f"v=spf1 {INCLUDE} redirect=team.example"
    assert spf.merged("v=spf1", OURS) == f"v=spf1 {INCLUDE}"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (f"v=spf1 {INCLUDE} +all", "lets anybody send"),
        (f"v=spf1 {INCLUDE} all", "lets anybody send"),
        (f"v=spf1 {INCLUDE} ip4:192.0.2.300 -all", "no ip4 network"),
        (f"v=spf1 {INCLUDE} ip4:2001:db8::1 -all", "no ip4 network"),
        (f"v=spf1 {INCLUDE} ip4 -all", "no meaning"),
        (f"v=spf1 {INCLUDE} ipv4:192.0.2.1 -all", "no meaning"),
        (f"v=spf1 {INCLUDE} include: -all", "names no domain"),
        (f"v=spf1 {INCLUDE} include -all", "names no domain"),
        (f"v=spf1 {INCLUDE} exists:%{{z}}.example -all", "names no domain"),
        (f"v=spf1 {INCLUDE} redirect=a.example redirect=b.example", "there twice"),
        (f"v=spf1,{INCLUDE}", "no SPF record"),
        (f"v=spf1 {INCLUDE} gr\u00fc\u00df -all", "no meaning"),
        (f"v=spf1 {INCLUDE} include:nowhere.example -all", "include nowhere.example has no SPF record"),
        (f"v=spf1 {INCLUDE} include:hanbit.example -all", "it includes itself"),
        (f"v=spf1 {INCLUDE} include:{'x' * 80}.example -all", "has no SPF record"),
    ],
)
def test_a_faulty_record_is_refused_with_its_fault(record, reason):
    found = check(record)
    assert found.verdict in ("wrong", "missing")
    assert reason in found.reason


def test_a_fault_inside_an_included_record_names_it():
    assert (
        "in team.example, the term"
        in check(f"v=spf1 {INCLUDE} include:team.example -all", team="v=spf1 nonsense").reason
    )


def test_a_loop_over_two_records_is_shown():
    found = check("v=spf1 include:one.example -all", one="v=spf1 include:two.example", two="v=spf1 include:one.example")
    assert found.reason.endswith("one.example → two.example → one.example.")


def test_two_spf_records_are_wrong_and_none_is_missing():
    assert "2 SPF records" in check("v=spf1 -all", "v=spf1 ~all", "other").reason
    assert check("other").verdict == check().verdict == "missing"


@pytest.mark.parametrize("needed", [10, 11])
def test_lookups_are_counted_through_everything_included(needed):
    terms = " ".join(["a:mail.example"] * (needed - 3))
    found = check(f"v=spf1 {INCLUDE} include:team.example -all", team=f"v=spf1 exists:%{{i}}.mail.example {terms} -all")
    assert found.verdict == ("ok" if needed == 10 else "wrong")
    assert found.reason.startswith("SPF includes us" if needed == 10 else "SPF needs 11 lookups, 10 are allowed.")


def test_more_than_two_lookups_that_find_nothing_are_too_many():
    assert check(f"v=spf1 {INCLUDE} a:n1.example a:n2.example -all").verdict == "ok"
    assert (
        "3 lookups of the SPF record find nothing"
        in check(f"v=spf1 {INCLUDE} a:n1.test a:n2.test mx:n3.test -all").reason
    )


def test_a_tree_that_grows_without_end_is_given_up():
    grown = {f"t{n}": f"v=spf1 include:t{n + 1}.example include:t{n + 1}.example a:t{n}.example" for n in range(60)}
    assert check("v=spf1 include:t0.example -all", **grown).reason == "SPF needs more than 40 lookups, 10 are allowed."


def test_an_included_record_that_nobody_answers_for_leaves_it_unchecked():
    zones = {
        "hanbit.example": {"TXT": [txt(f"v=spf1 {INCLUDE} include:team.example -all")]},
        "team.example": "SERVFAIL",
    }
    assert asked(zones).verdict == "unchecked"


def test_our_own_record_being_away_is_not_the_customers_fault():
    assert asked({"hanbit.example": {"TXT": [txt(f"v=spf1 {INCLUDE} -all")]}, OURS: "SERVFAIL"}).verdict == "ok"


@pytest.mark.parametrize(
    "junk", ["v=spf1 " + "a " * 20_000, "v=spf1 " + "%{i}" * 10_000, "v=spf1 " + "-" * 30_000, b"v=spf1 \xff\x00"]
)
def test_hostile_records_end_in_a_reason(junk):
    assert check(junk).verdict == "wrong"
