"""Which account has which sender domain: adding, finding and removing them, and the one question acceptance asks of a sender.

Subdomains: a domain covers those below it for its own account. Another account may add a name below a verified domain of
somebody else, but owns it only once its ownership record is found there; a verified domain outweighs, for all names below it,
whatever others registered without proof."""

import secrets
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from messaging.domains import conclusions, names, rotation
from messaging.models import SenderDomain
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import SenderPolicy
from sendarix.core import ids
from sendarix.core.errors import Conflict, NotFound
from sendarix.core.statements import Statement

MOST = 1_000
"""Domains of one account."""

REMEMBERED = 2.0
"""Seconds for which a process remembers that a domain was its account's and verified; nothing else is remembered."""

_MOST_REMEMBERED = 10_000


class Right(StrEnum):
    """What a sender's domain is to an account. Foreign: somebody else's. None: this account has not registered it."""

    OWN_VERIFIED = "own_verified"
    OWN_UNVERIFIED = "own_unverified"
    FOREIGN = "foreign"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Standing:
    """The answer to `standing`; `domain` is the registered domain that decided, `policy` the account's sender_policy."""

    right: Right
    policy: str
    domain: str | None

    @property
    def allowed(self) -> bool:
        """Whether the account may send from there."""
        if self.right is Right.OWN_UNVERIFIED:
            return self.policy == SenderPolicy.REGISTERED
        return self.right is Right.OWN_VERIFIED


_STANDING = Statement(
    "sender_standing",
    """
SELECT a.sender_policy, d.domain, d.account_id, d.owned, d.status
FROM accounts a LEFT JOIN LATERAL (
    SELECT * FROM (
        SELECT domain, account_id, owned, status FROM sender_domains
        WHERE account_id = a.id AND domain = ANY (%(names)s::text[])
        UNION ALL
        SELECT domain, account_id, owned, status FROM sender_domains
        WHERE owned AND status = 'verified' AND domain = ANY (%(names)s::text[])
    ) d
    ORDER BY (d.owned AND d.status = 'verified') DESC, d.owned DESC, length(d.domain) DESC LIMIT 1
) d ON true
WHERE a.id = %(account)s::bigint
""",
)

_remembered: dict[tuple[int, str], tuple[float, Standing]] = {}


def standing(account_id: int, domain: str) -> Standing:
    """Whether this account may send from `domain` (lower case, A-labels). One statement, or none: a verified domain is remembered
    for REMEMBERED seconds, which is how long one that was removed or broke may still be sent from."""
    known = _remembered.get((account_id, domain))
    if known and known[0] > monotonic():
        return known[1]
    found = _ask(account_id, domain)
    if found.right is Right.OWN_VERIFIED:
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        _remembered[account_id, domain] = monotonic() + REMEMBERED, found
    return found


def _ask(account_id: int, domain: str) -> Standing:
    with connection.cursor() as cursor:
        _STANDING.run(cursor, {"account": account_id, "names": names.upwards(domain)})
        row = cursor.fetchone()
    if row is None:
        return Standing(Right.NONE, SenderPolicy.VERIFIED, None)
    policy, registered, owner_id, owned, status = row
    if registered is None:
        return Standing(Right.NONE, policy, None)
    if owner_id != account_id or not owned:
        return Standing(Right.FOREIGN, policy, registered)
    verified = status == SenderDomain.Status.VERIFIED
    return Standing(Right.OWN_VERIFIED if verified else Right.OWN_UNVERIFIED, policy, registered)


def forget() -> None:
    """Remember nothing more, in this process."""
    _remembered.clear()


def of_account(account_id: int) -> QuerySet[SenderDomain]:
    return SenderDomain.objects.filter(account_id=account_id)


def one(account_id: int, text: str) -> SenderDomain:
    """By id or by name, in any spelling; with its keys. Raises NotFound, also for another account's."""
    found = of_account(account_id).prefetch_related("dkim_keys").filter(**_key(text)).first()
    if found is None:
        raise NotFound
    return found


