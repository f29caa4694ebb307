"""What a customer publishes for a sender domain: one Record for each entry of the zone, and how it is shown with what was
found."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings

from messaging.delivery import dkim
from messaging.domains import rotation
from messaging.domains.verdicts import Verdict
from messaging.models import DkimKey, SenderDomain


class Purpose(StrEnum):
    OWNERSHIP = "ownership"
    DKIM = "dkim"
    SPF = "spf"
    RETURN_PATH = "return_path"
    DMARC = "dmarc"


class Type(StrEnum):
    TXT = "TXT"
    CNAME = "CNAME"


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the customer's zone. `required`: without it the domain can't be verified. `host` is its key among findings."""

    purpose: Purpose
    host: str
    type: Type
    value: str
    required: bool
    key: DkimKey | None = None


def expected(domain: SenderDomain, keys: Iterable[DkimKey]) -> list[Record]:
    """All entries for the domain, those of retired keys included for as long as they should stay."""
    name = domain.domain
    records = [
        Record(
            Purpose.OWNERSHIP, f"_sendarix.{name}", Type.TXT, ownership_value(domain.ownership_token), not domain.owned
        )
    ]
    records += [_of_key(name, key) for key in sorted(keys, key=lambda key: key.id) if not rotation.is_over(key)]
    if settings.SPF_INCLUDE:
        records.append(Record(Purpose.SPF, name, Type.TXT, f"v=spf1 include:{settings.SPF_INCLUDE} ~all", False))
    if settings.BOUNCE_DOMAIN:
        records.append(
            Record(Purpose.RETURN_PATH, domain.return_path, Type.CNAME, settings.BOUNCE_DOMAIN.lower(), False)
        )
    records.append(Record(Purpose.DMARC, f"_dmarc.{name}", Type.TXT, "v=DMARC1; p=none", False))
    return records


def _of_key(name: str, key: DkimKey) -> Record:
    needed = key.algorithm == "rsa" and key.status != DkimKey.Status.RETIRED
    value = dkim.record(key.algorithm, key.public_key)
    return Record(Purpose.DKIM, rotation.host(name, key), Type.TXT, value, needed, key)


def ownership_value(token: str) -> str:
    return f"sendarix-verification={token}"


_UNSEEN = {"verdict": Verdict.UNCHECKED, "reason": "Nobody has looked yet.", "found": []}


def shown(record: Record, findings: dict[str, Any]) -> dict[str, Any]:
    """The record with what the last look found, as the API has it."""
    finding = findings.get(record.host, _UNSEEN)
    return {
        "purpose": record.purpose,
        "host": record.host,
        "type": record.type,
        "value": finding.get("proposed", record.value),
        "required": record.required,
        "found": finding["found"],
        "verdict": finding["verdict"],
        "reason": f"{finding['reason']}{_about_key(record.key)}",
    }


def _about_key(key: DkimKey | None) -> str:
    if key is None or key.status == DkimKey.Status.ACTIVE:
        return ""
    if key.status == DkimKey.Status.PENDING:
        return " We sign with this key as soon as its record is found."
    until = rotation.kept_until(key)
    return (
        f" This key was replaced: keep its record published until {until:%Y-%m-%d}, for mail that still has to be read."
    )
