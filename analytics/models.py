"""Tables of analytics: counts by hour and by minute, and how far each account's events have been counted. Every row of counts is
written by rollup's one statement only."""

from django.db import models
from django.db.models.functions import Now

from analytics.figures import COLUMNS
from sendarix.accounts.models import Account


class _Sorted(models.Model):
    """What every row of counts is sorted by: whose, under which value of which dimension, and which hour or minute (its
    beginning)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False, related_name="+")
    livemode = models.BooleanField()
    dimension = models.SmallIntegerField(help_text="dimensions.Dimension")
    at = models.DateTimeField()
    value = models.TextField(db_collation="C")

    class Meta:
        abstract = True


class _Counts(_Sorted):
    """Columns as figures.Counts has them."""

    pk = models.CompositePrimaryKey("account_id", "livemode", "dimension", "at", "value")

    class Meta:
        abstract = True


class _Latencies(_Sorted):
    pk = models.CompositePrimaryKey("account_id", "livemode", "dimension", "at", "value", "slot")
    slot = models.SmallIntegerField(help_text="latency.bucket")
    messages = models.IntegerField()

    class Meta:
        abstract = True


for _name in COLUMNS:
    _Counts.add_to_class(_name, models.IntegerField(default=0))


class HourCount(_Counts):
    class Meta:
        db_table = "hour_counts"


class HourLatency(_Latencies):
    class Meta:
        db_table = "hour_latencies"


class MinuteCount(_Counts):
    """The last day by minutes, for alerts."""

    class Meta:
        db_table = "minute_counts"


class MinuteLatency(_Latencies):
    class Meta:
        db_table = "minute_latencies"


class RollupPosition(models.Model):
    """How far the events of an account and environment have been counted: up to and with (transaction, number) of the feed.

    While counts are built anew, events that happened before `skips_before` and stand up to (skips_transaction, skips_number) are
    passed over, because they are counted already."""

    pk = models.CompositePrimaryKey("account_id", "livemode")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False, related_name="+")
    livemode = models.BooleanField()
    transaction = models.BigIntegerField(default=0)
    number = models.BigIntegerField(default=0)
    as_of = models.DateTimeField(null=True, help_text="everything committed before is counted")
    behind = models.BooleanField(default=False, help_text="the last look left some for the next one")
    skips_before = models.DateTimeField(null=True)
    skips_transaction = models.BigIntegerField(default=0)
    skips_number = models.BigIntegerField(default=0)

    class Meta:
        db_table = "rollup_positions"


class RollupRound(models.Model):
    """The last round that came by every account that had anything to count. One row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    as_of = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "rollup_rounds"
