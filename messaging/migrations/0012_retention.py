"""What retention deleted, and the index by which it finds bodies."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_retention"),
        ("messaging", "0011_exports"),
    ]

    operations = [
        migrations.CreateModel(
            name="RetentionRun",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("kind", models.CharField(help_text="bodies, messages or requests", max_length=10)),
                ("cutoff", models.DateTimeField()),
                ("deleted", models.JSONField(help_text="rows and files by what they were")),
                ("oldest_left", models.DateTimeField(null=True)),
                ("complete", models.BooleanField()),
            ],
            options={
                "db_table": "retention_runs",
            },
        ),
        migrations.AddIndex(
            model_name="messagecontent",
            index=models.Index(
                models.F("account"),
                models.F("message"),
                condition=models.Q(("html__isnull", False), ("text__isnull", False), _connector="OR"),
                name="contents_with_body",
            ),
        ),
        migrations.AddField(
            model_name="retentionrun",
            name="account",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.account"
            ),
        ),
        migrations.AddIndex(
            model_name="retentionrun",
            index=models.Index(
                models.F("account"), models.OrderBy(models.F("id"), descending=True), name="retention_of_account"
            ),
        ),
    ]
