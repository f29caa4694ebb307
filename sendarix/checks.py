"""System checks of the ground Sendarix stands on."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections
from django.http.request import split_domain_port, validate_host

from sendarix.core import tokens
from sendarix.postgres.place import OLDEST

LONGEST_LINK = 80
"""Characters of an unsubscribe link that no program on a mail's way folds or cuts."""


@register(Tags.database)
def postgresql_is_recent(databases: Sequence[str] | None = None, **options: Any) -> list[CheckMessage]:
    """Runs with `migrate` and `check --database`: one engine, from one version on."""
    return [error for alias in databases or () for error in _faults(alias)]


def _faults(alias: str) -> list[CheckMessage]:
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return [Error(f"DATABASE_URL must name a PostgreSQL server, not {connection.vendor}.", id="sendarix.E001")]
    found = connection.pg_version // 10_000
    if found < OLDEST:
        return [Error(f"PostgreSQL {OLDEST} or newer is needed; this is {found}.", id="sendarix.E002")]
    return []


@register
def unsubscribe_links_are_short_and_answered(
    app_configs: Sequence[Any] | None = None, **options: Any
) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    length = len(f"{settings.PUBLIC_URL}/u/") + tokens.LENGTH
    if length > LONGEST_LINK:
        message = f"Unsubscribe links have {length} characters; beyond {LONGEST_LINK} some mail programs cut them."
        found.append(Warning(message, hint="Give SENDARIX_PUBLIC_URL a shorter host name.", id="sendarix.W001"))
    host, _ = split_domain_port(urlsplit(settings.PUBLIC_URL).netloc.lower())
    if not validate_host(host, settings.ALLOWED_HOSTS):
        message = f"SENDARIX_PUBLIC_URL names {host or 'no host'}, to which ALLOWED_HOSTS gives no answer."
        found.append(Warning(message, hint="Links in mails lead there: allow it.", id="sendarix.W002"))
    return found
