"""Parts put off by a fault of the database: how often, for the wait to grow."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("suppressions", "0005_search"),
    ]

    operations = [
        migrations.AddField(
            model_name="suppressionimportpart",
            name="delays",
            field=models.IntegerField(db_default=0, help_text="tries that were"),
        ),
        migrations.AlterField(
            model_name="suppressionimportpart",
            name="failures",
            field=models.SmallIntegerField(db_default=0, help_text="tries that were no fault of the database's"),
        ),
    ]
