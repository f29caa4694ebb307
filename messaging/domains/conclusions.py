"""What follows from a look: whose the domain is, which keys sign, whether it is verified, when to look again; and who is told.
One short transaction, after the network."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from messaging.domains import looking, records, rotation
from messaging.domains.looking import Look
from messaging.domains.lookups import Found
from messaging.domains.verdicts import Finding, Verdict, unanswered
from messaging.models import DkimKey, SenderDomain
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.core import events
from sendarix.core.turns import outside

SILENCES = 3
"""Looks in a row without an answer after which a verified domain counts as broken."""

SOONEST, HOURLY, DAILY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
AFTER_SILENCE = timedelta(minutes=20)
EAGER = timedelta(days=3)
"""How long a domain that waits for a record is looked at more often than daily."""

Status = SenderDomain.Status


def actor(domain: SenderDomain) -> Actor:
    """Who acts when the system looks by itself."""
    return Actor(domain.account_id, "domain-check")


def verify(domain: SenderDomain, by: Actor) -> None:
    """Look now, and conclude. Waits for the network, so not for inside a transaction; raises Unavailable (busy)."""
    with outside.turn(domain.account_id):
        (seen,) = looking.look([domain])
    conclude(seen, by)


def conclude(look: Look, by: Actor | None = None) -> None:
    """Write down what follows, unless the domain is gone or a later look has been written already. `by`: who of the domain's own
    account asked for the look, and what the audit log says of this account is theirs; without one it is the system's."""
    with transaction.atomic():
        name = SenderDomain.objects.filter(id=look.domain_id).values_list("domain", flat=True).first()
        if name is None:
            return
        SenderDomain.hold(name)
        domain = SenderDomain.objects.filter(id=look.domain_id).first()
        if domain is None or (domain.checked_at is not None and domain.checked_at >= look.began):
            return
        _write(domain, look, by or actor(domain), timezone.now())


def _write(domain: SenderDomain, look: Look, by: Actor, now: datetime) -> None:
    if not domain.owned:
        _claim(domain, look, by, now)
    keys = list(domain.dkim_keys.all())
    rotation.advance(domain, keys, look.findings, by, now)
    if domain.owned and not domain.trusted:
        _judge(domain, keys, look, by, now)
    _judge_return_path(domain, look)
    domain.findings = {host: finding.as_json() for host, finding in look.findings.items()}
    domain.checked_at = look.began
    domain.next_check_at = next_check(domain, keys, now)
    domain.save()


def _claim(domain: SenderDomain, look: Look, by: Actor, now: datetime) -> None:
    """Takes the domain over when its ownership record is there and the owner's is not. An operator's word outweighs the DNS."""
    if look.ownership is None or records.ownership_value(domain.ownership_token) not in look.ownership:
        return
    owner = SenderDomain.objects.filter(domain=domain.domain, owned=True).first()
    if owner is not None:
        if owner.trusted or records.ownership_value(owner.ownership_token) in look.ownership:
            return
        _lose(owner, now)
    become_owner(domain, by, now)


def _lose(owner: SenderDomain, now: datetime) -> None:
    owner.owned, owner.return_path_ready = False, False
    owner.status, owner.status_since, owner.next_check_at = Status.PENDING, now, now + HOURLY
    owner.save()
    audit.record(actor(owner), "domain.lost", owner.domain, {"owned": True}, {"owned": False})
    reason = "Another account's ownership record was found in the DNS, and yours was not."
    events.note(owner.account_id, True, "domain.lost", domain=owner.domain, domain_id=owner.id, reason=reason)


def become_owner(domain: SenderDomain, by: Actor, now: datetime) -> None:
    """The domain is this account's from now on; the caller saves it, and has seen to it that it is nobody else's."""
    domain.owned, domain.status_since = True, now
    audit.record(by, "domain.claimed", domain.domain, {"owned": False}, {"owned": True})
    events.note(domain.account_id, True, "domain.claimed", domain=domain.domain, domain_id=domain.id)


def _judge(domain: SenderDomain, keys: list[DkimKey], look: Look, by: Actor, now: datetime) -> None:
    """The status by the record of the RSA key that is signed with, or of the first to be."""
    host, finding = _decisive(domain, keys, look)
    if finding.verdict is Verdict.UNCHECKED:
        domain.unanswered += not look.deaf
        if domain.status == Status.VERIFIED and domain.unanswered >= SILENCES:
            _break(domain, host, finding, by, now)
        return
    domain.unanswered = 0
    if finding.verdict is Verdict.OK and domain.status != Status.VERIFIED:
        _tell(domain, Status.VERIFIED, by, now, record=host)
        domain.verified_at = now
    elif finding.verdict is not Verdict.OK and domain.status == Status.VERIFIED:
        _break(domain, host, finding, by, now)


def _decisive(domain: SenderDomain, keys: list[DkimKey], look: Look) -> tuple[str, Finding]:
    rsa = [key for key in keys if key.algorithm == "rsa" and key.status != DkimKey.Status.RETIRED]
    signing = [key for key in rsa if key.status == DkimKey.Status.ACTIVE] or rsa
    for key in signing[:1]:
        host = rotation.host(domain.domain, key)
        if host in look.findings:
            return host, look.findings[host]
    return domain.domain, unanswered(Found(failure="its key was made after the look began"))


def _break(domain: SenderDomain, host: str, finding: Finding, by: Actor, now: datetime) -> None:
    _tell(domain, Status.BROKEN, by, now, record=host, reason=finding.reason)


def _tell(domain: SenderDomain, status: str, by: Actor, now: datetime, **data: str) -> None:
    audit.record(by, f"domain.{status}", domain.domain, {"status": domain.status}, {"status": status, **data})
    events.note(domain.account_id, True, f"domain.{status}", domain=domain.domain, domain_id=domain.id, **data)
    domain.status, domain.status_since = status, now


def _judge_return_path(domain: SenderDomain, look: Look) -> None:
    finding = look.findings.get(domain.return_path)
    if finding is not None and finding.verdict is not Verdict.UNCHECKED:
        domain.return_path_ready = domain.owned and finding.verdict is Verdict.OK


def next_check(domain: SenderDomain, keys: list[DkimKey], now: datetime) -> datetime | None:
    """Daily; while a record is waited for sooner, in steps that grow with the wait from a minute to an hour. A domain trusted by
    an operator's word only while a key of it waits for its record."""
    if domain.trusted and all(key.status != DkimKey.Status.PENDING for key in keys):
        return None
    if domain.status == Status.VERIFIED and domain.unanswered:
        return now + AFTER_SILENCE
    waiting = [key.created_at for key in keys if key.algorithm == "rsa" and key.status == DkimKey.Status.PENDING]
    if domain.status != Status.VERIFIED:
        waiting.append(domain.status_since)
    if not domain.return_path_ready and not domain.trusted:
        waiting.append(domain.created_at)
    waited = now - max(waiting, default=now - DAILY * 1000)
    return now + (DAILY if waited > EAGER else min(max(waited / 2, SOONEST), HOURLY))
