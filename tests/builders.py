"""Companies and keys that tests begin with."""

from collections.abc import Iterable
from typing import Any

from sendarix.accounts import keys
from sendarix.accounts.models import Account, Membership, User


def account(slug: str = "acme", **fields: Any) -> Account:
    """A company with a roomy rate limit, unless the test is about that."""
    settings = {
        "name": slug.title(),
        "default_sender": f"{slug.title()} <hello@{slug}.example>",
        "rate_limit": 1_000_000,
    }
    return Account.objects.create(slug=slug, **settings | fields)


def api_key(owner: Account, scopes: Iterable[str] = keys.SCOPES, livemode: bool = True, **rest: Any) -> str:
    """The token of a new key."""
    return keys.make(owner, livemode=livemode, scopes=scopes, **rest)[1]


def user(email: str, password: str | None = None, **fields: Any) -> User:
    """A person's login, without a usable password unless the test is about that."""
    return User.objects.create_user(email, password, **fields)


def member(of: Account, role: str, email: str = "") -> User:
    """A person who belongs to an account."""
    person = user(email or f"{role}@{of.slug}.example")
    Membership.objects.create(account=of, user=person, role=role)
    return person
