"""Who may call: accounts, their API keys (as digests only), and the counters of the rate limit."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class Plan(models.TextChoices):
    STANDARD = "standard"
    ENTERPRISE = "enterprise"


class Account(models.Model):
    """One customer. `rate_limit` (requests a minute) replaces the plan's."""

    slug = models.SlugField(max_length=60, unique=True, allow_unicode=True)
    name = models.CharField(max_length=200)
    plan = models.CharField(max_length=12, choices=Plan.choices, default=Plan.STANDARD)
    rate_limit = models.PositiveIntegerField(null=True, blank=True)
    default_sender = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "accounts"

    def __str__(self) -> str:
        return self.slug


class ApiKey(models.Model):
    """One token of one account and environment. The token itself is nowhere: `digest` is its SHA-256 in hex."""

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="api_keys")
    livemode = models.BooleanField()
    name = models.CharField(max_length=200, blank=True, default="")
    digest = models.CharField(max_length=64, unique=True, db_collation="C")
    last4 = models.CharField(max_length=4)
    scopes = ArrayField(models.TextField())
    expires_at = models.DateTimeField(null=True, blank=True)
    source_ips = ArrayField(models.TextField(), default=list, blank=True)
    sender_domains = ArrayField(models.TextField(), default=list, blank=True)
    default_sender = models.TextField(blank=True, default="")
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "api_keys"

    def __str__(self) -> str:
        return f"{self.id} (…{self.last4})"


class RateWindow(models.Model):
    """Requests of one bucket in its newest minute. An UNLOGGED table: a crash of the server only forgets counts."""

    bucket = models.CharField(max_length=60, primary_key=True, db_collation="C")
    starts_at = models.DateTimeField()
    count = models.IntegerField()

    class Meta:
        db_table = "rate_windows"
