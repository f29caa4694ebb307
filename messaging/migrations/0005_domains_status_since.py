"""When a domain's status last changed, and how often in a row the DNS said nothing of it."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0004_templates")]

    operations = [
        migrations.AddField(
            model_name="senderdomain",
            name="unanswered",
            field=models.PositiveSmallIntegerField(
                default=0, help_text="looks in a row that got no answer on its DKIM record"
            ),
        ),
        migrations.AddField(
            model_name="senderdomain",
            name="status_since",
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
        ),
        migrations.AlterField(
            model_name="senderdomain",
            name="verified_at",
            field=models.DateTimeField(help_text="last time its status became verified", null=True),
        ),
        migrations.AlterField(
            model_name="senderdomain",
            name="checked_at",
            field=models.DateTimeField(help_text="begin of the last look", null=True),
        ),
    ]
