"""Who must not be mailed, since when and until when. The causing message is kept as its public id: this app knows no messages."""

from enum import StrEnum

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q

from sendarix.accounts.models import Account


class Reason(StrEnum):
    USER_UNSUBSCRIBED = "user_unsubscribed"
    HARD_BOUNCE = "hard_bounce"
    SPAM_COMPLAINT = "spam_complaint"
    MANUAL = "manual"


class Suppression(models.Model):
    """One address of one account and environment. After `expires_at` it counts for nothing and is thrown away some time."""

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    livemode = models.BooleanField()
    recipient = models.TextField(help_text="as it was given, without a display name")
    recipient_key = models.TextField(help_text="as it is matched: addresses.Address.key")
    reason = models.CharField(max_length=20, choices=[(reason.value, reason.value) for reason in Reason])
    message_id = models.CharField(max_length=30, null=True, help_text="the message that caused it")
    actor = models.TextField(
        db_default="", help_text="key_…, recipient, or the part of the system that acted by itself"
    )
    note = models.TextField(db_default="")
    expires_at = models.DateTimeField(null=True, help_text="null: never")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "suppressions"
        constraints = [
            models.UniqueConstraint(fields=["account", "livemode", "recipient_key"], name="suppression_per_recipient")
        ]
        indexes = [
            models.Index(F("account"), F("livemode"), F("id").desc(), name="suppressions_listed"),
            models.Index(F("account"), F("livemode"), F("reason"), F("id").desc(), name="suppressions_by_reason"),
            models.Index(F("expires_at"), name="suppressions_expiry", condition=Q(expires_at__isnull=False)),
            GinIndex(fields=["recipient_key"], opclasses=["gin_trgm_ops"], name="suppressions_search"),
        ]


class SuppressionImport(models.Model):
    """A table taken in beside everything else, and what became of it. `actor` to `request_id` are for the audit log."""

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    livemode = models.BooleanField()
    actor = models.TextField()
    source = models.TextField(db_default="")
    request_id = models.CharField(max_length=30, db_default="")
    reason = models.CharField(max_length=20, help_text="of rows that name none")
    name = models.CharField(max_length=200, help_text="of the file")
    ignored_columns = models.JSONField(default=list)
    rows = models.IntegerField()
    done = models.IntegerField(default=0)
    created = models.IntegerField(default=0)
    existing = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "suppression_imports"
        indexes = [models.Index(F("account"), F("livemode"), F("id").desc(), name="imports_listed")]


class SuppressionImportPart(models.Model):
    """Some of its rows: as they came until they are taken in, then what became of them."""

    of = models.ForeignKey(SuppressionImport, on_delete=models.CASCADE, related_name="parts", db_index=False)
    number = models.IntegerField()
    given = models.JSONField(null=True, help_text="[line, cells, fault]; gone once taken in")
    results = models.JSONField(null=True)
    failures = models.SmallIntegerField(db_default=0)
    due_at = models.DateTimeField(null=True, help_text="when one that failed is tried again")

    class Meta:
        db_table = "suppression_import_parts"
        constraints = [models.UniqueConstraint(fields=["of", "number"], name="part_of_import")]
        indexes = [models.Index(F("of"), F("number"), name="parts_waiting", condition=Q(results__isnull=True))]
