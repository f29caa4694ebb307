"""manage.py create_account NAME: a new account with a live and a test key, shown once."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from sendarix.accounts.models import Plan
from sendarix.accounts.provisioning import AccountFault, open_account


class Command(BaseCommand):
    help = "Open an account with a live and a test key of all scopes; the keys are shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the account's name; its slug is made from it")
        parser.add_argument("--plan", choices=Plan.values, default=Plan.STANDARD)
        parser.add_argument("--default-sender", default="", help="address, or Name <address>, when nothing names one")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            opened = open_account(options["name"], plan=options["plan"], default_sender=options["default_sender"])
        except AccountFault as fault:
            raise CommandError(str(fault)) from None
        shown = {"account": opened.account.slug, "live_key": opened.live_key, "test_key": opened.test_key}
        if options["json"]:
            self.stdout.write(json.dumps(shown))
        else:
            self.stdout.write("\n".join(f"{name}: {value}" for name, value in shown.items()))
