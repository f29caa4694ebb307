"""Whose a domain is: one account's at a time, whoever asks at the same moment; and what that means for subdomains."""

import pytest

from messaging.domains import registry
from messaging.domains.registry import Right
from messaging.models import SenderDomain
from sendarix.accounts.models import AuditEntry
from tests import world
from tests.messaging.domain_zone import add, of, publish, put, verify


@pytest.fixture(autouse=True)
def _nothing_remembered():
    registry.forget()


def right(company, name: str = "hanbit.example") -> Right:
    return registry.standing(company.account.pk, name).right


def told(company) -> list[str]:
    return [event["type"] for event in company.live.get("/v1/events", {"limit": 100}).json["data"]]


def token(domain: dict) -> str:
    return of(domain, "ownership")["value"]


# one owner


def test_the_first_to_add_a_domain_owns_it(acme, globex):
    assert add(acme.live)["owned"] is True
    theirs = add(globex.live)
    assert (theirs["owned"], of(theirs, "ownership")["required"]) == (False, True)
    assert (right(acme), right(globex)) == (Right.OWN_UNVERIFIED, Right.FOREIGN)


def test_of_many_who_add_it_at_once_one_owns_it(transactional_db):
    companies = [world.company(f"company{n}") for n in range(6)]
    world.together([lambda company=company: add(company.live) for company in companies])
    assert list(SenderDomain.objects.filter(domain="hanbit.example").values_list("owned", flat=True)).count(True) == 1


def test_a_claim_moves_the_domain_once_only_the_claimants_record_is_there(acme, globex, zone):
    ours, theirs = add(acme.live), add(globex.live)
    put(zone, "_sendarix.hanbit.example", token(ours), token(theirs))
    assert verify(globex.live)["owned"] is False
    put(zone, "_sendarix.hanbit.example", token(theirs))
    publish(zone, theirs, "dkim")
    moved = verify(globex.live)
    assert (moved["owned"], moved["status"]) == (True, "verified")
    assert (right(acme), right(globex)) == (Right.FOREIGN, Right.OWN_VERIFIED)
    assert (told(acme), told(globex)) == (["domain.lost"], ["domain.claimed", "domain.verified"])
    lost, claimed = (AuditEntry.objects.get(action=f"domain.{what}") for what in ("lost", "claimed"))
    assert (lost.account_id, lost.actor, lost.request_id) == (acme.account.pk, "domain-check", "")
    assert claimed.actor == globex.account.api_keys.get(livemode=True).pk


def test_an_unanswered_ownership_record_moves_nothing(acme, globex, zone):
    add(acme.live)
    add(globex.live)
    zone.zones["_sendarix.hanbit.example"] = "SERVFAIL"
    assert verify(globex.live)["owned"] is False


def test_a_claimants_dkim_record_alone_verifies_nothing(acme, globex, zone):
    add(acme.live)
    publish(zone, add(globex.live), "dkim")
    assert verify(globex.live)["status"] == "pending"


def test_an_operators_word_outweighs_a_claim(acme, globex, zone):
    world.domain(acme, "hanbit.example")
    put(zone, "_sendarix.hanbit.example", token(add(globex.live)))
    assert verify(globex.live)["owned"] is False


def test_claims_of_two_at_the_same_moment_leave_one_owner(acme, globex, zone):
    initech = world.company("initech")
    add(acme.live)
    put(zone, "_sendarix.hanbit.example", *[token(add(company.live)) for company in (globex, initech)])
    world.together([lambda company=company: verify(company.live) for company in (globex, initech)] * 2)
    owners = SenderDomain.objects.filter(domain="hanbit.example", owned=True).values_list("account__slug", flat=True)
    assert len(owners) == 1
    assert owners[0] != "acme"


def test_a_domain_given_up_goes_to_the_next_who_registered_it(acme, globex):
    add(acme.live)
    add(globex.live)
    acme.live.delete("/v1/domains/hanbit.example")
    domain = globex.live.get("/v1/domains/hanbit.example").json
    assert (domain["owned"], domain["status"]) == (True, "pending")
    assert told(globex) == ["domain.claimed"]


# standing


def test_a_domain_covers_those_below_it_for_its_account_alone(acme, globex):
    world.domain(acme, "hanbit.example")
    assert right(acme, "mail.hanbit.example") == right(acme, "a.b.hanbit.example") == Right.OWN_VERIFIED
    assert right(acme, "nothanbit.example") == Right.NONE
    assert right(globex, "mail.hanbit.example") == Right.FOREIGN
    assert registry.standing(acme.account.pk, "mail.hanbit.example").domain == "hanbit.example"


def test_nothing_above_the_organisational_domain_counts(acme):
    world.domain(acme, "co.kr")
    assert right(acme, "hanbit.co.kr") == Right.NONE


def test_a_name_below_anothers_verified_domain_is_owned_only_with_its_record(acme, globex, zone):
    world.domain(acme, "hanbit.example")
    theirs = add(globex.live, "shop.hanbit.example")
    assert theirs["owned"] is False
    publish(zone, theirs)
    assert verify(globex.live, "shop.hanbit.example")["status"] == "verified"
    assert (right(globex, "shop.hanbit.example"), right(acme, "shop.hanbit.example")) == (
        Right.OWN_VERIFIED,
        Right.FOREIGN,
    )


def test_a_verified_domain_outweighs_a_name_below_it_registered_without_proof(acme, globex):
    add(globex.live, "mail.hanbit.example")
    world.domain(acme, "hanbit.example")
    assert (right(acme, "mail.hanbit.example"), right(globex, "mail.hanbit.example")) == (
        Right.OWN_VERIFIED,
        Right.FOREIGN,
    )


@pytest.mark.parametrize(("policy", "allowed"), [("verified", False), ("registered", True)])
def test_an_unverified_domain_is_allowed_by_the_accounts_policy(transactional_db, policy, allowed):
    initech = world.company("initech", sender_policy=policy)
    add(initech.live)
    found = registry.standing(initech.account.pk, "hanbit.example")
    assert (found.right, found.policy, found.allowed) == (Right.OWN_UNVERIFIED, policy, allowed)


def test_a_domain_removed_here_is_not_remembered(acme):
    world.domain(acme, "hanbit.example")
    assert right(acme) == Right.OWN_VERIFIED
    acme.live.delete("/v1/domains/hanbit.example")
    assert right(acme) == Right.NONE


def test_asking_again_about_a_verified_domain_costs_no_statement(acme, django_assert_num_queries):
    registry.standing(acme.account.pk, "acme.example")
    with django_assert_num_queries(0):
        registry.standing(acme.account.pk, "acme.example")
