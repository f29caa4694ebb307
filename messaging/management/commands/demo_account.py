"""manage.py demo_account: the account of a development machine, with templates, a default sender and keys in demo.json."""

import json
import os
from io import StringIO

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from messaging import demo_templates
from sendarix.accounts import audit, keys
from sendarix.accounts.models import Account, ApiKey

DOMAIN = "demo.sendarix.test"
SENDER = f"Sendarix Demo <no-reply@{DOMAIN}>"


class Command(BaseCommand):
    help = "Make the demo account and write SENDARIX_HOME/demo.json (development only). Keeps what exists."

    def handle(self, *args, **options) -> None:
        if not settings.DEVELOPMENT:
            raise CommandError("The demo account is for SENDARIX_ENV=development only; use create_account.")
        path = settings.HOME / "demo.json"
        with transaction.atomic():
            fields = {"name": "Demo", "default_sender": SENDER, "sender_policy": settings.SENDER_POLICY}
            account, _ = Account.objects.get_or_create(slug="demo", defaults=fields)
            actor = audit.operator(account)
            demo_templates.install(actor, account.pk)
            known = json.loads(path.read_text()) if path.exists() else {}
            if not ApiKey.objects.filter(digest=keys.digest(known.get("live_key", "")), revoked_at=None).exists():
                known = {
                    "live_key": keys.make(account, livemode=True, name="demo", actor=actor)[1],
                    "test_key": keys.make(account, livemode=False, name="demo", actor=actor)[1],
                }
        call_command("add_domain", account.slug, DOMAIN, "--trusted", stdout=StringIO())
        api_url = f"http://127.0.0.1:{settings.PORT}"
        relay = {"relay_host": "127.0.0.1", "relay_port": settings.RELAY_PORT}
        self._write(path, {**known, "api_url": api_url, "inbox_url": f"{api_url}/inbox", **relay})

    def _write(self, path, values: dict[str, str | int]) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(values, file, indent=2)
            file.write("\n")
