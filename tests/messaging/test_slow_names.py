"""Calls that wait for somebody else's name servers and hosts: of one account never so many that another has to wait."""

import pytest

from tests.messaging.domain_zone import add, verify
from tests.world import in_background, post, until

VERIFY = "/v1/domains/slow.example/verify"
CALLS, AT_ONCE = 6, 2


@pytest.fixture
def held(acme, zone):
    """Acme asks again and again for looks at a zone that says nothing; those under way end when it speaks again."""
    hosts = [record["host"] for record in add(acme.live, "slow.example")["records"]]
    zone.zones |= dict.fromkeys(hosts, "SILENT")
    looks = [in_background(acme.live.post, VERIFY) for _ in range(CALLS)]
    until(lambda: sum(look.done for look in looks) == CALLS - AT_ONCE)
    yield looks
    for host in hosts:
        zone.zones.pop(host)
    assert sorted(look.result().status for look in looks) == [200] * AT_ONCE + [503] * (CALLS - AT_ONCE)


def test_one_more_call_of_the_same_account_is_refused_at_once(acme, held, settings):
    settings.ROUTE_ALLOW_PRIVATE = False
    route = acme.live.post("/v1/routes", {"name": "inbox", "kind": "inbox"}).json["id"]
    smarthost = {"name": "slow", "kind": "smtp", "options": {"host": "mail.slow.example"}}
    answers = [
        acme.live.post(VERIFY),
        acme.live.post("/v1/webhooks", {"url": "https://hooks.slow.example/"}),
        acme.live.post(f"/v1/routes/{route}/check"),
        acme.live.post("/v1/routes", smarthost),
    ]
    assert [(answer.status, answer.json["error"]["code"]) for answer in answers] == [(503, "busy")] * len(answers)
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert sum(look.done for look in held) == CALLS - AT_ONCE


def test_everybody_s_mail_and_another_account_s_looks_are_answered(acme, globex, held):
    assert post(globex.live).status == 202
    assert verify(globex.live, "globex.example")["domain"] == "globex.example"
    assert post(acme.live).status == 202
    route = acme.live.post("/v1/routes", {"name": "inbox", "kind": "inbox"}).json["id"]
    assert acme.live.patch(f"/v1/routes/{route}", {"weight": 5}).status == 200
    assert sum(look.done for look in held) == CALLS - AT_ONCE
