"""manage.py demo_account: the account of a development machine, with templates, a default sender, an owner who logs in, and keys;
what a person needs of them is in demo.json."""

import json
import os
import secrets
from io import StringIO

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from messaging import demo_templates, notices
from sendarix.accounts import audit, keys
from sendarix.accounts.models import Account, ApiKey, Membership, Role, User

DOMAIN = "demo.sendarix.test"
OWNER = f"owner@{DOMAIN}"
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
                known |= {
                    "live_key": keys.make(account, livemode=True, name="demo", actor=actor)[1],
                    "test_key": keys.make(account, livemode=False, name="demo", actor=actor)[1],
                }
            known |= self._owner(account, known.get("password", ""))
            notices.sender()
        call_command("add_domain", account.slug, DOMAIN, "--trusted", stdout=StringIO())
        api_url = f"http://127.0.0.1:{settings.PORT}"
        relay = {"relay_host": "127.0.0.1", "relay_port": settings.RELAY_PORT}
        urls = {
            "api_url": api_url,
            "dashboard_url": f"{api_url}/app/{account.slug}/live/",
            "inbox_url": f"{api_url}/inbox",
        }
        self._write(path, {**known, **urls, **relay})

    def _owner(self, account: Account, password: str) -> dict[str, str]:
        """An owner of the account, who is an operator too; the password is made once."""
        user, _ = User.objects.get_or_create(
            email=OWNER, defaults={"name": "Demo Owner", "is_staff": True, "is_superuser": True}
        )
        Membership.objects.get_or_create(account=account, user=user, defaults={"role": Role.OWNER})
        if not (password and user.check_password(password)):
            password = secrets.token_urlsafe(12)
            user.set_password(password)
            user.save(update_fields=["password"])
        return {"username": OWNER, "password": password}

    def _write(self, path, values: dict[str, str | int]) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(values, file, indent=2)
            file.write("\n")
