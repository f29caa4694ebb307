"""Templates that several change at once: what is published fits together, and nobody waits for somebody else's builds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction

from messaging.models import EmailTemplate, TemplateBuild
from messaging.templating import publication, publishing
from sendarix.accounts.models import Account
from tests import world


def create(api, key, **fields):
    return api.post("/v1/templates", {"key": key, "publish": True, "subject": "s"} | fields)


@pytest.fixture
def shop(api):
    """Three templates with one partial."""
    create(api, "footer", kind="partial", subject=None, html="one")
    for key in ("order", "receipt", "return"):
        assert create(api, key, html=f"{key} {{% render 'footer' %}}").status == 201
    return api


def footers() -> dict[str, str]:
    return {row.key: row.partials["footer"]["html"] for row in TemplateBuild.objects.exclude(partials={})}


@contextmanager
def at_work(company, change: Callable[[], Any]) -> Iterator[world.Background]:
    """`change` in the background, prepared and waiting for its turn; what is done meanwhile is committed at the end."""
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=company.account.pk)
        waiting = world.in_background(change)
        world.until(lambda: world.sql("SELECT 1 FROM pg_locks WHERE NOT granted"))
        yield waiting


def renew(company) -> None:
    publishing.edit(company.actor, company.account.pk, "footer", {"html": "two"}, publish=True)


def test_builds_wait_for_nobody(acme, shop):
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=acme.account.pk)
        refused = world.in_background(lambda: create(shop, "later", html="{% render 'header' %}"))
        assert refused.result().faults == {"html": "not_found"}
        change = {"html": "{% render 'header' %}", "publish": True}
        refused = world.in_background(shop.patch, "/v1/templates/footer", change)
        assert refused.result().faults == {"html": "not_found"}


def test_a_template_published_while_its_partial_is_gets_the_partials_new_version(acme, shop):
    with at_work(acme, lambda: create(shop, "later", html="{% render 'footer' %}")) as later:
        renew(acme)
    assert later.result().status == 201
    assert footers() == dict.fromkeys(("order", "receipt", "return", "later"), "two")


def test_a_template_that_begins_to_use_a_partial_while_that_is_published_gets_it_too(acme, shop):
    with at_work(acme, lambda: shop.patch("/v1/templates/footer", {"html": "two", "publish": True})) as renewal:
        content = {"subject": "s", "html": "{% render 'footer' %}"}
        publishing.create(acme.actor, acme.account.pk, "later", "template", content, publish=True)
    assert renewal.result().status == 200
    assert footers() == dict.fromkeys(("order", "receipt", "return", "later"), "two")


def test_a_change_that_never_comes_first_is_refused(acme, shop, monkeypatch):
    monkeypatch.setattr(publishing, "TRIES", 1)
    with at_work(acme, lambda: shop.post("/v1/templates/footer/publish", {})) as late:
        renew(acme)
    assert (late.result().status, late.result().code) == (409, "conflict")
    assert EmailTemplate.objects.get(key="footer").published_version == 2


def test_changes_at_the_same_moment_all_come_through(acme, shop):
    texts = [f"text {number}" for number in range(4)]
    answers = world.together(
        [lambda text=text: shop.patch("/v1/templates/footer", {"html": text, "publish": True}) for text in texts]
    )
    assert [answer.status for answer in answers] == [200] * 4
    assert EmailTemplate.objects.get(key="footer").published_version == 5
    assert len(set(footers().values())) == 1


def test_a_partial_has_so_many_users_and_no_more(shop, monkeypatch):
    monkeypatch.setattr(publication, "MAX_USERS", 3)
    answer = create(shop, "fourth", html="{% render 'footer' %}")
    assert (answer.status, answer.code) == (409, "conflict")
    assert "At most 3 published templates may use footer" in answer.body.decode()
    assert shop.patch("/v1/templates/order", {"html": "new {% render 'footer' %}", "publish": True}).status == 200
    assert shop.patch("/v1/templates/footer", {"html": "two", "publish": True}).status == 200
    assert set(footers().values()) == {"two"}
