"""A look at what the DNS says of a domain: what to ask is read before, what was found is written after, and in between, while
the network is waited for, no transaction is open."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from messaging.domains import checks, records, spf
from messaging.domains.lookups import Lookups
from messaging.domains.records import Purpose, Record
from messaging.domains.verdicts import Finding, Verdict
from messaging.models import SenderDomain


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found, by host. `deaf`: our own resolver said nothing, so that silence tells nothing of the domain.
    `ownership`: all values at the ownership record's name; None when nobody could say."""

    domain_id: str
    began: datetime
    findings: dict[str, Finding]
    deaf: bool
    ownership: frozenset[str] | None


def look(domains: Sequence[SenderDomain]) -> list[Look]:
    """Look at all of them side by side; takes as long as the slowest, lookups.SECONDS at most. Their keys are read first."""
    asked = [(domain, records.expected(domain, domain.dkim_keys.all())) for domain in domains]
    return asyncio.run(_look_at_all(asked))


async def _look_at_all(asked: list[tuple[SenderDomain, list[Record]]]) -> list[Look]:
    return list(await asyncio.gather(*[_look_at(domain, expected) for domain, expected in asked]))


async def _look_at(domain: SenderDomain, expected: list[Record]) -> Look:
    began = timezone.now()
    lookups = Lookups([(server.hostname or "", server.port or 53) for server in settings.DNS_SERVERS])
    found = await asyncio.gather(*[_check(lookups, domain.domain, record) for record in expected])
    findings = {record.host: finding for record, finding in zip(expected, found, strict=True)}
    silent = any(finding.verdict is Verdict.UNCHECKED for finding in found)
    deaf = silent and not await lookups.answers()
    at_ownership = await lookups.txt(expected[0].host)
    values = None if at_ownership.failure else frozenset(value.strip() for value in at_ownership.values)
    return Look(domain.id, began, findings, deaf, values)


async def _check(lookups: Lookups, domain: str, record: Record) -> Finding:
    match record.purpose:
        case Purpose.DKIM:
            assert record.key is not None
            return await checks.dkim(lookups, record.host, record.key.algorithm, record.key.public_key)
        case Purpose.OWNERSHIP:
            return await checks.ownership(lookups, record.host, record.value)
        case Purpose.SPF:
            return await spf.check(lookups, record.host, settings.SPF_INCLUDE)
        case Purpose.RETURN_PATH:
            return await checks.return_path(lookups, record.host, record.value)
    return await checks.dmarc(lookups, domain)
