"""Erasure of an address from what is counted: tags may name it."""

from django.db import connection

from analytics.alerts import acting
from analytics.dimensions import Dimension
from analytics.figures import COLUMNS
from analytics.models import RollupPosition


def erase(sender: object, account_id: int, recipient_key: str, found: str, mask: str, **_: object) -> None:
    """The receiver of core.events.address_erased."""
    list(RollupPosition.objects.select_for_update(no_key=True).filter(account_id=account_id).order_by("livemode"))
    values = {"account": account_id, "found": found, "mask": mask, "dimension": int(Dimension.TAG)}
    with connection.cursor() as cursor:
        for unit in ("hour", "minute"):
            cursor.execute(_moved(f"{unit}_counts", (), COLUMNS), values)
            cursor.execute(_moved(f"{unit}_latencies", ("slot",), ("messages",)), values)
    acting.erase(account_id, recipient_key, found, mask)


def _moved(table: str, key: tuple[str, ...], columns: tuple[str, ...]) -> str:
    """SQL: what was counted under tags that name it is counted under them masked, added to what is there."""
    keys = ", ".join(("account_id", "livemode", "dimension", "at", "value", *key))
    kept = ", ".join(
        ("account_id", "livemode", "dimension", "at", "regexp_replace(value, %(found)s, %(mask)s, 'gi')", *key)
    )
    return f"""
    WITH gone AS (
        DELETE FROM {table} WHERE account_id = %(account)s AND livemode IN (true, false) AND dimension = %(dimension)s
            AND value ~* %(found)s RETURNING *
    )
    INSERT INTO {table} AS t ({keys}, {", ".join(columns)})
    SELECT {kept}, {", ".join(f"sum({name})" for name in columns)} FROM gone
    GROUP BY {", ".join(str(n + 1) for n in range(5 + len(key)))}
    ON CONFLICT ({keys}) DO UPDATE SET {", ".join(f"{name} = t.{name} + excluded.{name}" for name in columns)}"""
