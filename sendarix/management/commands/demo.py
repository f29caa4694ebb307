"""manage.py demo: a made-up month of mail for the demo account, so that every page has something to show."""

import json
import time
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from django.utils import timezone

from analytics import rollup
from messaging.models import Message
from sendarix.accounts.models import Account
from sendarix.demo import history, incidents, surroundings, traces
from sendarix.demo.history import Plan
from sendarix.demo.surroundings import Surroundings
from sendarix.demo.ways import sandboxed

TABLES = (*history.TABLES, "path_changes", "api_requests", "webhook_deliveries", "webhook_attempts", "audit_log")
TESTS = 600
"""Messages sent with a test key."""


class Command(BaseCommand):
    help = "Make a month of believable mail for the demo account (development only). Nothing is sent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--messages", type=int, default=220_000, help="how many (220000)")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEVELOPMENT:
            raise CommandError("The demo's month is for SENDARIX_ENV=development only.")
        began = time.monotonic()
        call_command("migrate", verbosity=0)
        call_command("demo_account")
        account, now = Account.objects.get(slug="demo"), timezone.now()
        if Message.objects.filter(account=account, created_at__lt=now - history.LONG_AGO).exists():
            self.stdout.write("The demo account has its month already.")
        else:
            made = self._make(account, now, options["messages"])
            self.stdout.write(f"{made:,} messages over {history.DAYS} days in {time.monotonic() - began:.0f} s")
        self._tell()

    def _make(self, account: Account, now: datetime, count: int) -> int:
        """In one transaction, so that a month broken off is none; counting its events follows."""
        with transaction.atomic():
            Account.objects.filter(pk=account.pk).update(timezone="Asia/Seoul")
            whole = surroundings.make(account, now)
            plan = Plan(account, count, now, whole.keys, whole.ways)
            made = history.write(plan) + history.write(_of_tests(account, now, whole))
            incidents.write(whole, account.pk, history.incidents(now), now)
            traces.write(whole, traces.Whose(account.pk, now))
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"VACUUM ANALYZE {table}")
        while rollup.run():
            pass
        return made

    def _tell(self) -> None:
        known = json.loads((settings.HOME / "demo.json").read_text())
        self.stdout.write(
            f"make run, then {known['dashboard_url']} (log in as {known['username']}, password {known['password']})"
        )


def _of_tests(account: Account, now: datetime, whole: Surroundings) -> Plan:
    keys = dict.fromkeys(whole.keys, whole.test_key)
    return Plan(account, TESTS, now - timedelta(minutes=1), keys, sandboxed(), livemode=False, seed=8)
