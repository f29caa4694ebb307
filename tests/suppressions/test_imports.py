"""Tables taken in beside everything else: a part that can't be taken in keeps no other, and ends."""

from collections.abc import Iterator
from contextlib import contextmanager

from sendarix.accounts.keys import Caller
from suppressions import imports
from suppressions.models import Reason, Suppression, SuppressionImport
from suppressions.spreadsheets import Table
from tests import world


def begin(owner, *recipients: str) -> SuppressionImport:
    caller = Caller(owner.account.pk, "acme", "key_1", True, frozenset(), (), "")
    return imports.begin(caller, owner.actor, Table("recipient\n" + "\n".join(recipients)), Reason.MANUAL, "list.csv")


@contextmanager
def refusing(pattern: str) -> Iterator[None]:
    """The database takes no such address in."""
    world.sql(f"ALTER TABLE suppressions ADD CONSTRAINT refused CHECK (recipient_key NOT LIKE '{pattern}')")
    try:
        yield
    finally:
        world.sql("ALTER TABLE suppressions DROP CONSTRAINT refused")


def ended(one: SuppressionImport) -> tuple[bool, int, int]:
    one.refresh_from_db()
    return one.ended_at is not None, one.created, one.failed


def test_a_part_that_always_fails_ends_with_its_reason_and_keeps_no_other(acme, monkeypatch):
    monkeypatch.setattr(imports, "PART", 2)
    bad, later = begin(acme, *(f"{name}@x.example" for name in ("a", "bad", "c"))), begin(acme, "d@x.example")
    with refusing("bad@%%"):
        imports.work()
        assert (ended(bad), ended(later)) == ((False, 1, 0), (True, 1, 0))
        for _ in range(imports.TRIES - 1):
            assert imports.work() == 0
            world.sql("UPDATE suppression_import_parts SET due_at = now()")
            imports.work()
    assert ended(bad) == (True, 1, 2)
    first, *_, last = imports.results(bad)
    assert (first["recipient"], first["result"], last["result"]) == ("a@x.example", "error", "created")
    assert 'violates check constraint "refused"' in first["errors"][0]["message"]


def test_a_part_that_fails_for_a_while_is_taken_in_whole(acme):
    one = begin(acme, "a@x.example", "bad@x.example")
    with refusing("bad@%%"):
        imports.work()
    world.sql("UPDATE suppression_import_parts SET due_at = now()")
    imports.work()
    assert ended(one) == (True, 2, 0)
    assert Suppression.objects.count() == 2
