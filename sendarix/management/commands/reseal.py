"""manage.py reseal: encrypt every secret at rest anew with the newest of SENDARIX_ENCRYPTION_KEYS, after which the keys before it
can go."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model

from sendarix.core import vault

SEALED = (
    ("messaging.DkimKey", "private_key", "dkim"),
    ("messaging.Route", "secrets", "route"),
    ("webhooks.WebhookEndpoint", "secret", "webhook"),
    ("webhooks.WebhookEndpoint", "previous_secret", "webhook"),
)
"""Every sealed column: model, field, and what it is sealed for. A new one is entered here."""

BATCH = 500


@dataclass(slots=True)
class Count:
    """What became of one column: sealed anew, found sealed with the newest key, and not opened by any key."""

    resealed: int = 0
    current: int = 0
    unreadable: int = 0


class Command(BaseCommand):
    help = "Encrypt every stored secret with the newest encryption key. Safe beside a running service, and to be run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        counts = {f"{name}.{field}": reseal(apps.get_model(name), field, purpose) for name, field, purpose in SEALED}
        if options["json"]:
            shown = {
                column: {name: getattr(count, name) for name in Count.__slots__} for column, count in counts.items()
            }
            self.stdout.write(json.dumps(shown))
        else:
            for column, count in counts.items():
                self.stdout.write(
                    f"{column}: {count.resealed} resealed, {count.current} current, {count.unreadable} unreadable"
                )
        if unreadable := sum(count.unreadable for count in counts.values()):
            raise CommandError(
                f"{unreadable} secrets can't be opened with any of SENDARIX_ENCRYPTION_KEYS; keep the old keys."
            )


def reseal(model: type[Model], field: str, purpose: str) -> Count:
    """Seal one column anew. A secret that is replaced meanwhile is left alone: the newest key sealed it."""
    count = Count()
    for pk, sealed in _rows(model, field):
        if vault.is_current(sealed):
            count.current += 1
            continue
        try:
            renewed = vault.seal(vault.reveal(sealed, purpose), purpose)
        except vault.VaultError:
            count.unreadable += 1
            continue
        count.resealed += model._default_manager.filter(pk=pk, **{field: sealed}).update(**{field: renewed})
    return count


def _rows(model: type[Model], field: str) -> Iterator[tuple[Any, str]]:
    """Every row that has a secret, by key, BATCH at a time."""
    rows = model._default_manager.exclude(**{field: None}).order_by("pk").values_list("pk", field)
    batch = list(rows[:BATCH])
    while batch:
        yield from batch
        batch = list(rows.filter(pk__gt=batch[-1][0])[:BATCH])
