"""Tables of searches written to a file in the background."""

from enum import StrEnum

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from sendarix.accounts.models import Account


class ExportStatus(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


class Export(models.Model):
    """One search as CSV, written in slices that are part files of their own; `position` is the id of the last message looked
    at, `leased_until` the time until which somebody writes a slice."""

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False, related_name="+")
    livemode = models.BooleanField()
    actor = models.TextField()
    query = models.TextField()
    asked_at = models.DateTimeField(help_text="what ages in the query, like 7d, count from")
    status = models.CharField(max_length=8, choices=[(status.value, status.value) for status in ExportStatus])
    total = models.IntegerField(null=True, help_text="matches when it began; null: more than are counted")
    written = models.IntegerField(default=0, help_text="rows")
    size = models.BigIntegerField(default=0, help_text="octets")
    parts = ArrayField(models.TextField(), default=list)
    position = models.CharField(max_length=30, null=True, db_collation="C")
    failures = models.SmallIntegerField(default=0)
    lease = models.CharField(max_length=32, null=True)
    leased_until = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "exports"
        indexes = [
            models.Index(F("account"), F("livemode"), F("id").desc(), name="exports_listed"),
            models.Index(F("id"), name="exports_open", condition=Q(status__in=["waiting", "running"])),
            models.Index(F("expires_at"), name="exports_expiry", condition=~Q(status="expired")),
        ]
