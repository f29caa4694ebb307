"""What SPF, DKIM and DMARC (RFC 7489) would say of a message's sender as its domain stands now: known from our own tables,
without a look-up. The recipient's own verdict is theirs."""

from dataclasses import dataclass

from messaging.delivery import identities
from messaging.domains import names, registry
from messaging.models import Message, SenderDomain
from sendarix.core import addresses


@dataclass(frozen=True, slots=True)
class Signature:
    """A DKIM signature that mail of this sender carries; `aligned` as DMARC's relaxed mode has it."""

    domain: str
    selector: str
    algorithm: str
    aligned: bool


@dataclass(frozen=True, slots=True)
class Alignment:
    """`envelope` is the domain of the return path, which SPF is asked about; `ours`: it is one of our bounce hosts. `domain_id`
    is the domain of the account that stands for the sender's, if any, and `status` its state."""

    sender_domain: str
    domain_id: str | None
    status: str | None
    allowed: bool
    signatures: tuple[Signature, ...]
    envelope: str
    ours: bool
    spf: bool

    @property
    def dkim(self) -> bool:
        return any(one.aligned for one in self.signatures)

    @property
    def dmarc(self) -> bool:
        """One of the two suffices."""
        return self.dkim or self.spf


def of_message(message: Message) -> Alignment:
    domain = addresses.parse(message.content.sender).domain
    pair = (message.account_id, domain)
    identities.prefetch([pair])
    identity = identities.of(*pair)
    standing = registry.standing(*pair)
    row = SenderDomain.objects.filter(account_id=message.account_id, domain=standing.domain or "").first()
    envelope = identity.return_path or domain
    same = names.organisational(domain)
    return Alignment(
        sender_domain=domain,
        domain_id=row.id if row else None,
        status=row.status if row else None,
        allowed=standing.allowed,
        signatures=tuple(
            Signature(key.domain, key.selector, key.algorithm, names.organisational(key.domain) == same)
            for key in identity.keys
        ),
        envelope=envelope,
        ours=identity.return_path is not None,
        spf=names.organisational(envelope) == same and identity.return_path is not None,
    )
