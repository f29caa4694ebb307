"""The test run's own PostgreSQL and SENDARIX_HOME, both gone after it; with DATABASE_URL set, that server.

Django is set up here, not by pytest-django's ini key: that would read the settings before there is a server.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import django

from sendarix import postgres


def _move_in() -> None:
    """Killed or not, the server ends with this process: the kernel tells it."""
    home = Path(tempfile.mkdtemp(prefix="sendarix-test-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ |= {"SENDARIX_HOME": str(home), "SENDARIX_ENV": "development"}
    inherited = os.environ.get("SENDARIX_TEST_SERVER") == os.environ.get("DATABASE_URL")
    if inherited or not os.environ.get(
        "DATABASE_URL"
    ):  # pytest-xdist's processes have a server each: some tests stop theirs
        server = postgres.start(home, durable=False)
        atexit.register(server.stop)
        os.environ["DATABASE_URL"] = os.environ["SENDARIX_TEST_SERVER"] = server.url
    os.environ["DJANGO_SETTINGS_MODULE"] = "sendarix.settings"
    django.setup()


_move_in()
