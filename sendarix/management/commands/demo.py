"""manage.py demo: a made-up month of mail for the demo account, so that every page has something to show."""

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from messaging.models import Message, Route
from messaging.routes import registry
from sendarix.accounts import audit, keys
from sendarix.accounts.models import Account, ApiKey
from sendarix.demo import history
from sendarix.demo.lives import ROUTES

KEYS = {"web": "web backend", "billing": "billing", "orders": "orders service"}
TABLES = (*history.TABLES, "path_changes")


class Command(BaseCommand):
    help = "Make a month of believable mail for the demo account (development only). Nothing is sent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--messages", type=int, default=220_000, help="how many (220000)")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEVELOPMENT:
            raise CommandError("The demo's month is for SENDARIX_ENV=development only.")
        call_command("migrate", verbosity=0)
        call_command("demo_account")
        account = Account.objects.get(slug="demo")
        if Message.objects.filter(account=account, created_at__lt=timezone.now() - history.LONG_AGO).exists():
            self.stdout.write("The demo account has its month already.")
            return
        began = time.monotonic()
        Account.objects.filter(pk=account.pk).update(timezone="Asia/Seoul")
        self._routes(account)
        plan = history.Plan(account, options["messages"], timezone.now(), self._keys(account))
        made = history.write(plan)
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"VACUUM ANALYZE {table}")
        self.stdout.write(f"{made:,} messages over {history.DAYS} days in {time.monotonic() - began:.0f} s")

    def _keys(self, account: Account) -> dict[str, str]:
        """A key for each service that sends; their tokens are thrown away."""
        found = dict(ApiKey.objects.filter(account=account, livemode=True).values_list("name", "id"))
        by = audit.operator(account)
        return {
            word: found.get(name) or keys.make(account, livemode=True, name=name, actor=by)[0].id
            for word, name in KEYS.items()
        }

    def _routes(self, account: Account) -> None:
        """Two that only capture, named as if they led out."""
        known = set(Route.objects.filter(account=account).values_list("name", flat=True))
        for name in set(ROUTES) - known:
            registry.create(account.pk, Route.Kind.INBOX, {"name": name}, {}, audit.operator(account))
