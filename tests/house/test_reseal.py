"""manage.py reseal: after a new encryption key every stored secret is sealed with it, and stays the secret it was."""

import json
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import models, transaction

from messaging.models import DkimKey, SenderDomain
from sendarix.core import ids, vault
from sendarix.management.commands import reseal
from tests import builders
from tests.world import _left_behind, in_background, sql, transactional_db, until
from webhooks.models import WebhookEndpoint

__all__ = ["_left_behind", "transactional_db"]

OLD, NEW = b"o" * 32, b"n" * 32
DKIM, ROUTE, SECRET, PREVIOUS = (".".join(column[:2]) for column in reseal.SEALED)


@pytest.fixture(autouse=True)
def stored(transactional_db, settings):
    """A DKIM key and two endpoints, one with a secret before its secret, all sealed with the old key."""
    settings.ENCRYPTION_KEYS = {1: OLD}
    account = builders.account("acme")
    domain = SenderDomain.objects.create(id=ids.new("dom"), account=account, domain="acme.example", owned=True)
    DkimKey.objects.create(
        domain=domain, selector="s1", algorithm="rsa", status="active", private_key=vault.seal(b"private", "dkim")
    )
    for previous in (None, vault.seal(b"previous", "webhook")):
        WebhookEndpoint.objects.create(
            id=ids.new("whk"), account=account, livemode=True, url="https://acme.example/",
            secret=vault.seal(b"secret", "webhook"), previous_secret=previous,
        )  # fmt: skip
    settings.ENCRYPTION_KEYS = {2: NEW, 1: OLD}


def run():
    out = StringIO()
    call_command("reseal", "--json", stdout=out)
    return json.loads(out.getvalue())


def counts(resealed, current=0, unreadable=0):
    return {"resealed": resealed, "current": current, "unreadable": unreadable}


def test_every_secret_is_opened_by_the_new_key_alone_afterwards(settings):
    assert run() == {DKIM: counts(1), ROUTE: counts(0), SECRET: counts(2), PREVIOUS: counts(1)}
    settings.ENCRYPTION_KEYS = {2: NEW}
    assert vault.reveal(DkimKey.objects.get().private_key, "dkim") == b"private"
    assert {vault.reveal(row.secret, "webhook") for row in WebhookEndpoint.objects.all()} == {b"secret"}
    assert vault.reveal(WebhookEndpoint.objects.latest("id").previous_secret, "webhook") == b"previous"


def test_a_second_run_finds_nothing_to_do():
    run()
    kept = list(WebhookEndpoint.objects.values_list("secret"))
    assert run() == {DKIM: counts(0, 1), ROUTE: counts(0), SECRET: counts(0, 2), PREVIOUS: counts(0, 1)}
    assert list(WebhookEndpoint.objects.values_list("secret")) == kept


def test_it_goes_on_from_batch_to_batch(monkeypatch):
    monkeypatch.setattr(reseal, "BATCH", 1)
    assert run()[SECRET] == counts(2)


def test_what_no_key_opens_is_left_as_it_is_and_the_command_fails(settings):
    settings.ENCRYPTION_KEYS = {2: NEW}
    before = DkimKey.objects.get().private_key
    with pytest.raises(CommandError, match="4 secrets can't be opened"):
        run()
    assert DkimKey.objects.get().private_key == before


def test_a_secret_that_is_replaced_meanwhile_is_kept():
    replaced = vault.seal(b"newer", "dkim")
    with transaction.atomic():
        DkimKey.objects.update(private_key=replaced)
        resealing = in_background(reseal.reseal, DkimKey, "private_key", "dkim")
        until(lambda: sql("SELECT 1 FROM pg_locks WHERE NOT granted"))
    assert resealing.result() == reseal.Count()
    assert DkimKey.objects.get().private_key == replaced


def test_every_column_that_says_it_is_sealed_is_in_the_table():
    sealed = {
        (model._meta.label, field.name)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.Field) and field.help_text.startswith("sealed")
    }
    assert sealed == {column[:2] for column in reseal.SEALED}
