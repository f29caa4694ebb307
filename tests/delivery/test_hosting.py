"""Who hosts a company's domain is found out whatever way its mail takes, where anybody asks."""

from urllib.parse import urlsplit

import pytest

from messaging.delivery import destinations, worker
from messaging.models import MailDomain
from tests import world
from tests.delivery import paths
from tests.delivery.dns_server import DnsServer
from tests.delivery.paths import route
from tests.world import attempts, send

COMPANY = {"company.example": {"MX": ["10 alt1.aspmx.l.google.com.", "1 aspmx.l.google.com."]}}


@pytest.fixture
def smarthost(settings, sink):
    """A name server that knows a company whose mail Google hosts, and a smarthost for all mail."""
    with DnsServer(COMPANY) as server:
        settings.DNS_SERVERS = [urlsplit(f"//127.0.0.1:{server.address[1]}")]
        world.forget_routes()
        yield route("smarthost", sink.port).id


def deliver(api, recipient: str = "kim@company.example") -> str:
    message_id = send(api, recipient=recipient)
    worker.drain(20.0, 0.1)
    return message_id


def rule_of(api, message_id: str) -> str | None:
    return attempts(api, message_id)[0]["explanation"].get("rule_name")


def test_a_rule_for_gmail_holds_for_a_company_there_although_a_smarthost_takes_the_mail(api, smarthost):
    paths.publish({"name": "gmail", "when": {"providers": ["gmail"]}, "then": {"routes": [{"route": smarthost}]}})
    first, second = deliver(api), deliver(api)
    assert [rule_of(api, one) for one in (first, second)] == [None, "gmail"]
    assert MailDomain.objects.get().hosts == ["aspmx.l.google.com", "alt1.aspmx.l.google.com"]


def test_a_rule_may_name_the_hosts_of_a_provider_of_ones_own(api, smarthost):
    when = {"mail_hosts": ["l.google.com"]}
    paths.publish({"name": "theirs", "when": when, "then": {"routes": [{"route": smarthost}]}})
    first, second, other = deliver(api), deliver(api), deliver(api, "kim@notl.google.com.example")
    assert [rule_of(api, one) for one in (first, second, other)] == [None, "theirs", None]
    foretold = api.post("/v1/routing/simulate", {"recipient": "lee@company.example"}).json
    assert foretold["message"]["mail_hosts"] == ["aspmx.l.google.com", "alt1.aspmx.l.google.com"]
    assert foretold["explanation"]["rule_name"] == "theirs"


def test_nobody_is_asked_where_no_rule_policy_or_pause_speaks_of_providers(api, smarthost):
    paths.publish({"name": "all", "when": {"domains": ["company.example"]}, "then": {"routes": [{"route": smarthost}]}})
    deliver(api)
    assert not MailDomain.objects.exists()


def test_a_domain_that_no_name_server_knows_is_delivered_all_the_same(api, smarthost, sink):
    paths.policy("gently", when={"destinations": ["naver"]})
    deliver(api, "kim@elsewhere.example")
    assert len(sink.accepted) == 1
    assert MailDomain.objects.get(domain="elsewhere.example").provider is None


def test_what_can_not_be_kept_is_asked_again_later_and_no_message_waits_for_it(api, smarthost, monkeypatch):
    paths.publish({"name": "gmail", "when": {"providers": ["gmail"]}, "then": {"routes": [{"route": smarthost}]}})
    world.sql("ALTER TABLE mail_domains ADD CONSTRAINT away CHECK (domain <> 'company.example')")
    try:
        first = deliver(api)
        assert destinations.is_known("company.example")
    finally:
        world.sql("ALTER TABLE mail_domains DROP CONSTRAINT away")
    monkeypatch.setitem(destinations._known, "company.example", destinations._NOTHING)  # as if the minute had passed
    second, third = deliver(api), deliver(api)
    assert [world.status(api, one) for one in (first, second, third)] == ["delivered"] * 3
    assert rule_of(api, third) == "gmail"
