"""manage.py erase_address ACCOUNT ADDRESS: mask every trace of an address that a person asked to have erased."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from messaging.keeping import erasure
from sendarix.accounts import audit, provisioning
from sendarix.accounts.provisioning import AccountFault
from sendarix.core.errors import ValidationFailed


class Command(BaseCommand):
    help = "Mask an address in all messages of an account and cancel what still waits for it. It can't be undone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account", help="the account's slug")
        parser.add_argument("address")
        parser.add_argument(
            "--forget-suppression",
            action="store_true",
            help="remove it from the suppression list too: it may then be mailed again",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            account = provisioning.find_account(options["account"])
            by = audit.operator(account)
            done = erasure.erase(account.pk, options["address"], by, options["forget_suppression"])
        except (AccountFault, ValidationFailed) as fault:
            raise CommandError(str(fault)) from None
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done)))
            return
        self.stdout.write(
            f"{done.digest}: " + (", ".join(f"{n} {name}" for name, n in done.counts.items()) or "nothing")
        )
        if done.left:
            self.stdout.write(f"{done.left} messages are being sent; run this again when they have ended.")
