"""Companies and keys that tests begin with."""

from collections.abc import Iterable
from typing import Any

from sendarix.accounts import keys
from sendarix.accounts.models import Account


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
