"""Who may send from where: a domain that is the account's, and verified where the account's policy asks for it."""

from sendarix.accounts.models import SenderPolicy
from tests import world
from tests.world import post


def policy(owner: world.Company, value: SenderPolicy) -> None:
    owner.account.sender_policy = value
    owner.account.save()


def test_a_domain_of_nobody_is_refused_by_its_name(api):
    answer = post(api, **{"from": "shop@initech.example"})
    assert answer.faults == {"from": "sender_domain_not_registered"}
    assert "initech.example" in answer.json["error"]["message"]


def test_a_domain_of_another_account_is_refused_alike(api, globex):
    theirs = post(api, **{"from": "shop@globex.example"})
    assert theirs.faults == post(api, **{"from": "shop@initech.example"}).faults


def test_a_subdomain_is_covered(api):
    assert post(api, **{"from": "shop@mail.acme.example"}).status == 202


def test_the_default_sender_is_looked_at_too(acme):
    acme.account.default_sender = "shop@initech.example"
    acme.account.save()
    assert post(acme.live).faults == {"from": "sender_domain_not_registered"}


def test_an_unverified_domain_needs_the_lenient_policy_and_earns_a_warning(acme):
    world.domain(acme, "young.example", trusted=False, status="pending")
    policy(acme, SenderPolicy.VERIFIED)
    assert post(acme.live, **{"from": "shop@young.example"}).faults == {"from": "sender_domain_not_verified"}
    policy(acme, SenderPolicy.REGISTERED)
    answer = post(acme.live, **{"from": "shop@young.example"})
    assert (answer.status, [warning["code"] for warning in answer.json["warnings"]]) == (202, ["unverified_domain"])
