"""Counts by hour and minute, and how far events have been counted."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0002_policies_and_audit"),
    ]

    operations = [
        migrations.CreateModel(
            name="RollupRound",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("as_of", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "rollup_rounds",
            },
        ),
        migrations.CreateModel(
            name="HourCount",
            fields=[
                ("livemode", models.BooleanField()),
                ("dimension", models.SmallIntegerField(help_text="dimensions.Dimension")),
                ("at", models.DateTimeField()),
                ("value", models.TextField(db_collation="C")),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "account_id",
                        "livemode",
                        "dimension",
                        "at",
                        "value",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("received", models.IntegerField(default=0)),
                ("accepted", models.IntegerField(default=0)),
                ("delivered", models.IntegerField(default=0)),
                ("deferred", models.IntegerField(default=0)),
                ("deferrals", models.IntegerField(default=0)),
                ("bounced_hard", models.IntegerField(default=0)),
                ("bounced_soft", models.IntegerField(default=0)),
                ("bounced_late", models.IntegerField(default=0)),
                ("complained", models.IntegerField(default=0)),
                ("unsubscribed", models.IntegerField(default=0)),
                ("suppressed", models.IntegerField(default=0)),
                ("canceled", models.IntegerField(default=0)),
                ("expired", models.IntegerField(default=0)),
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
                "db_table": "hour_counts",
            },
        ),
        migrations.CreateModel(
            name="HourLatency",
            fields=[
                ("livemode", models.BooleanField()),
                ("dimension", models.SmallIntegerField(help_text="dimensions.Dimension")),
                ("at", models.DateTimeField()),
                ("value", models.TextField(db_collation="C")),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "account_id",
                        "livemode",
                        "dimension",
                        "at",
                        "value",
                        "slot",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("slot", models.SmallIntegerField(help_text="latency.bucket")),
                ("messages", models.IntegerField()),
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
                "db_table": "hour_latencies",
            },
        ),
        migrations.CreateModel(
            name="MinuteCount",
            fields=[
                ("livemode", models.BooleanField()),
                ("dimension", models.SmallIntegerField(help_text="dimensions.Dimension")),
                ("at", models.DateTimeField()),
                ("value", models.TextField(db_collation="C")),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "account_id",
                        "livemode",
                        "dimension",
                        "at",
                        "value",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("received", models.IntegerField(default=0)),
                ("accepted", models.IntegerField(default=0)),
                ("delivered", models.IntegerField(default=0)),
                ("deferred", models.IntegerField(default=0)),
                ("deferrals", models.IntegerField(default=0)),
                ("bounced_hard", models.IntegerField(default=0)),
                ("bounced_soft", models.IntegerField(default=0)),
                ("bounced_late", models.IntegerField(default=0)),
                ("complained", models.IntegerField(default=0)),
                ("unsubscribed", models.IntegerField(default=0)),
                ("suppressed", models.IntegerField(default=0)),
                ("canceled", models.IntegerField(default=0)),
                ("expired", models.IntegerField(default=0)),
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
                "db_table": "minute_counts",
            },
        ),
        migrations.CreateModel(
            name="MinuteLatency",
            fields=[
                ("livemode", models.BooleanField()),
                ("dimension", models.SmallIntegerField(help_text="dimensions.Dimension")),
                ("at", models.DateTimeField()),
                ("value", models.TextField(db_collation="C")),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "account_id",
                        "livemode",
                        "dimension",
                        "at",
                        "value",
                        "slot",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("slot", models.SmallIntegerField(help_text="latency.bucket")),
                ("messages", models.IntegerField()),
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
                "db_table": "minute_latencies",
            },
        ),
        migrations.CreateModel(
            name="RollupPosition",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "account_id", "livemode", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("livemode", models.BooleanField()),
                ("transaction", models.BigIntegerField(default=0)),
                ("number", models.BigIntegerField(default=0)),
                ("as_of", models.DateTimeField(help_text="everything committed before is counted", null=True)),
                ("behind", models.BooleanField(default=False, help_text="the last look left some for the next one")),
                ("skips_before", models.DateTimeField(null=True)),
                ("skips_transaction", models.BigIntegerField(default=0)),
                ("skips_number", models.BigIntegerField(default=0)),
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
                "db_table": "rollup_positions",
            },
        ),
    ]
