"""Searches that people keep under a name of their own. What a search means is not known here."""

from django.db import transaction
from django.db.models import QuerySet

from sendarix.accounts.models import Account, SavedSearch, User

MOST = 20
"""Of one person in one account."""


class Full(Exception):
    """The person has MOST already."""


def of(user: User, account: Account) -> QuerySet[SavedSearch]:
    return SavedSearch.objects.filter(user=user, account=account).order_by("name")


def save(user: User, account: Account, name: str, query: str) -> SavedSearch:
    """Under a name that is taken, in place of what it stood for. Raises Full."""
    with transaction.atomic():
        known = of(user, account).select_for_update()
        if known.count() >= MOST and not known.filter(name=name).exists():
            raise Full
        return SavedSearch.objects.update_or_create(user=user, account=account, name=name, defaults={"query": query})[0]


def forget(user: User, account: Account, number: int) -> bool:
    """False when there is none of this person's."""
    return bool(of(user, account).filter(pk=number).delete()[0])
