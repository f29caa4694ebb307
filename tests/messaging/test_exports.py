"""A search as a file: written in the background in slices, whole whatever happens on the way, and nobody else's."""

import csv
import io
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.db import DatabaseError

from messaging import chores, content, exports
from messaging.keeping import discards
from messaging.models import Export, ExportStatus
from messaging.searching import Scope, pages
from sendarix.core.errors import Conflict, NotFound, ValidationFailed
from tests import world
from tests.world import send


def scope(owner) -> Scope:
    return Scope(owner.account.pk, True)


def begin(owner, text: str = "") -> Export:
    return exports.start(scope(owner), text, owner.actor)


def run() -> int:
    slices = 0
    while exports.work():
        slices += 1
    return slices


def rows(owner, export: Export) -> list[dict[str, str]]:
    file = exports.opened(scope(owner), export.id)
    data = b"".join(file.blocks)
    assert len(data) == file.size
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_an_export_holds_what_the_search_finds_newest_first(acme):
    bills = [send(acme.live, subject="Your bill", metadata={"order": "7"}, tags=["eu", "bill"]) for _ in range(3)]
    send(acme.live)
    export = begin(acme, "bill")
    assert (export.status, export.total, export.written) == ("waiting", 3, 0)
    assert world.sql("SELECT count(*) FROM django_q_ormq WHERE key = 'delivery'")[0][0] >= 1
    run()
    found = rows(acme, export)
    assert [row["message_id"] for row in found] == bills[::-1]
    assert (found[0]["recipient"], found[0]["tags"], found[0]["metadata"]) == (
        world.MAIL["recipient"],
        "eu bill",
        '{"order": "7"}',
    )
    done = exports.progress(scope(acme), export.id)
    assert (done.status, done.written, done.total) == ("done", 3, 3)


@pytest.fixture
def slowly(monkeypatch):
    """A message a statement, and a statement a slice."""
    monkeypatch.setattr(pages, "STRIDE", 1)
    monkeypatch.setattr(pages, "MOST_RARE", 1)
    monkeypatch.setattr(exports, "SLICE", 0.0)


def test_a_large_one_is_written_slice_by_slice_with_progress(acme, slowly):
    ids = [send(acme.live) for _ in range(4)]
    export = begin(acme)
    exports.work()
    assert exports.progress(scope(acme), export.id).written == 1
    run()
    assert [row["message_id"] for row in rows(acme, export)] == ids[::-1]


def test_a_slice_that_is_lost_is_written_again_once(acme, slowly, monkeypatch):
    ids = [send(acme.live) for _ in range(3)]
    export = begin(acme)
    exports.work()
    with monkeypatch.context() as broken:
        broken.setattr(exports, "_keep", lambda *_: None)  # as if the process had died before its commit
        exports.work()
    assert not exports.work()
    world.sql("UPDATE exports SET leased_until = now() - interval '1 second'")
    run()
    assert [row["message_id"] for row in rows(acme, export)] == ids[::-1]


def test_a_slice_that_comes_too_late_is_not_kept(acme):
    send(acme.live)
    export = begin(acme)
    late = exports._claimed()
    world.sql("UPDATE exports SET leased_until = now() - interval '1 second'")
    run()
    exports._slice(late)
    assert len(rows(acme, export)) == 1


def test_one_that_fails_again_and_again_is_given_up(acme, monkeypatch):
    def full(data, path):
        raise content.StorageUnavailable

    monkeypatch.setattr(content, "store", full)
    export = begin(acme)
    for _ in range(exports.PATIENCE):
        exports.work()
    assert exports.progress(scope(acme), export.id).status == "failed"
    with pytest.raises(Conflict):
        exports.opened(scope(acme), export.id)


def test_a_cell_is_never_a_formula(acme):
    send(acme.live, subject="=cmd|' /C calc'!A0", metadata={"x": "y"})
    export = begin(acme)
    run()
    assert rows(acme, export)[0]["subject"] == "'=cmd|' /C calc'!A0"


