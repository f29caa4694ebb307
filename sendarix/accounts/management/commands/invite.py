"""manage.py invite: the link with which a first owner, or anybody, joins an account."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email

from sendarix.accounts import audit, members
from sendarix.accounts.models import Role
from sendarix.accounts.provisioning import AccountFault, find_account


class Command(BaseCommand):
    help = "Print a link, good for a week, with which the person of an address joins an account."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account", help="the account's slug")
        parser.add_argument("email")
        parser.add_argument("--role", choices=Role.values, default="owner")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            validate_email(options["email"])
            account = find_account(options["account"])
            _, token = members.invite(account, options["email"], options["role"], audit.operator(account))
        except (AccountFault, members.MemberFault) as fault:
            raise CommandError(str(fault)) from None
        except ValidationError:
            raise CommandError(f"Not an address: {options['email']}") from None
        self.stdout.write(f"{settings.PUBLIC_URL}/invitations/{token}")
