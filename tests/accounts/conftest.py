"""Who and when, for tests of the door."""

import time

import pytest
from django.db import connection

from tests import builders
from tests.api_client import Api


@pytest.fixture
def acme(db):
    return builders.account("acme")


@pytest.fixture
def api(acme) -> Api:
    return Api(builders.api_key(acme))


@pytest.fixture
def calm_minute(db) -> None:
    """Waits when the database's minute is about to end, for tests that count within one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 60 - extract(second FROM clock_timestamp())::float")
        left = cursor.fetchone()[0]
    if left < 3:
        time.sleep(left + 0.05)
