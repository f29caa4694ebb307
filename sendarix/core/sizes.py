"""How much room the database takes, for whoever runs the platform."""

from dataclasses import dataclass

from django.db import connection

LARGEST = 8


@dataclass(frozen=True, slots=True)
class Sizes:
    """Octets: of the whole database, and of its largest tables with their indexes."""

    total: int
    tables: list[tuple[str, int]]


def look() -> Sizes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        (total,) = cursor.fetchone()
        cursor.execute(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = current_schema()::regnamespace ORDER BY 2 DESC LIMIT %s",
            [LARGEST],
        )
        return Sizes(total, cursor.fetchall())
