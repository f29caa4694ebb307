"""What is said of DKIM, ownership, return-path and DMARC records, whatever stands in the zone."""

import asyncio
import json

import pytest

from messaging.domains import checks
from messaging.domains.lookups import Lookups
from messaging.domains.verdicts import Finding
from tests.delivery.dns_server import DnsServer, txt

KEY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A" + "q7Zk" * 90
HOST = "sx1._domainkey.hanbit.example"
RIGHT = f"v=DKIM1; k=rsa; p={KEY}"
TARGET = "bounces.sendarix.test"


def looked(zones, check, *arguments, seconds: float = 9.0) -> Finding:
    async def look() -> Finding:
        return await check(Lookups([server.address], seconds=seconds), *arguments)

    with DnsServer(zones) as server:
        return asyncio.run(look())


def dkim(*values: str | bytes, **options) -> Finding:
    return looked({HOST: {"TXT": [txt(value) for value in values]}}, checks.dkim, HOST, "rsa", KEY, **options)


# DKIM


@pytest.mark.parametrize(
    "value",
    [RIGHT, f"p={KEY}", f"v=DKIM1;k=rsa;p={KEY};", f"v=DKIM1; h=sha256:sha1; s=email; p={KEY[:200]} {KEY[200:]}",
     RIGHT.replace(";", "\\;"), f"v=DKIM1; s=*; n=by; x=unknown; p={KEY}"],
)  # fmt: skip
def test_our_key_is_recognised_however_it_is_written(value):
    assert dkim(value).verdict == "ok"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (RIGHT[:255], "The DKIM record is cut after 255 characters"),
        (RIGHT[:254], "The DKIM record is cut after 254 characters"),
        (RIGHT[:300], "only the first"),
        (f"v=DKIM1; k=rsa; p={'A' * 392}", "Another key is published"),
        ("v=DKIM1; k=rsa; p=", "revoked"),
        (f"v=DKIM1; k=ed25519; p={KEY}", "says k=ed25519"),
        (f"v=DKIM2; p={KEY}", "v= is not DKIM1"),
        (f"v=DKIM1; h=sha1; p={KEY}", "forbids SHA-256"),
        (f"v=DKIM1; s=web; p={KEY}", "for e-mail"),
        ("v=DKIM1; k=rsa", "no p= tag"),
        (f"v=DKIM1; p={KEY}; p={KEY}", "there twice"),
        (f'"v=DKIM1; k=rsa; p={KEY}"', "quotation marks"),
        ("hello", "can't be read"),
        ("", "no p= tag"),
        ("é\x00;=;=" * 50, "can't be read"),
    ],
)
def test_a_wrong_key_record_is_called_wrong_with_the_reason(value, reason):
    found = dkim(value)
    assert found.verdict == "wrong"
    assert reason in found.reason


def test_several_records_at_a_selector_are_wrong_even_beside_ours():
    assert "2 TXT records" in dkim(RIGHT, "v=DKIM1; p=").reason


def test_a_missing_name_and_a_name_without_txt_are_told_apart():
    assert looked({}, checks.dkim, HOST, "rsa", KEY).reason == f"The name {HOST} does not exist."
    assert (
        looked({HOST: {"A": ["192.0.2.1"]}}, checks.dkim, HOST, "rsa", KEY).reason
        == f"There is no TXT record at {HOST}."
    )


def test_a_key_behind_an_alias_is_found():
    zones = {HOST: {"CNAME": ["key.dns.example."]}, "key.dns.example": {"TXT": [txt(RIGHT)]}}
    assert looked(zones, checks.dkim, HOST, "rsa", KEY).verdict == "ok"


def test_flags_that_weaken_a_key_are_remarked_on():
    found = dkim(f"v=DKIM1; t=y:s; p={KEY}")
    assert found.verdict == "ok"
    assert "testing" in found.reason
    assert "subdomains" in found.reason


@pytest.mark.parametrize(
    "zones", [{HOST: "SERVFAIL"}, {HOST: "REFUSED"}, {HOST: {"CNAME": [f"{HOST}."]}}, {HOST: "SILENT"}]
)
def test_no_answer_is_no_verdict(zones):
    found = looked(zones, checks.dkim, HOST, "rsa", KEY, seconds=1.0)
    assert found.verdict == "unchecked"
    assert "gave no answer" in found.reason


# hostile answers


