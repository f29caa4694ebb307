"""What comes back to the bounce domain."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0005_domains_status_since")]

    operations = [
        migrations.CreateModel(
            name="InboundMail",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("message_id", models.CharField(db_collation="C", max_length=30)),
                ("sender", models.TextField(help_text="the envelope's; empty in a delivery report")),
                ("raw", models.BinaryField(help_text="its first octets, as many as are ever read")),
                ("received_at", models.DateTimeField()),
                ("kind", models.CharField(help_text="bounce, complaint, auto_reply, other", max_length=12, null=True)),
                ("looks", models.SmallIntegerField(default=0)),
                ("due_at", models.DateTimeField(help_text="when it is looked at again", null=True)),
                ("handled_at", models.DateTimeField(null=True)),
                ("result", models.JSONField(help_text="what it said and what was done", null=True)),
            ],
            options={
                "db_table": "inbound_mail",
                "indexes": [
                    models.Index(models.F("message_id"), models.F("id"), name="inbound_of_message"),
                    models.Index(
                        models.F("due_at"), condition=models.Q(("due_at__isnull", False)), name="inbound_waiting"
                    ),
                    models.Index(models.F("received_at"), name="inbound_received"),
                ],
            },
        ),
    ]
