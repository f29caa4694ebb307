"""Versions, locale variants, layouts and partials of templates."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("messaging", "0003_content_and_trust")]

    operations: list = []
