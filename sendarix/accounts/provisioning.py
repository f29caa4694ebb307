"""Opening an account: its slug, and its first two keys."""

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from sendarix.accounts import keys
from sendarix.accounts.models import Account, Plan
from sendarix.core import addresses


class AccountFault(ValueError):
    """An account can't be opened as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A new account with the tokens of its keys, which can't be read again."""

    account: Account
    live_key: str
    test_key: str


def open_account(name: str, *, plan: str = Plan.STANDARD, default_sender: str = "") -> Opened:
    """An account named `name` with a live and a test key of all scopes. Raises AccountFault."""
    slug = slugify(name, allow_unicode=True)[:60].strip("-")
    if not slug:
        raise AccountFault("The name needs at least one letter or digit.")
    if default_sender:
        _check_sender(default_sender)
    try:
        with transaction.atomic():
            account = Account.objects.create(slug=slug, name=name, plan=plan, default_sender=default_sender)
            _, live = keys.make(account, livemode=True, name="first live key")
            _, test = keys.make(account, livemode=False, name="first test key")
    except IntegrityError:
        raise AccountFault(f"There is an account {slug} already.") from None
    return Opened(account, live, test)


def find_account(slug: str) -> Account:
    """The account of this slug or name; raises AccountFault."""
    found = Account.objects.filter(slug__in=[slug, slugify(slug, allow_unicode=True)]).first()
    if found is None:
        raise AccountFault(f"There is no account {slug}.")
    return found


def _check_sender(text: str) -> None:
    try:
        addresses.parse(text)
    except addresses.AddressError as error:
        raise AccountFault(f"Not a sender: {error}") from None
