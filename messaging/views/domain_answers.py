"""The bodies of the sender domains' answers, as their document shows them."""

from typing import Annotated

from messaging.domains.records import Purpose, Type
from messaging.domains.verdicts import Verdict
from messaging.models import SenderDomain
from sendarix.accounts.calls import AnswerShape, Moment, one_of, public_id

DomainId = Annotated[str, public_id("dom")]


class SenderDomainSummary(AnswerShape):
    """A sender domain as lists show it."""

    id: DomainId
    domain: str
    """In lower case and A-labels."""
    status: Annotated[str, one_of(SenderDomain.Status.values)]
    """`verified`: the record of its DKIM key was right at the last look. `broken`: it was before, and is not now."""
    owned: bool
    """False when another account has it, or has verified a domain above it: publish the ownership record to claim it."""
    trusted: bool
    """Verified by an operator; its records are not looked at."""
    return_path_ready: bool
    """Bounces come back to a host of your domain, so that SPF aligns as well."""
    created_at: Moment
    verified_at: Moment | None
    checked_at: Moment | None
    """When its records were last looked up."""
    next_check_at: Moment | None


class DomainRecord(AnswerShape):
    """One entry of your zone, and what was found there."""

    purpose: Annotated[str, one_of(Purpose)]
    host: str
    type: Annotated[str, one_of(Type)]
    value: str
    """What to publish. A TXT value longer than 255 characters goes into the zone as several strings."""
    required: bool
    """Without it the domain can't be verified."""
    found: list[str]
    """Live values at the last look, at most five; octets that are not printable as `\\\\ddd`."""
    verdict: Annotated[str, one_of(Verdict)]
    reason: str
    """Why, in plain words."""


class SenderDomainDetail(SenderDomainSummary):
    """A sender domain with the records to publish."""

    records: list[DomainRecord]


class SenderDomainPage(AnswerShape):
    """Sender domains, newest first."""

    data: list[SenderDomainSummary]
    has_more: bool
    next_cursor: str | None


class SenderDomainRemoved(AnswerShape):
    """The domain that was removed."""

    id: DomainId
    domain: str
    deleted: bool