@pytest.mark.parametrize(
    "values",
    [[b"\xff" * 60_000], [f"v=DKIM1; p={n}" for n in range(900)], [b"\x00\x01\xff" * 80], ["v=DKIM1; " + "a=b; " * 10_000],
     [";" * 30_000], ["=" * 30_000], [b"v=DKIM1; p=\xed\xa0\x80"]],
)  # fmt: skip
def test_hostile_records_are_wrong_and_what_is_kept_of_them_is_small_printable_json(values):
    found = dkim(*values)
    kept = json.dumps(found.as_json())
    assert found.verdict == "wrong"
    assert len(kept) < 7_000
    assert kept.replace("\\u2026", "").isprintable()
    assert "\\u0000" not in kept


# ownership


def owned(*values: str) -> str:
    zones = {"_sendarix.hanbit.example": {"TXT": [txt(value) for value in values]}} if values else {}
    return looked(zones, checks.ownership, "_sendarix.hanbit.example", "sendarix-verification=abc").verdict


def test_the_ownership_record_may_stand_beside_others():
    assert owned("sendarix-verification=other", " sendarix-verification=abc ") == "ok"
    assert owned("sendarix-verification=abcd") == "wrong"
    assert owned() == "missing"


# return path


@pytest.mark.parametrize(
    ("zones", "verdict"),
    [
        ({"b.hanbit.example": {"CNAME": [f"{TARGET}."]}}, "ok"),
        ({"b.hanbit.example": {"CNAME": ["x.example."]}, "x.example": {"CNAME": ["Bounces.Sendarix.Test."]}}, "ok"),
        ({"b.hanbit.example": {"MX": [f"10 {TARGET}."]}}, "ok"),
        ({"b.hanbit.example": {"MX": ["10 mx.elsewhere.example."]}}, "wrong"),
        ({"b.hanbit.example": {"MX": ["0 ."]}}, "wrong"),
        ({"b.hanbit.example": {"CNAME": ["mail.elsewhere.example."]}}, "wrong"),
        ({"b.hanbit.example": {"A": ["192.0.2.1"]}}, "missing"),
        ({}, "missing"),
        ({"b.hanbit.example": "SERVFAIL"}, "unchecked"),
    ],
)
def test_a_return_path_leads_to_us_by_alias_or_mx(zones, verdict):
    assert looked(zones, checks.return_path, "b.hanbit.example", TARGET).verdict == verdict


def test_aliases_that_go_round_end():
    zones = {"b.hanbit.example": {"CNAME": ["c.example."]}, "c.example": {"CNAME": ["b.hanbit.example."]}}
    assert looked(zones, checks.return_path, "b.hanbit.example", TARGET).verdict in ("wrong", "unchecked")


# DMARC


def dmarc(domain: str, **zones: str) -> Finding:
    names = {"own": f"_dmarc.{domain}", "org": "_dmarc.hanbit.co.kr"}
    return looked({names[name]: {"TXT": [txt(value)]} for name, value in zones.items()}, checks.dmarc, domain)


@pytest.mark.parametrize(
    ("value", "verdict", "reason"),
    [
        ("v=DMARC1; p=reject; rua=mailto:d@hanbit.co.kr", "ok", "policy is reject"),
        ("v=DMARC1; p=none", "ok", "No reports are asked for"),
        ("v=DMARC1; p=none; adkim=s; aspf=s", "ok", "adkim=s"),
        ("v=DMARC1", "wrong", "needs p="),
        ("v=DMARC1; p=maybe", "wrong", "needs p="),
        ("v=DMARC1; p", "wrong", "can't be read"),
        ("v=dmarc1; p=none", "wrong", "in capitals"),
        ("something else", "missing", "no DMARC record"),
    ],
)
def test_a_dmarc_record_is_read(value, verdict, reason):
    found = dmarc("hanbit.co.kr", own=value)
    assert found.verdict == verdict
    assert reason in found.reason


def test_a_subdomain_without_a_record_has_its_organisations_subdomain_policy():
    found = dmarc("mail.hanbit.co.kr", org="v=DMARC1; p=none; sp=reject; rua=mailto:d@hanbit.co.kr")
    assert (found.verdict, found.reason) == ("ok", "The DMARC policy (of hanbit.co.kr) is reject.")


def test_two_dmarc_records_are_none():
    zones = {"_dmarc.hanbit.example": {"TXT": [txt("v=DMARC1; p=none"), txt("v=DMARC1; p=reject")]}}
    assert looked(zones, checks.dmarc, "hanbit.example").verdict == "wrong"