def _key(text: str) -> dict[str, str]:
    if text.startswith("dom_"):
        return {"id": text}
    try:
        return {"domain": names.read(text)}
    except names.NameFault:
        raise NotFound from None


def add(account_id: int, name: str, actor: Actor, *, trusted: bool = False) -> SenderDomain:
    """Register `name` (from names.read) with its first keys. It is this account's unless another one owns it, or has verified one
    above it. `trusted`: verified without the DNS, by an operator's word. Raises Conflict."""
    _refuse_known(account_id, name)
    pairs = rotation.make_pairs()
    with transaction.atomic():
        SenderDomain.hold(name)
        _refuse_known(account_id, name)
        now = timezone.now()
        owned = _is_free(account_id, name)
        if trusted and not owned:
            raise Conflict(f"Another account has {name} or a verified domain above it.")
        domain = SenderDomain.objects.create(
            id=ids.new("dom"),
            account_id=account_id,
            domain=name,
            owned=owned,
            trusted=trusted,
            ownership_token=secrets.token_hex(16),
            status=SenderDomain.Status.VERIFIED if trusted else SenderDomain.Status.PENDING,
            verified_at=now if trusted else None,
            return_path=f"bounces.{name}",
            created_at=now,
            status_since=now,
            next_check_at=None if trusted else now + conclusions.SOONEST,
        )
        rotation.store(domain, pairs, active=trusted)
        after = {"id": domain.id, "owned": owned, "trusted": trusted}
        audit.record(actor, "domain.added", name, after=after)
    return one(account_id, domain.id)


def _refuse_known(account_id: int, name: str) -> None:
    if of_account(account_id).filter(domain=name).exists():
        raise Conflict(f"This account has {name} already.")
    if of_account(account_id).count() >= MOST:
        raise Conflict(f"An account may have at most {MOST:,} sender domains.")


def _is_free(account_id: int, name: str) -> bool:
    """Whether nobody owns the name, and nobody else has verified one above it."""
    above = SenderDomain.objects.filter(
        domain__in=names.upwards(name)[1:], status=SenderDomain.Status.VERIFIED, owned=True
    )
    nearest = max(above, key=lambda row: len(row.domain), default=None)
    if SenderDomain.objects.filter(domain=name, owned=True).exists():
        return False
    return nearest is None or nearest.account_id == account_id


def remove(domain: SenderDomain, actor: Actor) -> None:
    """The domain and its keys. Of others who registered the same name, the first becomes its owner, and has yet to verify it."""
    with transaction.atomic():
        SenderDomain.hold(domain.domain)
        found = SenderDomain.objects.filter(id=domain.id).first()
        if found is None:
            return
        found.delete()
        before = {"id": domain.id, "status": found.status, "owned": found.owned}
        audit.record(actor, "domain.removed", domain.domain, before)
        heir = SenderDomain.objects.filter(domain=domain.domain).order_by("id").first() if found.owned else None
        if heir is not None and _is_free(heir.account_id, heir.domain):
            conclusions.become_owner(heir, conclusions.actor(heir), timezone.now())
            heir.next_check_at = timezone.now()
            heir.save()
    forget()


def trust(domain: SenderDomain, actor: Actor) -> None:
    """Take the operator's word for a domain that exists: verified, its newest keys signed with, and looked at again only
    while a key waits for its record."""
    with transaction.atomic():
        SenderDomain.hold(domain.domain)
        found = SenderDomain.objects.get(id=domain.id)
        if found.trusted:
            return
        if not found.owned:
            raise Conflict(f"Another account has {domain.domain} or a verified domain above it.")
        now = timezone.now()
        audit.record(
            actor, "domain.verified", found.domain, {"status": found.status}, {"status": "verified", "trusted": True}
        )
        rotation.activate_first(found, now)
        found.trusted = True
        found.status, found.status_since, found.verified_at = SenderDomain.Status.VERIFIED, now, now
        found.next_check_at = conclusions.next_check(found, list(found.dkim_keys.all()), now)
        found.save()
