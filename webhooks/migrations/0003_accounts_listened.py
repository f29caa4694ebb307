"""Accounts that have endpoints already are listened to."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0002_disabled_at"), ("accounts", "0007_listened")]

    operations = [
        migrations.RunSQL(
            "UPDATE accounts SET listened = true WHERE id IN (SELECT account_id FROM webhook_endpoints)",
            migrations.RunSQL.noop,
        )
    ]
