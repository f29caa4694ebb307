"""Pauses of what one API key sends."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0008_events_by_time"),
    ]

    operations = [
        migrations.AddField(
            model_name="queuepause",
            name="key_id",
            field=models.CharField(help_text="the API key it was accepted with", max_length=30, null=True),
        ),
    ]
