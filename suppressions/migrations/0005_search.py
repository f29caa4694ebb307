"""Suppressions by a part of their address. The index is built beside results of delivery that add suppressions; one that a
migration broken off left invalid is built anew."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently, TrigramExtension
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("suppressions", "0004_parts_that_fail"),
    ]

    operations = [
        TrigramExtension(),
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS suppressions_search", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="suppression",
            index=GinIndex(fields=["recipient_key"], name="suppressions_search", opclasses=["gin_trgm_ops"]),
        ),
    ]
