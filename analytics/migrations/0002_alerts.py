"""Alert rules and alerts."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_policies_and_audit"),
        ("analytics", "0001_rollups"),
    ]

    operations = [
        migrations.CreateModel(
            name="Alert",
            fields=[
                ("id", models.CharField(db_collation="C", max_length=30, primary_key=True, serialize=False)),
                ("livemode", models.BooleanField()),
                ("rule_id", models.CharField(db_collation="C", max_length=30)),
                ("rule_name", models.CharField(max_length=100)),
                ("metric", models.CharField(max_length=30)),
                ("compare", models.CharField(max_length=10)),
                ("window_seconds", models.IntegerField()),
                ("scope", models.CharField(max_length=12)),
                ("subject", models.TextField()),
                ("threshold", models.FloatField()),
                ("usual", models.FloatField(help_text="what the baseline expected", null=True)),
                ("value", models.FloatField(help_text="as seen last")),
                ("worst", models.FloatField()),
                ("volume", models.IntegerField(help_text="from how many it was concluded")),
                ("recipient", models.TextField(help_text="to whom so many went", null=True)),
                ("fired_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
                ("clear_since", models.DateTimeField(null=True)),
                ("resolved_at", models.DateTimeField(null=True)),
                (
                    "resolution",
                    models.CharField(help_text="recovered, rule_changed or rule_removed", max_length=20, null=True),
                ),
                ("pause_id", models.CharField(help_text="what holds the key's mail", max_length=30, null=True)),
                ("released_at", models.DateTimeField(null=True)),
                ("released_by", models.TextField(null=True)),
                ("trouble", models.TextField(help_text="what could not be done of what the rule asks for", null=True)),
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
                "db_table": "alerts",
                "indexes": [
                    models.Index(
                        models.F("account"),
                        models.F("livemode"),
                        models.OrderBy(models.F("id"), descending=True),
                        name="alerts_listed",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("resolved_at", None)), fields=("rule_id", "subject"), name="one_open_alert"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AlertRule",
            fields=[
                ("id", models.CharField(db_collation="C", max_length=30, primary_key=True, serialize=False)),
                ("livemode", models.BooleanField()),
                ("name", models.CharField(max_length=100)),
                ("enabled", models.BooleanField(default=True)),
                ("metric", models.CharField(help_text="alerts.metrics.Metric", max_length=30)),
                ("compare", models.CharField(help_text="above, below or baseline", max_length=10)),
                ("threshold", models.FloatField(help_text="count, share or seconds; none with a baseline", null=True)),
                ("factor", models.FloatField(help_text="of a baseline: so many times the usual", null=True)),
                ("minimum", models.IntegerField(help_text="of fewer nothing is concluded")),
                ("window_seconds", models.IntegerField()),
                ("scope", models.CharField(help_text="account, key, template, tag or destination", max_length=12)),
                ("scope_value", models.TextField(help_text="null: each on its own", null=True)),
                (
                    "mail_to",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None),
                ),
                ("webhook", models.BooleanField(default=True)),
                ("hold_key", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("evaluated_at", models.DateTimeField(null=True)),
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
                "db_table": "alert_rules",
                "indexes": [
                    models.Index(
                        models.F("account"),
                        models.F("livemode"),
                        models.OrderBy(models.F("id"), descending=True),
                        name="alert_rules_listed",
                    ),
                    models.Index(
                        models.F("evaluated_at"), condition=models.Q(("enabled", True)), name="alert_rules_due"
                    ),
                ],
            },
        ),
    ]
