"""Erasing an address from the pages: only by who may, only when it is typed twice, and then everywhere."""

from sendarix.accounts.models import AuditEntry, Role
from tests import builders, world
from tests.dashboard.visitors import Visitor


def test_an_address_is_erased_when_it_is_typed_twice(transactional_db):
    acme = world.company("acme")
    message_id = world.send(acme.live, recipient="kim@hanbit.example", subject="For Kim")
    owner = Visitor(builders.member(acme.account, Role.OWNER), acme.account)
    wrong = owner.post("suppressions/erase", {"address": "kim@hanbit.example", "again": "lee@hanbit.example"})
    assert (wrong.status_code, world.message(acme.live, message_id)["recipient"]) == (422, "kim@hanbit.example")
    page = owner.sent("suppressions/erase", {"address": "kim@hanbit.example", "again": "KIM@hanbit.example"})
    assert "Every trace of the address is masked" in page
    shown = world.message(acme.live, message_id)
    assert "kim" not in str(shown).lower()
    assert shown["status"] == "canceled"
    assert AuditEntry.objects.get(action="address.erased").actor == f"user:{owner.user.email}"


def test_a_developer_may_not(member):
    assert member(Role.DEVELOPER).get("suppressions/erase").status_code == 403
