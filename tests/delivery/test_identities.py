"""What mail of a domain is signed with and where it bounces to, read once for many messages."""

import logging

import pytest

from messaging.delivery import dkim, identities
from messaging.delivery.identities import Identity
from messaging.models import DkimKey, SenderDomain
from sendarix.core import vault
from tests import world


@pytest.fixture(autouse=True)
def _nothing_kept():
    identities.forget()


def key(domain: SenderDomain, selector: str, algorithm: str = "ed25519", status: str = "active", **fields) -> DkimKey:
    der, public = dkim.generate(algorithm)
    parts = {"private_key": vault.seal(der, "dkim"), "public_key": public, "algorithm": algorithm, "status": status}
    return DkimKey.objects.create(domain=domain, selector=selector, **parts | fields)


def of(company, name: str) -> Identity:
    identities.prefetch([(company.account.pk, name)])
    return identities.of(company.account.pk, name)


def test_active_keys_sign_rsa_first_for_the_domain_that_is_registered(acme):
    domain = world.domain(acme, "hanbit.example")
    key(domain, "sx2e")
    key(domain, "sx2", "rsa")
    key(domain, "sx1", status="retired")
    key(domain, "sx3", status="pending")
    found = of(acme, "mail.hanbit.example")
    assert [(one.domain, one.selector, one.algorithm) for one in found.keys] == [
        ("hanbit.example", "sx2", "rsa"),
        ("hanbit.example", "sx2e", "ed25519"),
    ]
    assert found.return_path is None


def test_the_return_path_is_there_once_it_is_ready(acme):
    world.domain(acme, "hanbit.example", return_path_ready=True)
    assert of(acme, "hanbit.example") == Identity((), "bounces.hanbit.example")


def test_nobody_signs_for_a_domain_that_is_not_the_accounts(acme, globex):
    key(world.domain(acme, "hanbit.example"), "sx1")
    world.domain(globex, "hanbit.example", owned=False)
    for company, name in ((globex, "hanbit.example"), (globex, "mail.hanbit.example"), (acme, "other.example")):
        assert of(company, name) == identities.NOT_OURS


def test_many_senders_are_read_in_one_statement_and_then_in_none(acme, django_assert_num_queries):
    for number in range(3):
        key(world.domain(acme, f"d{number}.example"), "sx1")
    world.domain(acme, "d3.example")
    pairs = [(acme.account.pk, f"d{number}.example") for number in range(4)] * 5
    of(acme, "acme.example")
    with django_assert_num_queries(1):
        identities.prefetch(pairs)
    with django_assert_num_queries(0):
        identities.prefetch(pairs)
    assert [len(identities.of(*pair).keys) for pair in pairs[:4]] == [1, 1, 1, 0]


def test_a_loaded_key_is_kept_and_a_removed_one_is_gone(acme):
    stored = key(world.domain(acme, "hanbit.example"), "sx1")
    (first,) = of(acme, "hanbit.example").keys
    identities.forget()
    assert of(acme, "hanbit.example").keys[0] is first
    stored.delete()
    identities.forget()
    assert of(acme, "hanbit.example").keys == ()


def test_what_was_read_is_read_again_after_its_time(acme, monkeypatch):
    monkeypatch.setattr(identities, "LIVES", 0.0)
    domain = world.domain(acme, "hanbit.example")
    assert of(acme, "hanbit.example").ours
    domain.delete()
    assert not of(acme, "hanbit.example").ours


def test_a_key_that_can_not_be_opened_is_logged_and_the_other_signs(acme, caplog):
    domain = world.domain(acme, "hanbit.example")
    key(domain, "sx1e")
    key(domain, "sx1", "rsa", private_key=vault.seal(b"secret", "webhook"))
    with caplog.at_level(logging.ERROR):
        assert [one.selector for one in of(acme, "hanbit.example").keys] == ["sx1e"]
    assert "hanbit.example" in caplog.text


def test_a_sender_that_was_not_prefetched_is_a_fault_of_the_program(acme):
    with pytest.raises(KeyError):
        identities.of(acme.account.pk, "never.example")


def test_a_full_cache_forgets_no_one_of_the_batch(acme, globex, monkeypatch):
    monkeypatch.setattr(identities, "_MOST", 1)
    pairs = [(acme.account.id, "acme.example"), (globex.account.id, "globex.example")]
    for batch in (pairs[:1], pairs, pairs):
        identities.prefetch(batch)
        assert [identities.of(*pair) for pair in batch] == [identities.UNSIGNED] * len(batch)
