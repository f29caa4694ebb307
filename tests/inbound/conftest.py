from collections.abc import Iterator

import pytest

from tests import builders
from tests.inbound.relaying import RunningRelay, relaying
from tests.world import _left_behind, acme, api, globex, sink, take_route, transactional_db

__all__ = ["_left_behind", "acme", "api", "globex", "sink", "take_route", "transactional_db"]


@pytest.fixture
def relay(acme, settings) -> Iterator[RunningRelay]:
    settings.RELAY_AUTH_DELAY = 0.01
    settings.BOUNCE_DOMAIN = "bounces.sendarix.test"
    with relaying() as running:
        yield running


@pytest.fixture
def key(acme) -> str:
    """The token of a live key of Acme's."""
    return builders.api_key(acme.account)
