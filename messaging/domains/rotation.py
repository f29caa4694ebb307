"""The keys of a domain in their generations: `sx1` (RSA) and `sx1e` (Ed25519), then `sx2` and `sx2e`. A new generation is signed
with once its record is seen, and the one before stays published for a while: at no moment does mail lack a valid signature."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from messaging.delivery import dkim
from messaging.domains.verdicts import Finding, Verdict
from messaging.models import DkimKey, SenderDomain
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.core import vault

KEEP = timedelta(days=7)
"""How long the record of a replaced key stays listed: longer than mail waits in anybody's queue."""

PURPOSE = "dkim"
"""What private keys are sealed for."""

_selector = re.compile(r"sx(\d+)(e?)").fullmatch


@dataclass(frozen=True, slots=True)
class Pair:
    """A new key pair, its private half sealed."""

    algorithm: str
    private_key: str
    public_key: str


def make_pairs() -> list[Pair]:
    """A pair of each algorithm. Takes about a tenth of a second: not for inside a transaction."""
    pairs = []
    for algorithm in ("rsa", "ed25519"):
        der, public = dkim.generate(algorithm)
        pairs.append(Pair(algorithm, vault.seal(der, PURPOSE), public))
    return pairs


def store(domain: SenderDomain, pairs: Iterable[Pair], *, active: bool = False) -> list[DkimKey]:
    """The pairs as the next generation of this name, whoever had the ones before. In a transaction that holds the name's lock."""
    number = _last_generation(domain.domain) + 1
    keys = [
        DkimKey(
            domain=domain,
            selector=f"sx{number}{'e' if pair.algorithm == 'ed25519' else ''}",
            algorithm=pair.algorithm,
            private_key=pair.private_key,
            public_key=pair.public_key,
            status=DkimKey.Status.ACTIVE if active else DkimKey.Status.PENDING,
            activated_at=timezone.now() if active else None,
        )
        for pair in pairs
    ]
    return DkimKey.objects.bulk_create(keys)


def _last_generation(name: str) -> int:
    selectors = DkimKey.objects.filter(domain__domain=name).values_list("selector", flat=True)
    return max((_generation(selector) for selector in selectors), default=0)


def _generation(selector: str) -> int:
    found = _selector(selector)
    return int(found[1]) if found else 0


def rotate(domain: SenderDomain, actor: Actor) -> None:
    """Begin the next generation; while one is pending, nothing happens."""
    if _pending(domain):
        return
    pairs = make_pairs()
    with transaction.atomic():
        SenderDomain.hold(domain.domain)
        if _pending(domain) or not SenderDomain.objects.filter(id=domain.id).exists():
            return
        keys = store(domain, pairs)
        SenderDomain.objects.filter(id=domain.id).update(next_check_at=timezone.now() + timedelta(minutes=1))
        audit.record(actor, "dkim.rotated", domain.domain, after={"selectors": [key.selector for key in keys]})


def activate_first(domain: SenderDomain, now: datetime) -> None:
    """Sign with the pending keys of a domain that signs with none, unseen: for an operator's word."""
    keys = DkimKey.objects.filter(domain_id=domain.id)
    if not keys.filter(status=DkimKey.Status.ACTIVE).exists():
        keys.filter(status=DkimKey.Status.PENDING).update(status=DkimKey.Status.ACTIVE, activated_at=now)


def _pending(domain: SenderDomain) -> bool:
    return DkimKey.objects.filter(domain_id=domain.id, algorithm="rsa", status=DkimKey.Status.PENDING).exists()


def advance(
    domain: SenderDomain, keys: Sequence[DkimKey], findings: Mapping[str, Finding], actor: Actor, now: datetime
) -> None:
    """Move the keys on by what a look found. RSA keys lead: one whose record is right replaces the generation before it. An
    Ed25519 key is signed with only while its own record is right, because a signature that fails is worse than none."""
    seen = {key.id: _verdict(domain, key, findings) for key in keys}
    for key in _of(keys, "rsa", DkimKey.Status.PENDING):
        if seen[key.id] is Verdict.OK:
            _replace(domain, keys, key, actor, now)
    signing = {_generation(key.selector) for key in _of(keys, "rsa", DkimKey.Status.ACTIVE)}
    for key in _of(keys, "ed25519", DkimKey.Status.PENDING):
        if seen[key.id] is Verdict.OK and _generation(key.selector) in signing:
            _set(key, DkimKey.Status.ACTIVE, activated_at=now)
    if not domain.trusted:
        for key in _of(keys, "ed25519", DkimKey.Status.ACTIVE):
            if seen[key.id] in (Verdict.MISSING, Verdict.WRONG):
                _set(key, DkimKey.Status.PENDING)


def _replace(domain: SenderDomain, keys: Sequence[DkimKey], new: DkimKey, actor: Actor, now: datetime) -> None:
    older = [
        key
        for key in keys
        if key.status != DkimKey.Status.RETIRED and _generation(key.selector) < _generation(new.selector)
    ]
    for key in older:
        _set(key, DkimKey.Status.RETIRED, retired_at=now)
    _set(new, DkimKey.Status.ACTIVE, activated_at=now)
    if older:
        before = {"selectors": [key.selector for key in older]}
        audit.record(actor, "dkim.activated", domain.domain, before, {"selector": new.selector})


def _verdict(domain: SenderDomain, key: DkimKey, findings: Mapping[str, Finding]) -> Verdict:
    finding = findings.get(host(domain.domain, key))
    return finding.verdict if finding else Verdict.UNCHECKED


def _of(keys: Iterable[DkimKey], algorithm: str, status: str) -> list[DkimKey]:
    return [key for key in keys if key.algorithm == algorithm and key.status == status]


def _set(key: DkimKey, status: str, **times: datetime) -> None:
    key.status = status
    for name, at in times.items():
        setattr(key, name, at)
    key.save(update_fields=["status", *times])


def host(domain: str, key: DkimKey) -> str:
    """Where the key's record stands (RFC 6376 section 3.6.2.1)."""
    return f"{key.selector}._domainkey.{domain}"


def kept_until(key: DkimKey) -> datetime:
    """For a retired key: when its record may go."""
    assert key.retired_at is not None
    return key.retired_at + KEEP


def is_over(key: DkimKey) -> bool:
    return key.status == DkimKey.Status.RETIRED and kept_until(key) < timezone.now()


def forget() -> int:
    """Throw away keys replaced longer ago than KEEP; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM dkim_keys WHERE status = 'retired' AND retired_at < now() - %s", [KEEP])
        return cursor.rowcount
