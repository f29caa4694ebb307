"""Acme and its people, for tests of pages. Nothing is committed: a test that needs other connections takes `transactional_db`."""

from collections.abc import Callable

import pytest

from messaging import notices
from sendarix.accounts.models import Account, Role
from tests import builders
from tests.dashboard.visitors import Visitor
from tests.world import _left_behind, sink, take_route, transactional_db

__all__ = ["_left_behind", "sink", "take_route", "transactional_db"]


@pytest.fixture
def acme(db) -> Account:
    return builders.account("acme")


@pytest.fixture
def globex(db) -> Account:
    """Another customer, of whom Acme's people see nothing."""
    return builders.account("globex")


@pytest.fixture
def member(acme) -> Callable[..., Visitor]:
    """A member of Acme of the given role, logged in, looking at `live` or `test`."""
    return lambda role, environment="live": Visitor(builders.member(acme, role), acme, environment)


@pytest.fixture
def owner(member) -> Visitor:
    return member(Role.OWNER)


@pytest.fixture
def platform(db) -> Account:
    """The platform's own account, with a domain that its mail may come from."""
    return Account.objects.get(pk=notices.sender().account_id)


@pytest.fixture
def operator(acme) -> Visitor:
    """Staff, of no account, acting as none yet."""
    return Visitor(builders.user("operator@sendarix.example", is_staff=True), acme)
