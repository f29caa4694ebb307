"""Opening an account, with its slug and its first two keys, and changing what an operator may change of one."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from sendarix.accounts import audit, keys
from sendarix.accounts.models import Account, Plan
from sendarix.core import addresses


class AccountFault(ValueError):
    """An account can't be opened or changed as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A new account with the tokens of its keys, which can't be read again."""

    account: Account
    live_key: str
    test_key: str


KEPT = ("keep_bodies", "keep_messages", "keep_requests")
"""Days; bodies are not kept longer than their messages."""

LONGEST = 3650
LONGEST_KEPT = timedelta(days=LONGEST)
"""That anything is kept."""

SHOWN = ("name", "plan", "rate_limit", "default_sender", "sender_policy", "redact_after", "timezone", *KEPT)
"""What may be changed of an account, and the audit log shows: all of it by an operator."""

OWN = ("name", "default_sender", "redact_after", "timezone", *KEPT)
"""What its own people may change."""


def open_account(name: str, *, plan: str = Plan.STANDARD, default_sender: str = "") -> Opened:
    """An account named `name` with a live and a test key of the ordinary scopes; it may send from the domains that
    SENDARIX_SENDER_POLICY says. Raises AccountFault."""
    slug = slugify(name, allow_unicode=True)[:60].strip("-")
    if not slug:
        raise AccountFault("The name needs at least one letter or digit.")
    _check_sender(default_sender)
    policy = settings.SENDER_POLICY
    try:
        with transaction.atomic():
            account = Account.objects.create(
                slug=slug, name=name, plan=plan, default_sender=default_sender, sender_policy=policy
            )
            by = audit.operator(account)
            audit.record(by, "account.created", slug, after=state(account))
            _, live = keys.make(account, livemode=True, name="first live key", actor=by)
            _, test = keys.make(account, livemode=False, name="first test key", actor=by)
    except IntegrityError:
        raise AccountFault(f"There is an account {slug} already.") from None
    return Opened(account, live, test)


def change_account(account: Account, changes: dict[str, Any], actor: audit.Actor) -> Account:
    """The account with these of SHOWN changed; the audit log holds what differs, before and after. Raises AccountFault."""
    _check(changes)
    with transaction.atomic():
        kept = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        before = state(kept)
        for name, value in changes.items():
            setattr(kept, name, value)
        _check_days(kept)
        changed = [name for name, value in state(kept).items() if value != before[name]]
        if changed:
            kept.save(update_fields=changed)
            after = state(kept)
            audit.record(
                actor,
                "account.updated",
                kept.slug,
                before={name: before[name] for name in changed},
                after={name: after[name] for name in changed},
            )
    return kept


def state(account: Account) -> dict[str, Any]:
    """SHOWN, as JSON has it; `redact_after` in seconds."""
    shown = {name: getattr(account, name) for name in SHOWN}
    return shown | {"redact_after": int(account.redact_after.total_seconds())}


def find_account(slug: str) -> Account:
    """The account of this slug or name; raises AccountFault."""
    found = Account.objects.filter(slug__in=[slug, slugify(slug, allow_unicode=True)]).first()
    if found is None:
        raise AccountFault(f"There is no account {slug}.")
    return found


def _check(changes: dict[str, Any]) -> None:
    _check_sender(changes.get("default_sender") or "")
    if not changes.get("name", "-").strip():
        raise AccountFault("The name needs at least one character.")
    if changes.get("timezone", "UTC") not in available_timezones():
        raise AccountFault(f"There is no time zone {changes['timezone']}.")
    if not timedelta(0) <= changes.get("redact_after", timedelta(0)) <= LONGEST_KEPT:
        raise AccountFault("Sensitive bodies stay for at most ten years.")


def _check_days(account: Account) -> None:
    for name in KEPT:
        if not 1 <= getattr(account, name) <= LONGEST:
            raise AccountFault(f"{name} must be 1 to {LONGEST} days.")
    if account.keep_bodies > account.keep_messages:
        raise AccountFault("Bodies can't be kept longer than their messages: keep_bodies is more than keep_messages.")


def _check_sender(text: str) -> None:
    try:
        if text:
            addresses.parse(text)
    except addresses.AddressError as error:
        raise AccountFault(f"Not a sender: {error}") from None
