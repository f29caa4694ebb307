"""The request log of a week, and its counts by key and hour."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_people"),
    ]

    operations = [
        migrations.CreateModel(
            name="RequestCount",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "account_id", "key_id", "hour", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key_id", models.CharField(db_collation="C", max_length=30)),
                ("hour", models.DateTimeField()),
                ("requests", models.IntegerField()),
                ("errors", models.IntegerField()),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "db_table": "request_counts",
            },
        ),
        migrations.CreateModel(
            name="LoggedRequest",
            fields=[
                (
                    "id",
                    models.CharField(
                        db_collation="C", help_text="the request's id", max_length=30, primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField()),
                ("livemode", models.BooleanField()),
                ("key_id", models.CharField(db_collation="C", max_length=30)),
                ("method", models.CharField(help_text="SMTP: a mail handed to the relay", max_length=10)),
                ("route", models.TextField(help_text="the path's pattern")),
                ("path", models.TextField(help_text="the path, without addresses and without its query")),
                ("status", models.SmallIntegerField(help_text="of HTTP, or the reply code of SMTP")),
                ("code", models.CharField(help_text="of the error", max_length=60, null=True)),
                ("faults", models.JSONField(help_text="fields and codes, never values", null=True)),
                ("duration_ms", models.FloatField()),
                ("source", models.TextField(help_text="network address of the caller", null=True)),
                (
                    "message_id",
                    models.CharField(db_collation="C", help_text="the first message made", max_length=30, null=True),
                ),
                ("messages", models.IntegerField(default=0)),
                (
                    "replayed",
                    models.BooleanField(
                        default=False, help_text="answered as an earlier request with the same idempotency key"
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "db_table": "api_requests",
                "indexes": [
                    models.Index(
                        models.F("account"),
                        models.F("livemode"),
                        models.OrderBy(models.F("id"), descending=True),
                        name="requests_listed",
                    ),
                    models.Index(
                        models.F("account"),
                        models.F("livemode"),
                        models.OrderBy(models.F("id"), descending=True),
                        condition=models.Q(("status__gte", 400)),
                        name="requests_refused",
                    ),
                    models.Index(
                        models.F("key_id"), models.OrderBy(models.F("id"), descending=True), name="requests_of_key"
                    ),
                    models.Index(
                        models.F("account"),
                        models.F("message_id"),
                        condition=models.Q(("message_id__isnull", False)),
                        name="requests_of_message",
                    ),
                ],
            },
        ),
    ]
