"""What the operators' admin calls its records."""

from django.db import migrations

NAMES = {
    "account": ("account", "accounts"),
    "apikey": ("API key", "API keys"),
    "auditentry": ("audit entry", "audit entries"),
    "membership": ("membership", "memberships"),
    "user": ("person", "people"),
}


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_no_twins"),
    ]

    operations = [
        migrations.AlterModelOptions(name=name, options={"verbose_name": one, "verbose_name_plural": many})
        for name, (one, many) in NAMES.items()
    ]
