"""manage.py rebuild_rollups: count events again, from the beginning or since a time."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analytics import rebuilding
from sendarix.accounts import provisioning
from sendarix.accounts.models import Account


class Command(BaseCommand):
    help = (
        "Throw counts away and make them anew from the events, while everything runs. Charts are incomplete meanwhile."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", help="the slug of one account; without it: all")
        parser.add_argument("--since", help="ISO 8601 with an offset or Z; the hour of this time is the first one")

    def handle(self, *args: Any, **options: Any) -> None:
        since = _since(options["since"])
        for account in _accounts(options["account"]):
            self.stdout.write(f"{account.slug}: {rebuilding.rebuild(account, since)} events read")


def _since(text: str | None) -> datetime | None:
    try:
        since = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise CommandError("--since: not an ISO 8601 time") from None
    if since is not None and since.tzinfo is None:
        raise CommandError("--since: give an offset or Z")
    if since is not None and since > datetime.now(UTC):
        raise CommandError("--since: the time is in the future")
    return since


def _accounts(slug: str | None) -> list[Account]:
    try:
        return [provisioning.find_account(slug)] if slug else list(Account.objects.order_by("id"))
    except provisioning.AccountFault as fault:
        raise CommandError(f"--account: {fault}") from None
