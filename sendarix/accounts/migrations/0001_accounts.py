"""Accounts, API keys, and the counters of the rate limit in an UNLOGGED table: counting needs no fsync."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slug", models.SlugField(allow_unicode=True, max_length=60, unique=True)),
                ("name", models.CharField(max_length=200)),
                (
                    "plan",
                    models.CharField(
                        choices=[("standard", "Standard"), ("enterprise", "Enterprise")],
                        default="standard",
                        max_length=12,
                    ),
                ),
                ("rate_limit", models.PositiveIntegerField(blank=True, null=True)),
                ("default_sender", models.TextField(blank=True, default="")),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "accounts",
            },
        ),
        migrations.CreateModel(
            name="RateWindow",
            fields=[
                ("bucket", models.CharField(db_collation="C", max_length=60, primary_key=True, serialize=False)),
                ("starts_at", models.DateTimeField()),
                ("count", models.IntegerField()),
            ],
            options={
                "db_table": "rate_windows",
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", models.CharField(db_collation="C", max_length=30, primary_key=True, serialize=False)),
                ("livemode", models.BooleanField()),
                ("name", models.CharField(blank=True, default="", max_length=200)),
                ("digest", models.CharField(db_collation="C", max_length=64, unique=True)),
                ("last4", models.CharField(max_length=4)),
                ("scopes", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                (
                    "source_ips",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                (
                    "sender_domains",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                ("default_sender", models.TextField(blank=True, default="")),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="api_keys", to="accounts.account"
                    ),
                ),
            ],
            options={
                "db_table": "api_keys",
            },
        ),
        migrations.RunSQL(
            sql="ALTER TABLE rate_windows SET UNLOGGED; ALTER TABLE rate_windows SET (fillfactor = 50)",
            reverse_sql=migrations.RunSQL.noop,
        ),
    ]
