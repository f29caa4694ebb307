"""Tables of analytics: counts by hour and by minute, how far each account's events have been counted, and alerts. Every row of
counts is written by rollup's one statement only."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
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


class AlertRule(models.Model):
    """What is watched, by which line it is judged, and what is done when it crosses it. Read by alerts.rules and evaluated by
    alerts.rounds."""

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False, related_name="+")
    livemode = models.BooleanField()
    name = models.CharField(max_length=100)
    enabled = models.BooleanField(default=True)
    metric = models.CharField(max_length=30, help_text="alerts.metrics.Metric")
    compare = models.CharField(max_length=10, help_text="above, below or baseline")
    threshold = models.FloatField(null=True, help_text="count, share or seconds; none with a baseline")
    factor = models.FloatField(null=True, help_text="of a baseline: so many times the usual")
    minimum = models.IntegerField(help_text="of fewer nothing is concluded")
    window_seconds = models.IntegerField()
    scope = models.CharField(max_length=12, help_text="account, key, template, tag or destination")
    scope_value = models.TextField(null=True, help_text="null: each on its own")
    mail_to = ArrayField(models.TextField(), default=list)
    webhook = models.BooleanField(default=True)
    hold_key = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)
    evaluated_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "alert_rules"
        indexes = [
            models.Index(F("account"), F("livemode"), F("id").desc(), name="alert_rules_listed"),
            models.Index(F("evaluated_at"), name="alert_rules_due", condition=Q(enabled=True)),
        ]


class Alert(models.Model):
    """One time that a rule's line was crossed by one subject (a key, a template; empty: the account). Open until resolved_at.
    What the rule said then is kept, so that an alert stays readable whatever becomes of its rule."""

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False, related_name="+")
    livemode = models.BooleanField()
    rule_id = models.CharField(max_length=30, db_collation="C")
    rule_name = models.CharField(max_length=100)
    metric = models.CharField(max_length=30)
    compare = models.CharField(max_length=10)
    window_seconds = models.IntegerField()
    scope = models.CharField(max_length=12)
    subject = models.TextField()
    threshold = models.FloatField()
    usual = models.FloatField(null=True, help_text="what the baseline expected")
    value = models.FloatField(help_text="as seen last")
    worst = models.FloatField()
    volume = models.IntegerField(help_text="from how many it was concluded")
    recipient = models.TextField(null=True, help_text="to whom so many went")
    fired_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    clear_since = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolution = models.CharField(max_length=20, null=True, help_text="recovered, rule_changed or rule_removed")
    pause_id = models.CharField(max_length=30, null=True, help_text="what holds the key's mail")
    released_at = models.DateTimeField(null=True)
    released_by = models.TextField(null=True)
    trouble = models.TextField(null=True, help_text="what could not be done of what the rule asks for")

    class Meta:
        db_table = "alerts"
        indexes = [models.Index(F("account"), F("livemode"), F("id").desc(), name="alerts_listed")]
        constraints = [
            models.UniqueConstraint(fields=["rule_id", "subject"], condition=Q(resolved_at=None), name="one_open_alert")
        ]
