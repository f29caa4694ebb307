"""Customers' e-mail templates. The HTML in templates/ is the dashboard's, not this."""

from django.db import models

from sendarix.accounts.models import Account


class EmailTemplate(models.Model):
    """A customer's template by key."""

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="email_templates")
    key = models.SlugField(max_length=100)
    subject = models.TextField()
    html = models.TextField(blank=True)
    text = models.TextField(blank=True)
    default_sender = models.TextField(blank=True)
    version = models.IntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "email_templates"
        constraints = [models.UniqueConstraint(fields=["account", "key"], name="template_key_per_account")]
