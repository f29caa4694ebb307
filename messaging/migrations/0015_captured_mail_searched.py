"""Captured mail by a part of its recipient or subject, in any case. The index is built beside deliveries that capture mail; one
that a migration broken off left invalid is built anew."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("messaging", "0014_discarded_files"),
    ]

    operations = [
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS captures_search", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="capturedmail",
            index=GinIndex(
                OpClass(Upper("recipient"), "gin_trgm_ops"),
                OpClass(Upper("subject"), "gin_trgm_ops"),
                name="captures_search",
            ),
        ),
    ]
