"""Who may call and who may look: accounts, their members and API keys (as digests only), the counters of the rate limit, and
the audit log."""

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Plan(models.TextChoices):
    STANDARD = "standard"
    ENTERPRISE = "enterprise"


class SenderPolicy(models.TextChoices):
    """Which of its domains an account may send from: those verified in the DNS, or all it has registered (with a warning)."""

    VERIFIED = "verified"
    REGISTERED = "registered"


class Account(models.Model):
    """One customer. `rate_limit` (requests a minute) replaces the plan's; sensitive bodies are kept `redact_after` once sent. The
    rest is kept so many days after acceptance: bodies with their files, messages with their events, and the request log.
    `listened`: it has had a webhook endpoint."""

    slug = models.SlugField(max_length=60, unique=True, allow_unicode=True)
    name = models.CharField(max_length=200)
    plan = models.CharField(max_length=12, choices=Plan.choices, default=Plan.STANDARD)
    rate_limit = models.PositiveIntegerField(null=True, blank=True)
    default_sender = models.TextField(blank=True, default="")
    sender_policy = models.CharField(max_length=12, choices=SenderPolicy.choices, default=SenderPolicy.VERIFIED)
    redact_after = models.DurationField(default=timedelta(hours=24))
    keep_bodies = models.PositiveSmallIntegerField(default=30, db_default=30)
    keep_messages = models.PositiveSmallIntegerField(default=90, db_default=90)
    keep_requests = models.PositiveSmallIntegerField(default=7, db_default=7)
    timezone = models.CharField(max_length=64, default="UTC")
    listened = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "accounts"
        verbose_name, verbose_name_plural = _("account"), _("accounts")

    def __str__(self) -> str:
        return self.slug


class Users(BaseUserManager["User"]):
    """Makes users by address; `create_superuser` is what manage.py calls."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=self.normalize(username or ""))

    @staticmethod
    def normalize(email: str) -> str:
        """One person, one spelling: addresses of logins ignore case."""
        return email.strip().lower()


class User(AbstractUser):
    """A person who logs in, by address. `is_staff`: an operator, who sees all accounts."""

    username = None
    first_name = None
    last_name = None
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True, default="")
    language = models.CharField(max_length=8, blank=True, default="", help_text="empty: as the browser asks")

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects: ClassVar[Users] = Users()

    class Meta:
        db_table = "users"
        verbose_name, verbose_name_plural = _("person"), _("people")

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name or self.email.partition("@")[0]


class Role(models.TextChoices):
    """What a member may do: sendarix.dashboard.permissions has the table."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    SUPPORT = "support"
    READ_ONLY = "read_only"


class Membership(models.Model):
    """One person in one account."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role.choices)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "memberships"
        verbose_name, verbose_name_plural = _("membership"), _("memberships")
        constraints = [models.UniqueConstraint(fields=["account", "user"], name="one_membership")]

    def __str__(self) -> str:
        return f"{self.user} in {self.account}: {self.role}"


class Invitation(models.Model):
    """An address asked to join. The token is only in the mail: `digest` is its SHA-256 in hex."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=12, choices=Role.choices)
    digest = models.CharField(max_length=64, unique=True, db_collation="C")
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "invitations"
        constraints = [models.UniqueConstraint(fields=["account", "email"], name="one_invitation")]

    def __str__(self) -> str:
        return f"{self.email} to {self.account}"


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
        verbose_name, verbose_name_plural = _("API key"), _("API keys")

    def __str__(self) -> str:
        return f"{self.id} (…{self.last4})"


class RateWindow(models.Model):
    """Requests of one bucket in its newest minute. An UNLOGGED table: a crash of the server only forgets counts."""

    bucket = models.CharField(max_length=60, primary_key=True, db_collation="C")
    starts_at = models.DateTimeField()
    count = models.IntegerField()

    class Meta:
        db_table = "rate_windows"


class AuditEntry(models.Model):
    """Who changed what, when and from where. Entries are only ever added: see audit.record."""

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="audit_entries")
    at = models.DateTimeField(db_default=Now())
    actor = models.TextField(help_text="key_…, user:…, or the part of the system that acted by itself")
    action = models.CharField(max_length=60, help_text="noun.verb: domain.added, api_key.revoked")
    subject = models.TextField(help_text="what was changed: an id, key or address")
    source = models.TextField(blank=True, default="", help_text="network address of the request")
    request_id = models.CharField(max_length=30, blank=True, default="")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        db_table = "audit_log"
        verbose_name, verbose_name_plural = _("audit entry"), _("audit entries")
        indexes = [models.Index(F("account"), F("id").desc(), name="audit_of_account")]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"


class LoggedRequest(models.Model):
    """One request of the last days: see request_log. Rows carry no foreign keys, which would be checked one by one."""

    id = models.CharField(max_length=30, primary_key=True, db_collation="C", help_text="the request's id")
    at = models.DateTimeField()
    account = models.ForeignKey(
        Account, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    livemode = models.BooleanField()
    key_id = models.CharField(max_length=30, db_collation="C")
    method = models.CharField(max_length=10, help_text="SMTP: a mail handed to the relay")
    route = models.TextField(help_text="the path's pattern")
    path = models.TextField(help_text="the path, without addresses and without its query")
    status = models.SmallIntegerField(help_text="of HTTP, or the reply code of SMTP")
    code = models.CharField(max_length=60, null=True, help_text="of the error")
    faults = models.JSONField(null=True, help_text="fields and codes, never values")
    duration_ms = models.FloatField()
    source = models.TextField(null=True, help_text="network address of the caller")
    message_id = models.CharField(max_length=30, null=True, db_collation="C", help_text="the first message made")
    messages = models.IntegerField(default=0)
    replayed = models.BooleanField(
        default=False, help_text="answered as an earlier request with the same idempotency key"
    )

    class Meta:
        db_table = "api_requests"
        indexes = [
            models.Index(F("account"), F("livemode"), F("id").desc(), name="requests_listed"),
            models.Index(
                F("account"),
                F("livemode"),
                F("id").desc(),
                name="requests_refused",
                condition=models.Q(status__gte=400),
            ),
            models.Index(F("key_id"), F("id").desc(), name="requests_of_key"),
            models.Index(
                F("account"),
                F("message_id"),
                name="requests_of_message",
                condition=models.Q(message_id__isnull=False),
            ),
        ]


class RequestCount(models.Model):
    """Requests of one key in one hour, counted as they are logged."""

    pk = models.CompositePrimaryKey("account_id", "key_id", "hour")
    account = models.ForeignKey(
        Account, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    key_id = models.CharField(max_length=30, db_collation="C")
    hour = models.DateTimeField()
    requests = models.IntegerField()
    errors = models.IntegerField()

    class Meta:
        db_table = "request_counts"


class SavedSearch(models.Model):
    """A search over messages that a person has given a name, for one account. `query` is the text of the search box."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_searches")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "saved_searches"
        constraints = [models.UniqueConstraint(fields=["user", "account", "name"], name="saved_search_name")]
