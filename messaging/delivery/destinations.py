"""Who hosts a recipient's mail: the unit of pacing and health. Known mailbox domains are listed; of other domains the hosts that
their MX records name tell, once a worker has looked them up."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import NamedTuple

from django.db import connection

_DOMAINS = {
    "gmail": "gmail.com googlemail.com",
    "naver": "naver.com",
    "kakao": "kakao.com daum.net hanmail.net",
    "microsoft": "outlook.com hotmail.com live.com msn.com outlook.kr hotmail.co.uk hotmail.co.kr live.co.kr passport.com",
    "yahoo": "yahoo.com ymail.com rocketmail.com aol.com aim.com yahoo.co.uk yahoo.co.jp yahoo.co.kr yahoo.fr yahoo.de",
    "apple": "icloud.com me.com mac.com",
}
_HOSTS = {
    "gmail": ("google.com", "googlemail.com"),
    "naver": ("naver.com", "worksmobile.com", "naverworks.com"),
    "kakao": ("daum.net", "hanmail.net", "kakao.com", "daumcorp.com"),
    "microsoft": ("outlook.com", "hotmail.com", "mx.microsoft"),
    "yahoo": ("yahoodns.net", "aol.com"),
    "apple": ("icloud.com", "apple.com"),
}
PROVIDERS = tuple(_DOMAINS)
"""The groups; any other destination is a domain of its own."""

_BY_DOMAIN = {domain: provider for provider, domains in _DOMAINS.items() for domain in domains.split()}

REMEMBERED = 600.0
UNKNOWN_FOR = 20.0
"""Seconds that what is known, and that nothing is known, of a domain is believed before the table is asked again."""

ASKED_AGAIN = 60.0
"""Seconds after which a domain is looked up again of which no name server told anything."""

MOST = 50_000


class _Known(NamedTuple):
    """What is believed of a domain until a time of the monotonic clock."""

    until: float = 0.0
    provider: str | None = None
    hosts: tuple[str, ...] = ()


_NOTHING = _Known()
_known: dict[str, _Known] = {}


def listed(provider: str) -> list[str]:
    """The mailbox domains of a group; further domains are found in mail_domains."""
    return _DOMAINS.get(provider, "").split()


def by_hosts(hosts: Iterable[str]) -> str | None:
    """The provider that runs these mail hosts, or None."""
    for host in hosts:
        name = host.rstrip(".").lower()
        for provider, ends in _HOSTS.items():
            if name.endswith(tuple(f".{end}" for end in ends)) or name in ends:
                return provider
    return None


def provider(domain: str) -> str | None:
    """Who hosts the domain, as far as this process knows (see `prefetch`)."""
    return _BY_DOMAIN.get(domain) or _known.get(domain, _NOTHING).provider


def hosts(domain: str) -> tuple[str, ...]:
    """The mail hosts of a domain, as far as this process knows; of a listed domain, the names below which they stand."""
    listed_by = _BY_DOMAIN.get(domain)
    return _HOSTS[listed_by] if listed_by else _known.get(domain, _NOTHING).hosts


def prefetch(domains: Iterable[str]) -> None:
    """Ask the table, in one statement, about the domains this process does not know."""
    now = monotonic()
    asked = [domain for domain in set(domains) if domain not in _BY_DOMAIN and _known.get(domain, _NOTHING).until < now]
    if not asked:
        return
    if len(_known) > MOST:
        _known.clear()
    with connection.cursor() as cursor:
        cursor.execute("SELECT domain, provider, hosts FROM mail_domains WHERE domain = ANY(%s)", [asked])
        found = {domain: (provider, tuple(hosts)) for domain, provider, hosts in cursor.fetchall()}
    for domain in asked:
        _known[domain] = _Known(now + (REMEMBERED if domain in found else UNKNOWN_FOR), *found.get(domain, ()))


def is_known(domain: str) -> bool:
    """Whether this process has looked the domain up lately."""
    return domain in _BY_DOMAIN or _known.get(domain, _NOTHING).until > monotonic() + UNKNOWN_FOR


def learn(domain: str, hosts: Sequence[str]) -> None:
    """Keep who hosts the domain. For a thread with a database connection, after a look-up of its MX records."""
    names = [host.rstrip(".").lower() for host in hosts]
    found = by_hosts(names)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO mail_domains (domain, provider, hosts, looked_up_at) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (domain) DO UPDATE SET provider = excluded.provider, hosts = excluded.hosts,"
            " looked_up_at = excluded.looked_up_at",
            [domain, found, names, datetime.now(UTC)],
        )
    _known[domain] = _Known(monotonic() + REMEMBERED, found, tuple(names))


def postpone(domain: str) -> None:
    """Nobody could say who hosts it: not to be asked again for a while."""
    _known[domain] = _Known(monotonic() + UNKNOWN_FOR + ASKED_AGAIN)


def forget() -> None:
    """Begin anew; for tests and forks."""
    _known.clear()
