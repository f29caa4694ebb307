"""Captured mail by a part of its recipient or subject, in any case."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import migrations
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0014_discarded_files"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="capturedmail",
            index=GinIndex(
                OpClass(Upper("recipient"), "gin_trgm_ops"),
                OpClass(Upper("subject"), "gin_trgm_ops"),
                name="captures_search",
            ),
        ),
    ]
