"""Tries of a part of an import that can't be taken in."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("suppressions", "0003_imports_in_the_background"),
    ]

    operations = [
        migrations.AddField(
            model_name="suppressionimportpart",
            name="failures",
            field=models.SmallIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="suppressionimportpart",
            name="due_at",
            field=models.DateTimeField(help_text="when one that failed is tried again", null=True),
        ),
    ]
