"""An account's events of a time, for webhooks that are told again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0007_routing")]

    operations = [
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                models.F("account"), models.F("livemode"), models.F("at"), models.F("id"), name="events_by_time"
            ),
        ),
    ]
