"""Migrations that index a big table let deliveries write to it meanwhile."""

from collections.abc import Iterator
from time import monotonic, sleep

import pytest
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from tests import world

INDEXES = [
    ("suppressions", "0005_search", "suppressions", "suppressions_search"),
    ("messaging", "0015_captured_mail_searched", "captured_mail", "captures_search"),
]
BUILT = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"


def apply(app: str, name: str) -> None:
    loader = MigrationExecutor(connection).loader
    migration, before = loader.get_migration(app, name), loader.project_state([(app, name)], at_end=False)
    with connection.schema_editor(atomic=migration.atomic) as editor:
        migration.apply(before, editor)


def write(table: str) -> None:
    with transaction.atomic():
        world.sql(f"SET LOCAL lock_timeout = '5s'; LOCK TABLE {table} IN ROW EXCLUSIVE MODE")


@pytest.fixture(params=INDEXES, ids=lambda one: one[3])
def migration(request, transactional_db) -> Iterator[tuple[str, str, str, str]]:
    app, name, _, index = request.param
    world.sql(f"DROP INDEX {index}")
    yield request.param
    if world.sql(BUILT, index) != [(True,)]:
        apply(app, name)


def test_the_table_is_written_to_while_its_index_is_built(migration):
    app, name, table, index = migration
    with transaction.atomic():
        write(table)
        building, ends = world.in_background(apply, app, name), monotonic() + 30
        while not world.sql("SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert monotonic() < ends
            sleep(0.05)
        world.in_background(write, table).result()
    building.result()
    assert world.sql(BUILT, index) == [(True,)]


def test_an_index_whose_building_was_broken_off_is_built_anew(migration):
    app, name, table, index = migration
    world.sql(f"CREATE INDEX {index} ON {table} (recipient)")
    world.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", index)
    apply(app, name)
    assert world.sql(BUILT, index) == [(True,)]
