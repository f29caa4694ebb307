"""Who mail goes out as: whether its sender's domain is still the account's, the keys that sign for it, and the host of its bounce
addresses. Read for a batch of messages in one statement, and kept for LIVES seconds; a loaded key is kept as long as the
process."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic

from django.db import connection

from messaging.delivery.dkim import Key
from sendarix.core import vault
from sendarix.core.statements import Statement

logger = logging.getLogger(__name__)

LIVES = 2.0
"""Seconds for which a process takes what it read of a domain for true: so long after a domain was removed, lost or broken
messages may still be claimed as if it were not."""

_MOST = 20_000
"""Entries of each cache; a full one is emptied."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a message of one sender domain is signed with, in order, and where it bounces to: None when the domain has no return
    path of ours. Without keys it goes out unsigned; when the domain is not the account's (any more), not at all."""

    keys: tuple[Key, ...] = ()
    return_path: str | None = None
    ours: bool = True


UNSIGNED = Identity()
NOT_OURS = Identity(ours=False)

Pair = tuple[int, str]
"""An account and a sender's domain, lower case in A-labels."""

# Whose a domain is, as registry.standing has it: a verified one outweighs what is registered below it without proof, then the
# nearest counts. One that is broken is still the account's; one that was never proven only where that is enough to send.
# While a domain is not verified, its records are relied on only as far as the last look found each of them right: a signature
# that fails is worse than none.
_READ = Statement(
    "sender_identities",
    """
WITH asked AS (
    SELECT * FROM unnest(%(accounts)s::bigint[], %(senders)s::text[], %(names)s::text[]) AS asked(account_id, sender, name)
), nearest AS (
    SELECT DISTINCT ON (a.account_id, a.sender) a.account_id, a.sender, d.*
    FROM asked a, LATERAL (
        SELECT account_id AS owner_id, id, domain, owned, status, return_path, return_path_ready, findings FROM sender_domains
        WHERE account_id = a.account_id AND domain = a.name
        UNION ALL
        SELECT account_id, id, domain, owned, status, return_path, return_path_ready, findings FROM sender_domains
        WHERE domain = a.name AND owned AND status = 'verified' AND account_id <> a.account_id
    ) d
    ORDER BY a.account_id, a.sender, (d.owned AND d.status = 'verified') DESC, d.owned DESC, length(d.domain) DESC
)
SELECT n.account_id, n.sender, n.domain,
    CASE WHEN n.return_path_ready AND (n.status = 'verified' OR n.findings #>> ARRAY[n.return_path, 'verdict'] = 'ok')
        THEN n.return_path END,
    k.id, k.selector, k.private_key
FROM nearest n JOIN accounts c ON c.id = n.account_id
LEFT JOIN dkim_keys k ON k.domain_id = n.id AND k.status = 'active'
    AND (n.status = 'verified' OR n.findings #>> ARRAY[k.selector || '._domainkey.' || n.domain, 'verdict'] = 'ok')
WHERE n.owner_id = n.account_id AND n.owned AND (n.status <> 'pending' OR c.sender_policy = 'registered')
ORDER BY k.algorithm DESC, k.id DESC
""",
)

_identities: dict[Pair, tuple[float, Identity]] = {}
_keys: dict[int, Key | None] = {}


def prefetch(pairs: Iterable[Pair]) -> None:
    """Have the identities of these senders at hand for `of`: one statement for those not read within LIVES seconds, none when
    there are none. That a domain is not the account's is never remembered: its mail ends by it, and the domain may have been
    added a moment ago. For a thread with a database connection."""
    now, asked = monotonic(), set(pairs)
    if len(_identities) + len(asked) > _MOST:
        _identities.clear()
    wanted = {
        pair for pair in asked if (known := _identities.get(pair)) is None or known[0] <= now or not known[1].ours
    }
    if not wanted:
        return
    found = _read(sorted(wanted))
    for pair in wanted:
        _identities[pair] = now + LIVES, found.get(pair, NOT_OURS)


def of(account_id: int, domain: str) -> Identity:
    """As prefetched last. KeyError without a prefetch: take it right after, and keep it with the message."""
    return _identities[account_id, domain][1]


def forget() -> None:
    """Read everything again, in this process."""
    _identities.clear()


def _read(pairs: list[Pair]) -> dict[Pair, Identity]:
    asked = [(account_id, sender, name) for account_id, sender in pairs for name in _upwards(sender)]
    accounts, senders, names = (list(column) for column in zip(*asked, strict=True))
    with connection.cursor() as cursor:
        _READ.run(cursor, {"accounts": accounts, "senders": senders, "names": names})
        rows = cursor.fetchall()
    found: dict[Pair, Identity] = {}
    for account_id, sender, domain, return_path, key_id, selector, sealed in rows:
        known = found.get((account_id, sender), Identity((), return_path))
        key = _key(key_id, domain, selector, sealed) if key_id is not None else None
        found[account_id, sender] = Identity((*known.keys, key), return_path) if key else known
    return found


def _upwards(domain: str) -> list[str]:
    """The domain and all above it but the top one: which of them are registered, the tables know."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]


def _key(key_id: int, domain: str, selector: str, sealed: str) -> Key | None:
    """The key, loaded once per process. One that can't be opened is logged once, and mail goes out without its signature."""
    if key_id not in _keys:
        if len(_keys) >= _MOST:
            _keys.clear()
        try:
            _keys[key_id] = Key.load(domain, selector, vault.reveal(sealed, "dkim"))
        except (vault.VaultError, ValueError) as error:
            logger.error(
                "the key %s of %s can't be used, mail goes out without its signature: %s", selector, domain, error
            )
            _keys[key_id] = None
    return _keys[key_id]
