"""The test run's own PostgreSQL and SENDARIX_HOME, both gone after it; with DATABASE_URL set, that server.

Django is set up here, not by pytest-django's ini key: that would read the settings before there is a server.
"""

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path

import django
import pytest
from django.conf import settings

from sendarix import postgres
from tests import scheduling


def _move_in() -> None:
    """Killed or not, the server ends with this process: the kernel tells it."""
    home = Path(tempfile.mkdtemp(prefix="sendarix-test-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ |= {"SENDARIX_HOME": str(home), "SENDARIX_ENV": "development"}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process that a test starts compiles the product anew
    # pytest-xdist's processes inherit the first one's environment, and have a server each: a feed waits for every transaction.
    if os.environ.get("DATABASE_URL") == os.environ.get("SENDARIX_TEST_SERVER"):
        server = postgres.start(home, durable=False)
        atexit.register(server.stop)
        os.environ["DATABASE_URL"] = os.environ["SENDARIX_TEST_SERVER"] = server.url
    os.environ["DJANGO_SETTINGS_MODULE"] = "sendarix.settings"
    django.setup()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the product's takes half a second
    settings.WHITENOISE_AUTOREFRESH = True  # or the middleware of each test client reads every static file
    del os.environ["DJANGO_SETTINGS_MODULE"]  # or pytest-django reads the settings in those processes before this does


_move_in()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: scheduling.rank(item.nodeid))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # what was collected stays: the collector need not walk through it again and again


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> scheduling.LongestFirst | None:
    return scheduling.LongestFirst(config, log) if config.getvalue("dist") == "loadfile" else None
