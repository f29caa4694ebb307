"""Tables taken in beside everything else: a part that can't be taken in keeps no other, and ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from django.db import transaction

from sendarix.accounts.keys import Caller
from suppressions import imports, transfer
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


def test_a_part_that_always_fails_ends_with_its_reason_and_keeps_no_other(acme, monkeypatch, caplog):
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
    told = first["errors"][0]["message"]
    assert told.startswith("The part of the table with this row could not be taken in")
    assert "constraint" not in told
    assert 'violates check constraint "refused"' in caplog.text


def test_a_part_that_fails_for_a_while_is_taken_in_whole(acme):
    one = begin(acme, "a@x.example", "bad@x.example")
    with refusing("bad@%%"):
        imports.work()
    world.sql("UPDATE suppression_import_parts SET due_at = now()")
    imports.work()
    assert ended(one) == (True, 2, 0)
    assert Suppression.objects.count() == 2


def retry_now() -> None:
    world.sql("UPDATE suppression_import_parts SET due_at = now()")
    imports.work()


def test_a_part_with_a_fault_of_ours_ends_too(acme, monkeypatch, caplog):
    one = begin(acme, "a@x.example")
    with monkeypatch.context() as faulty:
        faulty.setattr(transfer, "read", lambda *_: {}["a"])
        for _ in range(imports.TRIES):
            retry_now()
    assert ended(one) == (True, 0, 1)
    assert "Traceback" in caplog.text


@contextmanager
def at_fault() -> Iterator[None]:
    """The database waits for a lock and gives up, as long as this lasts."""
    world.sql("SET lock_timeout = '20ms'")
    locked, over = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            world.sql("LOCK TABLE suppressions IN EXCLUSIVE MODE")
            locked.set()
            over.wait(60)

    holder = world.in_background(hold)
    try:
        assert locked.wait(30)
        yield
    finally:
        over.set()
        holder.result()
        world.sql("RESET lock_timeout")


def test_a_fault_of_the_database_counts_as_no_try_and_lengthens_the_wait(acme):
    one, waits = begin(acme, "a@x.example"), []
    with at_fault():
        for _ in range(imports.TRIES + 3):
            retry_now()
            waits += world.sql("SELECT round(extract(epoch FROM due_at - now()))::int FROM suppression_import_parts")
        assert ended(one) == (False, 0, 0)
    assert [round(wait, -1) for (wait,) in waits] == [20, 40, 80, 160, 320, 600, 600]
    retry_now()
    assert ended(one) == (True, 1, 0)
