"""Hot SQL, planned once per connection. Planning a statement of several CTEs costs several times its execution, so
it is PREPAREd on first use; behind a transaction pooler (DISABLE_SERVER_SIDE_CURSORS in DATABASES) it is sent whole."""

import re
import weakref
from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper

_parameter = re.compile(r"%\((\w+)\)s(::\w+(?:\[\])?)?")


class Statement:
    """One statement with %(name)s parameters, each cast where its place does not tell its type; no other % in it."""

    def __init__(self, name: str, sql: str) -> None:
        self.name, self.sql = name, sql
        casts: dict[str, str] = {}
        for name_of, cast in _parameter.findall(sql):
            casts[name_of] = casts.get(name_of) or cast
        names = list(casts)
        numbered = _parameter.sub(lambda found: f"${names.index(found[1]) + 1}{found[2] or ''}", sql)
        values = ", ".join(f"%({name_of})s{cast}" for name_of, cast in casts.items())
        self._prepare = f"PREPARE {name} AS {numbered}"
        self._execute = f"EXECUTE {name}({values})"
        self._ready: weakref.WeakSet[Any] = weakref.WeakSet()

    def run(self, cursor: CursorWrapper, values: Mapping[str, Any], first: str = "") -> None:
        """Execute on a cursor of Django's default connection; the rows are the cursor's.

        `first` is a statement without parameters that goes before it in the same round trip."""
        if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
            cursor.execute(f"{first};{self.sql}", values)
            return
        if connection.connection not in self._ready:
            cursor.execute(self._prepare)
            self._ready.add(connection.connection)
        cursor.execute(f"{first};{self._execute}", values)


STANDSTILL = 10
"""Seconds after which a transaction in which nothing happens is ended. Shorter than a lease: whoever waits for a row that one who
stands still has locked must go on before its own lease ends."""


def tune_connections() -> None:
    """From now on every new connection of this process reaches rows by index only, and loses a transaction after STANDSTILL.

    All hot statements use an index, but the planner may think otherwise while its statistics lag behind a table that fills and
    empties: a hash join over a scan of all messages took 6.6 ms where the index takes 0.9."""
    connection_created.connect(_tune, dispatch_uid="tune connections")


def _tune(sender: object, connection: BaseDatabaseWrapper, **_: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;"
            "SET plan_cache_mode = force_generic_plan;"
            f"SET idle_in_transaction_session_timeout = '{STANDSTILL}s'"
        )
