"""A zone for tests of sender domains: what a customer would publish, served by a real DNS server that the settings name."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.api_client import Api
from tests.delivery.dns_server import DnsServer, txt

OURS = {
    "bounces.sendarix.test": {"MX": ["10 mx.sendarix.test."]},
    "spf.bounces.sendarix.test": {"TXT": [txt("v=spf1 ip4:192.0.2.0/24 -all")]},
}


@pytest.fixture
def zone(settings) -> Iterator[DnsServer]:
    """Knows our own names; tests add the customers'. Nothing is cached between looks."""
    with DnsServer(OURS, ttl=0) as server:
        host, port = server.address
        settings.DNS_SERVERS = [urlsplit(f"//{host}:{port}")]
        settings.BOUNCE_DOMAIN, settings.SPF_INCLUDE = "bounces.sendarix.test", "spf.bounces.sendarix.test"
        yield server


def add(api: Api, name: str = "hanbit.example") -> dict:
    answer = api.post("/v1/domains", {"domain": name})
    assert answer.status == 201, answer.json
    return answer.json


def verify(api: Api, name: str = "hanbit.example") -> dict:
    answer = api.post(f"/v1/domains/{name}/verify")
    assert answer.status == 200, answer.json
    return answer.json


def publish(zone: DnsServer, domain: dict, *purposes: str) -> None:
    """As told, all records or those of some purposes, beside what is there."""
    for record in domain["records"]:
        if not purposes or record["purpose"] in purposes:
            value = txt(record["value"]) if record["type"] == "TXT" else f"{record['value']}."
            zone.zones.setdefault(record["host"], {}).setdefault(record["type"], []).append(value)


def put(zone: DnsServer, name: str, *values: str | bytes) -> None:
    """TXT values in place of what is there."""
    zone.zones[name] = {"TXT": [txt(value) for value in values]}


def of(domain: dict, purpose: str) -> dict:
    """The first record of a purpose."""
    return next(record for record in domain["records"] if record["purpose"] == purpose)


def at(domain: dict, host: str) -> dict:
    return next(record for record in domain["records"] if record["host"] == host)
