"""Searches written to files in the background."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_request_log"),
        ("messaging", "0010_search"),
    ]

    operations = [
        migrations.CreateModel(
            name="Export",
            fields=[
                ("id", models.CharField(db_collation="C", max_length=30, primary_key=True, serialize=False)),
                ("livemode", models.BooleanField()),
                ("actor", models.TextField()),
                ("query", models.TextField()),
                ("asked_at", models.DateTimeField(help_text="what ages in the query, like 7d, count from")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("running", "running"),
                            ("done", "done"),
                            ("failed", "failed"),
                            ("expired", "expired"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "total",
                    models.IntegerField(help_text="matches when it began; null: more than are counted", null=True),
                ),
                ("written", models.IntegerField(default=0, help_text="rows")),
                ("size", models.BigIntegerField(default=0, help_text="octets")),
                (
                    "parts",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None),
                ),
                ("position", models.CharField(db_collation="C", max_length=30, null=True)),
                ("failures", models.SmallIntegerField(default=0)),
                ("lease", models.CharField(max_length=32, null=True)),
                ("leased_until", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "db_table": "exports",
                "indexes": [
                    models.Index(
                        models.F("account"),
                        models.F("livemode"),
                        models.OrderBy(models.F("id"), descending=True),
                        name="exports_listed",
                    ),
                    models.Index(
                        models.F("id"), condition=models.Q(("status__in", ["waiting", "running"])), name="exports_open"
                    ),
                    models.Index(
                        models.F("expires_at"),
                        condition=models.Q(("status", "expired"), _negated=True),
                        name="exports_expiry",
                    ),
                ],
            },
        ),
    ]
