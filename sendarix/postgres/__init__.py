"""The embedded PostgreSQL: a cluster under SENDARIX_HOME, reached over a socket that only its owner can open.

Knows nothing of Django, because settings import it. With DATABASE_URL set, nothing here starts anything.
"""

from sendarix.postgres.keeping import Keeper
from sendarix.postgres.place import PostgresError, home, url
from sendarix.postgres.server import LOCK, Server, start
from sendarix.postgres.sharing import attached, for_command
from sendarix.postgres.state import running

__all__ = [
    "LOCK",
    "Keeper",
    "PostgresError",
    "Server",
    "attached",
    "for_command",
    "home",
    "running",
    "start",
    "url",
]
