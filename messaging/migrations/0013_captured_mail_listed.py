"""The inbox of an account, newest first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_saved_searches"),
        ("messaging", "0012_retention"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="capturedmail",
            index=models.Index(
                models.F("account"),
                models.F("livemode"),
                models.OrderBy(models.F("id"), descending=True),
                name="captures_listed",
            ),
        ),
    ]
