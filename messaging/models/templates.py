"""Customers' e-mail templates, their versions, and what publishing makes of them. The HTML in templates/ is the dashboard's, not
this. Templates belong to the account, not to its live or test environment."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from sendarix.accounts.models import Account


class EmailTemplate(models.Model):
    """A template, layout or partial by its key. `uses` are the layout and partials its published version is built with."""

    class Kind(models.TextChoices):
        TEMPLATE = "template"
        LAYOUT = "layout"
        PARTIAL = "partial"

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="email_templates")
    key = models.CharField(max_length=100, db_collation="C")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.TEMPLATE)
    latest_version = models.IntegerField(default=1)
    published_version = models.IntegerField(null=True)
    uses = ArrayField(models.TextField(), default=list)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "email_templates"
        constraints = [models.UniqueConstraint(fields=["account", "key"], name="template_key_per_account")]


class TemplateVersion(models.Model):
    """One version as its author wrote it. It is a draft and may be edited until it is published for the first time; after that
    it never changes. `variants` maps locales to {subject, html, text}."""

    template = models.ForeignKey(EmailTemplate, on_delete=models.CASCADE, related_name="versions")
    number = models.IntegerField()
    layout = models.CharField(max_length=100, null=True)
    default_sender = models.TextField(blank=True, default="")
    default_locale = models.CharField(max_length=20, null=True)
    subject = models.TextField(null=True)
    html = models.TextField(null=True)
    text = models.TextField(null=True)
    variants = models.JSONField(default=dict)
    variables = models.JSONField(default=list)
    created_by = models.TextField(blank=True, default="", help_text="as in the audit log")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    published_at = models.DateTimeField(null=True, help_text="the last time it was")

    class Meta:
        db_table = "template_versions"
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="version_per_template")]


class TemplateBuild(models.Model):
    """A published template in one language, ready to render: layout and partials with it, CSS inlined, text made. Acceptance
    reads one row of this and nothing else."""

    template = models.ForeignKey(EmailTemplate, on_delete=models.CASCADE, related_name="builds")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=100, db_collation="C")
    locale = models.CharField(max_length=20, db_collation="C", help_text="lower case; '' is the default's row")
    shown_locale = models.CharField(max_length=20, null=True)
    version = models.IntegerField()
    default_sender = models.TextField(blank=True, default="")
    sensitive = ArrayField(models.TextField(), default=list)
    variables = models.JSONField(default=list)
    subject = models.TextField(null=True)
    html = models.TextField(null=True)
    text = models.TextField(null=True)
    layout = models.JSONField(null=True, help_text="{html, text}")
    partials = models.JSONField(default=dict, help_text="{key: {html, text}}")

    class Meta:
        db_table = "template_builds"
        constraints = [models.UniqueConstraint(fields=["account", "key", "locale"], name="build_per_locale")]
