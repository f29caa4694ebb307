"""What the search stands on: one GIN index over contents instead of two, and attempts that know their account."""

from django.contrib.postgres.operations import BtreeGinExtension, TrigramExtension
from django.db import migrations, models
from django.db.models import Q

SEARCH = """
CREATE INDEX contents_search ON message_contents USING gin (
    account_id,
    (recipient || ' ' || shown_subject) gin_trgm_ops,
    (tags || ARRAY['template:' || template, 'key:' || key_id, 'request:' || request_id, 'tier:' || tier::text,
        'from:' || lower(substring(sender from '[^<> ]+@[^<> ]+')),
        CASE WHEN attachment_count > 0 THEN 'has:attachment' END]),
    metadata
) WITH (gin_pending_list_limit = 16384)
"""
"""Its pending list is merged by a chore (messaging.chores), so that no acceptance pays for it."""

BACKFILL = """
UPDATE message_contents c SET tier = m.tier FROM messages m WHERE m.id = c.message_id;
UPDATE attempts a SET account_id = m.account_id, livemode = m.livemode FROM messages m WHERE m.id = a.message_id;
"""


class Migration(migrations.Migration):
    dependencies = [("messaging", "0009_pauses_by_key"), ("accounts", "0002_policies_and_audit")]

    operations = [
        BtreeGinExtension(),
        TrigramExtension(),
        migrations.AddField(
            model_name="messagecontent",
            name="tier",
            field=models.SmallIntegerField(null=True, help_text="the message's, which never changes: for the search"),
        ),
        migrations.AddField(
            model_name="attempt",
            name="account",
            field=models.ForeignKey(
                to="accounts.account",
                on_delete=models.DO_NOTHING,
                db_constraint=False,
                db_index=False,
                related_name="+",
                null=True,
            ),
        ),
        migrations.AddField(model_name="attempt", name="livemode", field=models.BooleanField(null=True)),
        migrations.RunSQL(BACKFILL, migrations.RunSQL.noop),
        migrations.RemoveIndex(model_name="messagecontent", name="contents_tags"),
        migrations.RemoveIndex(model_name="messagecontent", name="contents_metadata"),
        migrations.RunSQL(SEARCH, "DROP INDEX contents_search"),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                models.F("account"),
                models.F("livemode"),
                models.F("route"),
                models.F("message").desc(),
                name="attempts_by_route",
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                models.F("account"),
                models.F("livemode"),
                models.F("code"),
                models.F("message").desc(),
                name="attempts_by_code",
                condition=Q(code__gte=400),
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                models.F("account"),
                models.F("livemode"),
                models.F("enhanced"),
                models.F("message").desc(),
                name="attempts_by_enhanced",
                condition=Q(code__gte=400),
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                models.F("account"),
                models.F("livemode"),
                models.F("cause"),
                models.F("message").desc(),
                name="attempts_by_cause",
                condition=Q(cause__isnull=False),
            ),
        ),
    ]
