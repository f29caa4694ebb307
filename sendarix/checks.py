"""System checks of the ground Sendarix stands on."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from sendarix.postgres.place import OLDEST


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
