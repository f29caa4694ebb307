"""Whether anybody is to be told of an account's events, where acceptance sees it without another statement."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_saved_searches")]

    operations = [
        migrations.AddField(
            model_name="account", name="listened", field=models.BooleanField(db_default=False, default=False)
        )
    ]
