"""manage.py add_domain ACCOUNT DOMAIN: register a sender domain for an account."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from messaging.domains import names, records, registry
from messaging.models import SenderDomain
from sendarix.accounts import audit
from sendarix.accounts.models import Account
from sendarix.accounts.provisioning import AccountFault, find_account
from sendarix.core.errors import Conflict


class Command(BaseCommand):
    help = "Register a sender domain and print the records to publish for it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account", help="the account's slug")
        parser.add_argument("domain")
        parser.add_argument(
            "--trusted",
            action="store_true",
            help="verified by your word: the DNS is not asked. Also for one that exists",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            account = find_account(options["account"])
            domain = _registered(account, names.read(options["domain"]), options["trusted"])
        except (AccountFault, names.NameFault, Conflict) as fault:
            raise CommandError(str(fault)) from None
        wanted = records.expected(domain, domain.dkim_keys.all())
        shown = [{"type": record.type, "host": record.host, "value": record.value} for record in wanted]
        if options["json"]:
            said = {"id": domain.id, "domain": domain.domain, "account": account.slug, "status": domain.status}
            self.stdout.write(json.dumps({**said, "owned": domain.owned, "records": shown}))
        else:
            self.stdout.write(f"{domain.id} {domain.domain}: {domain.status}{'' if domain.owned else ', not owned'}")
            self.stdout.write("\n".join(f"{one['type']:5} {one['host']}  {one['value']}" for one in shown))


def _registered(account: Account, name: str, trusted: bool) -> SenderDomain:
    actor = audit.operator(account)
    known = registry.of_account(account.pk).filter(domain=name).first()
    if known is None or not trusted:
        return registry.add(account.pk, name, actor, trusted=trusted)
    registry.trust(known, actor)
    return registry.one(account.pk, known.id)
