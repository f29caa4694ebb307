"""manage.py create_api_key ACCOUNT: one more key, shown once."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from sendarix.accounts import audit, keys
from sendarix.accounts.provisioning import AccountFault, find_account


class Command(BaseCommand):
    help = "Make an API key; its token is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account", help="the account's slug")
        parser.add_argument("--environment", choices=["live", "test"], required=True)
        parser.add_argument(
            "--scopes",
            default=",".join(keys.ORDINARY),
            help=f"comma-separated; without it: all but {', '.join(sorted(keys.MEANT))}",
        )
        parser.add_argument("--name", default="")
        parser.add_argument("--expires", type=_time, help="ISO 8601 time with offset or Z")
        parser.add_argument("--source-ip", action="append", default=[], help="address or network; may be repeated")
        parser.add_argument("--sender-domain", action="append", default=[], help="may be repeated")
        parser.add_argument("--default-sender", default="")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            account = find_account(options["account"])
            key, token = keys.make(
                account,
                livemode=options["environment"] == "live",
                scopes=[scope.strip() for scope in options["scopes"].split(",") if scope.strip()],
                name=options["name"],
                expires_at=options["expires"],
                source_ips=options["source_ip"],
                sender_domains=options["sender_domain"],
                default_sender=options["default_sender"],
                actor=audit.operator(account),
            )
        except (AccountFault, keys.KeyFault) as fault:
            raise CommandError(str(fault)) from None
        shown = {"id": key.id, "key": token, "account": key.account.slug, "scopes": key.scopes}
        if options["json"]:
            self.stdout.write(json.dumps(shown))
        else:
            self.stdout.write(f"id: {key.id}\nkey: {token}\nscopes: {', '.join(key.scopes)}")


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ArgumentTypeError("must be an ISO 8601 time with offset or Z")
    return at.astimezone(UTC)
