"""One embedded PostgreSQL for many commands: each joins the running one, or runs one for its own lifetime."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sendarix import locks
from sendarix.postgres import place, server
from sendarix.postgres.state import running

GUESTS = "pg.users"  # in SENDARIX_HOME: shared by those who joined a server they did not start
WITHOUT_DATABASE = {
    "up",
    "help",
    "version",
    "--version",
    "check",
    "makemigrations",
    "squashmigrations",
    "openapi",
}
WITHOUT_DATABASE |= {
    "makemessages",
    "compilemessages",
    "diffsettings",
    "startapp",
    "collectstatic",
    "findstatic",
}


@contextmanager
def for_command(argv: Sequence[str]) -> Iterator[None]:
    """The database of one manage.py command: DATABASE_URL, else `attached`; none for those without need."""
    if os.environ.get("DATABASE_URL") or not argv or argv[0] in WITHOUT_DATABASE or {"-h", "--help"} & {*argv}:
        yield
        return
    try:
        with attached(place.home()):
            yield
    except place.PostgresError as error:
        sys.exit(str(error))


@contextmanager
def attached(home: Path, *, say: server.Say = server.say_on_stderr) -> Iterator[None]:
    """Joins the running server, or runs one until the block ends and nobody who joined it is left.

    Several processes may race: one starts the server, the others wait for it and join.
    """
    while True:
        with locks.exclusive(home / server.LOCK) as mine:
            if mine:
                ours = server.start(home, say=say)
                try:
                    yield
                finally:
                    _stop_after_guests(ours, say)
                return
        with locks.shared(home / GUESTS):
            if running(home):
                yield
                return
        time.sleep(0.05)


def _stop_after_guests(ours: server.Server, say: server.Say) -> None:
    with locks.exclusive(ours.home / GUESTS) as alone:
        if alone:
            ours.stop()
            return
    say("Waiting for other commands that use this embedded database")
    with locks.exclusive(ours.home / GUESTS, wait=True):
        ours.stop()
