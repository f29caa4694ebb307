"""Files that are to be deleted."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_saved_searches"),
        ("messaging", "0013_captured_mail_listed"),
    ]

    operations = [
        migrations.CreateModel(
            name="DiscardedFile",
            fields=[
                ("path", models.TextField(db_collation="C", primary_key=True, serialize=False)),
                ("due_at", models.DateTimeField()),
                ("failures", models.SmallIntegerField(default=0)),
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
                "db_table": "discarded_files",
                "indexes": [models.Index(models.F("due_at"), name="discarded_due")],
            },
        ),
    ]
