"""Versions, locale variants, layouts and partials of templates. What was there becomes a version of its own, published."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

MOVE = """
INSERT INTO template_versions
    (template_id, number, default_sender, subject, html, text, variants, variables, created_by, created_at, updated_at, published_at)
SELECT id, version, default_sender, nullif(subject, ''), nullif(html, ''), nullif(text, ''), '{}', '[]', '', updated_at, updated_at,
    updated_at
FROM email_templates;

INSERT INTO template_builds
    (template_id, account_id, key, locale, version, default_sender, sensitive, variables, subject, html, text, partials)
SELECT id, account_id, key, '', version, default_sender, '{}', '[]', nullif(subject, ''), nullif(html, ''), nullif(text, ''), '{}'
FROM email_templates;

UPDATE email_templates SET latest_version = version, published_version = version, created_at = updated_at;
"""


class Migration(migrations.Migration):
    dependencies = [("messaging", "0003_content_and_trust")]

    operations = [
        migrations.AddField(
            "emailtemplate",
            "kind",
            models.CharField(
                choices=[("template", "Template"), ("layout", "Layout"), ("partial", "Partial")],
                default="template",
                max_length=10,
            ),
        ),
        migrations.AddField("emailtemplate", "latest_version", models.IntegerField(default=1)),
        migrations.AddField("emailtemplate", "published_version", models.IntegerField(null=True)),
        migrations.AddField(
            "emailtemplate",
            "uses",
            django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None),
        ),
        migrations.AddField(
            "emailtemplate",
            "created_at",
            models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
        ),
        migrations.AlterField(
            "emailtemplate",
            "updated_at",
            models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
        ),
        migrations.AlterField("emailtemplate", "key", models.CharField(db_collation="C", max_length=100)),
        migrations.CreateModel(
            name="TemplateVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                ("layout", models.CharField(max_length=100, null=True)),
                ("default_sender", models.TextField(blank=True, default="")),
                ("default_locale", models.CharField(max_length=20, null=True)),
                ("subject", models.TextField(null=True)),
                ("html", models.TextField(null=True)),
                ("text", models.TextField(null=True)),
                ("variants", models.JSONField(default=dict)),
                ("variables", models.JSONField(default=list)),
                ("created_by", models.TextField(blank=True, default="", help_text="as in the audit log")),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("published_at", models.DateTimeField(help_text="the last time it was", null=True)),
                (
                    "template",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="versions",
                        to="messaging.emailtemplate",
                    ),
                ),
            ],
            options={"db_table": "template_versions"},
        ),
        migrations.CreateModel(
            name="TemplateBuild",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(db_collation="C", max_length=100)),
                (
                    "locale",
                    models.CharField(db_collation="C", help_text="lower case; '' is the default's row", max_length=20),
                ),
                ("shown_locale", models.CharField(max_length=20, null=True)),
                ("version", models.IntegerField()),
                ("default_sender", models.TextField(blank=True, default="")),
                (
                    "sensitive",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None),
                ),
                ("variables", models.JSONField(default=list)),
                ("subject", models.TextField(null=True)),
                ("html", models.TextField(null=True)),
                ("text", models.TextField(null=True)),
                ("layout", models.JSONField(help_text="{html, text}", null=True)),
                ("partials", models.JSONField(default=dict, help_text="{key: {html, text}}")),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
                (
                    "template",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="builds",
                        to="messaging.emailtemplate",
                    ),
                ),
            ],
            options={"db_table": "template_builds"},
        ),
        migrations.RunSQL(MOVE, migrations.RunSQL.noop),
        migrations.RemoveField("emailtemplate", "subject"),
        migrations.RemoveField("emailtemplate", "html"),
        migrations.RemoveField("emailtemplate", "text"),
        migrations.RemoveField("emailtemplate", "default_sender"),
        migrations.RemoveField("emailtemplate", "version"),
        migrations.AddConstraint(
            "templateversion",
            models.UniqueConstraint(fields=("template", "number"), name="version_per_template"),
        ),
        migrations.AddConstraint(
            "templatebuild",
            models.UniqueConstraint(fields=("account", "key", "locale"), name="build_per_locale"),
        ),
    ]
