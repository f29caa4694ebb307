from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_webhooks")]

    operations = [migrations.AddField("webhookendpoint", "disabled_at", models.DateTimeField(null=True))]
