"""manage.py demo_account: the account of a development machine, with templates, a default sender and keys in demo.json."""

import json
import os

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from messaging import demo_templates
from messaging.models import EmailTemplate
from sendarix.accounts import keys
from sendarix.accounts.models import Account, ApiKey
from sendarix.core import ids

SENDER = "Sendarix Demo <no-reply@demo.sendarix.test>"


class Command(BaseCommand):
    help = "Make the demo account and write SENDARIX_HOME/demo.json (development only). Keeps what exists."

    def handle(self, *args, **options) -> None:
        if not settings.DEVELOPMENT:
            raise CommandError("The demo account is for SENDARIX_ENV=development only; use create_account.")
        path = settings.HOME / "demo.json"
        with transaction.atomic():
            account, _ = Account.objects.get_or_create(slug="demo", defaults={"name": "Demo", "default_sender": SENDER})
            self._add_templates(account)
            known = json.loads(path.read_text()) if path.exists() else {}
            if not ApiKey.objects.filter(digest=keys.digest(known.get("live_key", "")), revoked_at=None).exists():
                known = {
                    "live_key": keys.make(account, livemode=True, name="demo")[1],
                    "test_key": keys.make(account, livemode=False, name="demo")[1],
                }
        api_url = f"http://127.0.0.1:{settings.PORT}"
        self._write(path, {**known, "api_url": api_url, "inbox_url": f"{api_url}/inbox"})

    def _add_templates(self, account: Account) -> None:
        for source in demo_templates.TEMPLATES:
            EmailTemplate.objects.get_or_create(
                account=account,
                key=source.key,
                defaults={
                    "id": ids.new("tpl"),
                    "subject": source.subject,
                    "html": source.html or "",
                    "text": source.text or "",
                },
            )

    def _write(self, path, values: dict[str, str]) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(values, file, indent=2)
            file.write("\n")
