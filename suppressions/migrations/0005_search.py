"""Suppressions by a part of their address."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("suppressions", "0004_parts_that_fail"),
    ]

    operations = [
        TrigramExtension(),
        migrations.AddIndex(
            model_name="suppression",
            index=GinIndex(fields=["recipient_key"], name="suppressions_search", opclasses=["gin_trgm_ops"]),
        ),
    ]