def test_nobody_else_sees_or_opens_it(acme, globex):
    send(acme.live)
    export = begin(acme)
    run()
    for other in (scope(globex), Scope(acme.account.pk, False)):
        with pytest.raises(NotFound):
            exports.opened(other, export.id)
        assert not exports.of_account(other)


def test_a_search_that_cannot_be_read_is_refused_at_once(acme):
    with pytest.raises(ValidationFailed):
        begin(acme, "stauts:bounced")


def test_a_few_at_a_time_are_enough(acme):
    for _ in range(exports.OPEN):
        begin(acme)
    with pytest.raises(Conflict):
        begin(acme)


def test_it_is_gone_after_some_days(acme):
    send(acme.live)
    export = begin(acme)
    run()
    (path,) = Export.objects.get(id=export.id).parts
    world.sql("UPDATE exports SET expires_at = now() - interval '1 second'")
    exports.forget_expired()
    with pytest.raises(NotFound):
        exports.progress(scope(acme), export.id)
    with pytest.raises(OSError, match=path):
        content.read(path, 1)


def test_one_that_can_not_be_deleted_keeps_no_other_and_is_swept_later(acme):
    for _ in range(2):
        begin(acme)
        run()
    first, second = (files_of(export) for export in Export.objects.order_by("id"))
    first.unlink()
    (first / "in the way").mkdir(parents=True)
    world.sql("UPDATE exports SET expires_at = now() - interval '1 second'")
    exports.forget_expired()
    assert (first.exists(), second.exists()) == (True, False)
    assert not exports.of_account(scope(acme))
    (first / "in the way").rmdir()
    world.sql("UPDATE discarded_files SET due_at = now()")
    discards.sweep()
    assert not first.exists()


def files_of(export: Export) -> Path:
    (path,) = export.parts
    return Path(storages[content.ALIAS].path(path))


def stored() -> set[Path]:
    return {file for file in Path(storages[content.ALIAS].location).rglob("*") if file.is_file()}


def test_a_part_that_the_database_does_not_come_to_name_is_swept(acme):
    before = stored()
    export = begin(acme)
    world.sql("ALTER TABLE exports ADD CONSTRAINT away CHECK (status <> 'done')")
    try:
        with pytest.raises(DatabaseError):
            exports.work()
    finally:
        world.sql("ALTER TABLE exports DROP CONSTRAINT away")
    assert len(stored() - before) == 1
    discards.sweep()
    assert len(stored() - before) == 1
    world.sql("UPDATE discarded_files SET due_at = now()")
    discards.sweep()
    assert stored() == before
    world.sql("UPDATE exports SET leased_until = now() - interval '1 second'")
    run()
    assert rows(acme, export) == []
    assert world.sql("SELECT count(*) FROM discarded_files") == [(0,)]


def test_a_part_that_was_swept_before_it_is_named_is_written_again(acme, monkeypatch):
    made = send(acme.live)
    export, store = begin(acme), content.store

    def slow(data: bytes, path: str) -> str:
        store(data, path)
        world.sql("UPDATE discarded_files SET due_at = now()")
        discards.sweep()
        return path

    with monkeypatch.context() as slowly:
        slowly.setattr(content, "store", slow)
        exports.work()
    world.sql("UPDATE exports SET leased_until = now() - interval '1 second'")
    run()
    assert [row["message_id"] for row in rows(acme, export)] == [made]


def test_a_lost_job_is_handed_out_again(acme):
    begin(acme)
    world.sql("DELETE FROM django_q_ormq")
    (chore,) = [chore for chore in chores.chores() if chore.name == "exports"]
    chore.work()
    assert world.sql("SELECT count(*) FROM django_q_ormq WHERE key = 'delivery'") == [(1,)]


def test_who_exported_what_is_in_the_audit_log(acme):
    export = begin(acme, "tag:eu")
    assert world.sql("SELECT actor, subject, after->>'query' FROM audit_log WHERE action = 'export.started'") == [
        (acme.actor.id, export.id, "tag:eu")
    ]
    assert export.status == ExportStatus.WAITING
