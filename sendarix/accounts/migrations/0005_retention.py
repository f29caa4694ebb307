"""How many days an account keeps bodies, messages and the request log."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_request_log"),
    ]

    operations = [
        migrations.AddField(
            model_name="account",
            name="keep_bodies",
            field=models.PositiveSmallIntegerField(db_default=30, default=30),
        ),
        migrations.AddField(
            model_name="account",
            name="keep_messages",
            field=models.PositiveSmallIntegerField(db_default=90, default=90),
        ),
        migrations.AddField(
            model_name="account",
            name="keep_requests",
            field=models.PositiveSmallIntegerField(db_default=7, default=7),
        ),
    ]
