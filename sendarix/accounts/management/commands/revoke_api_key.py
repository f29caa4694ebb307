"""manage.py revoke_api_key KEY...: take keys back at once."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from sendarix.accounts import audit, keys
from sendarix.accounts.models import ApiKey


class Command(BaseCommand):
    help = "Revoke API keys: the next request with one is refused."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("keys", nargs="+", metavar="KEY", help="id (key_…), or the last 4 characters of the token")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        found = [_one(text) for text in options["keys"]]
        for key in found:
            keys.revoke(key, audit.operator(key.account))
        if options["json"]:
            self.stdout.write(json.dumps({"revoked": [key.id for key in found]}))
        else:
            self.stdout.write("\n".join(f"{key} is revoked" for key in found))


def _one(text: str) -> ApiKey:
    """The key meant; nothing is revoked when one is not found or not the only one."""
    matches = ApiKey.objects.filter(Q(pk=text) if text.startswith("key_") else Q(last4=text)).select_related("account")
    match list(matches[:2]):
        case [key]:
            return key
        case []:
            raise CommandError(f"There is no API key {text}.")
    raise CommandError(f"More than one API key ends in {text}; name it by its id.")
