"""Tables of messages: what was asked (contents, never changed), where it stands (messages, also the queue), and what happened
(events, attempts). Rows of the hot path carry no foreign-key constraints: each would lock its parent once per insert, and
acceptance writes parent and child in one transaction."""

from enum import IntEnum, StrEnum

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import KT
from django.db.models.functions import Upper

from sendarix.accounts.models import Account


class Tier(IntEnum):
    """Priorities; the queue never lets a lower one go before a higher one."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3

    @property
    def label(self) -> str:
        return self.name.lower()


class Status(StrEnum):
    """Where a message stands. lifecycle.MOVES says which may follow which."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    SUPPRESSED = "suppressed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"


def unconstrained(to, **options) -> models.ForeignKey:
    """A reference of a hot row: joinable, not checked by the database, indexed only where a query needs it."""
    return models.ForeignKey(to, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, **options)


class Message(models.Model):
    """Where one message stands. Waiting: due_at set. Claimed: worker set. Ended: neither. Written by lifecycle and queue only."""

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = unconstrained(Account, related_name="+")
    livemode = models.BooleanField()
    status = models.CharField(max_length=12, choices=[(status.value, status.value) for status in Status])
    reason = models.CharField(max_length=40, null=True, help_text="cause of the last outcome")
    sequence = models.IntegerField(default=1, help_text="number of its newest event")
    tier = models.SmallIntegerField(choices=[(tier.value, tier.label) for tier in Tier])
    due_at = models.DateTimeField(null=True)
    waits_for = models.CharField(max_length=20, null=True, help_text="why it waits until due_at")
    waits_note = models.TextField(null=True, help_text="the same in words, where there is more to say")
    worker = models.CharField(max_length=60, null=True)
    fence = models.IntegerField(default=0, help_text="claims so far; a worker writes only under the fence it claimed")
    marked = models.BooleanField(default=False, help_text="committed just before the final dot of the running attempt")
    attempt = models.IntegerField(default=0, help_text="attempts that count against the ladder")
    created_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    scheduled_time = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "messages"
        indexes = [
            models.Index(F("tier"), F("due_at"), F("id"), name="messages_queue", condition=Q(due_at__isnull=False)),
            models.Index(
                F("tier"),
                F("account"),
                F("due_at"),
                F("id"),
                name="messages_turns",
                condition=Q(due_at__isnull=False),
            ),
            models.Index(F("worker"), name="messages_claimed", condition=Q(worker__isnull=False)),
            models.Index(F("account"), F("livemode"), F("id").desc(), name="messages_listed"),
            models.Index(F("account"), F("livemode"), F("status"), F("id").desc(), name="messages_by_status"),
        ]


class MessageContent(models.Model):
    """What the caller asked for, written once at acceptance, and once more when sensitive values are redacted. `sender` and
    `recipient` are as given, `*_key` as matched. Its index contents_search is one of expressions: see searching.conditions."""

    message = models.OneToOneField(
        Message, on_delete=models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="content"
    )
    account = unconstrained(Account, related_name="+")
    livemode = models.BooleanField()
    recipient = models.TextField()
    recipient_key = models.TextField()
    sender = models.TextField()
    subject = models.TextField()
    shown_subject = models.TextField(help_text="the subject with sensitive values masked: for lists, search and logs")
    html = models.TextField(null=True)
    text = models.TextField(null=True)
    reply_to = models.TextField(null=True)
    headers = models.JSONField(default=dict)
    template = models.CharField(max_length=100, null=True)
    tags = ArrayField(models.TextField(), default=list)
    metadata = models.JSONField(default=dict)
    template_version = models.IntegerField(null=True)
    locale = models.CharField(max_length=20, null=True, help_text="of the template's variant that was rendered")
    sensitive = ArrayField(models.TextField(), default=list, help_text="names of variables")
    secrets = models.JSONField(
        null=True, help_text="values of the sensitive variables, to mask by; gone with the redaction"
    )
    redacted_at = models.DateTimeField(null=True, help_text="since then html and text are masked for good")
    unsubscribe = models.BooleanField(default=False, help_text="carries List-Unsubscribe")
    override = models.BooleanField(default=False, help_text="goes out although its recipient has unsubscribed")
    size = models.IntegerField(help_text="octets of the mail as sent")
    attachment_count = models.SmallIntegerField(default=0)
    key_id = models.CharField(max_length=30)
    request_id = models.CharField(max_length=30)
    tier = models.SmallIntegerField(null=True, help_text="the message's, which never changes: for the search")

    class Meta:
        db_table = "message_contents"
        indexes = [
            models.Index(
                F("account"),
                F("livemode"),
                F("recipient_key"),
                F("message").desc(),
                name="contents_recipient",
            ),
            models.Index(
                F("account"),
                F("message"),
                name="contents_to_redact",
                condition=Q(secrets__isnull=False),
            ),
            models.Index(
                F("account"),
                F("message"),
                name="contents_with_body",
                condition=Q(html__isnull=False) | Q(text__isnull=False),
            ),
        ]


class Attachment(models.Model):
    """One attached file; its bytes lie in the attachments storage under `path`."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, db_constraint=False, related_name="attachments")
    position = models.SmallIntegerField()
    filename = models.TextField()
    content_type = models.TextField()
    content_id = models.TextField(null=True)
    size = models.IntegerField()
    path = models.TextField()

    class Meta:
        db_table = "attachments"


class Event(models.Model):
    """One change of a message as customers see it, or (without a message) something else that happened to the account.
    (transaction, id) is the order of the feed: see queries.feed."""

    id = models.BigAutoField(primary_key=True)
    message = unconstrained(Message, related_name="events", null=True)
    account = unconstrained(Account, related_name="+")
    livemode = models.BooleanField()
    type = models.CharField(max_length=40, help_text="the status, or the whole type of an event without a message")
    previous = models.CharField(max_length=12, null=True)
    sequence = models.IntegerField()
    at = models.DateTimeField()
    data = models.JSONField(default=dict)
    transaction = models.BigIntegerField(help_text="pg_current_xact_id() of the transaction that wrote it")

    class Meta:
        db_table = "events"
        indexes = [
            models.Index(F("message"), F("sequence"), name="events_timeline"),
            models.Index(F("account"), F("livemode"), F("transaction"), F("id"), name="events_feed"),
            models.Index(F("account"), F("livemode"), F("at"), F("id"), name="events_by_time"),
        ]


class Attempt(models.Model):
    """One try to hand a message over, whatever came of it. `number` counts against the ladder; a lost try shares its number."""

    id = models.BigAutoField(primary_key=True)
    message = unconstrained(Message, related_name="attempts")
    account = unconstrained(Account, related_name="+", null=True)
    livemode = models.BooleanField(null=True)
    number = models.IntegerField()
    route = models.CharField(max_length=100)
    explanation = models.JSONField(default=dict, help_text="why this route")
    verdict = models.CharField(max_length=12)
    cause = models.CharField(max_length=40, null=True)
    phase = models.CharField(max_length=12)
    detail = models.TextField(default="")
    mx = models.TextField(null=True)
    address = models.TextField(null=True)
    tls = models.TextField(null=True)
    code = models.SmallIntegerField(null=True)
    enhanced = models.CharField(max_length=12, null=True)
    reply = models.TextField(null=True)
    started_at = models.DateTimeField()
    duration_ms = models.IntegerField()

    class Meta:
        db_table = "attempts"
        indexes = [
            models.Index(F("message"), F("id"), name="attempts_of_message"),
            models.Index(F("account"), F("livemode"), F("route"), F("message").desc(), name="attempts_by_route"),
            models.Index(
                F("account"),
                F("livemode"),
                F("code"),
                F("message").desc(),
                name="attempts_by_code",
                condition=Q(code__gte=400),
            ),
            models.Index(
                F("account"),
                F("livemode"),
                F("enhanced"),
                F("message").desc(),
                name="attempts_by_enhanced",
                condition=Q(code__gte=400),
            ),
            models.Index(
                F("account"),
                F("livemode"),
                F("cause"),
                F("message").desc(),
                name="attempts_by_cause",
                condition=Q(cause__isnull=False),
            ),
            models.Index(
                KT("explanation__reference"),
                name="attempts_by_reference",
                condition=Q(explanation__has_key="reference"),
            ),
        ]


class IdempotencyKey(models.Model):
    """An accepted request's answer, kept so that its repetition is answered alike. Refused requests are not stored."""

    pk = models.CompositePrimaryKey("account_id", "livemode", "key")
    account = unconstrained(Account, related_name="+")
    livemode = models.BooleanField()
    key = models.CharField(max_length=255, db_collation="C")
    fingerprint = models.BinaryField(help_text="SHA-256 of the canonical request")
    message_id = models.CharField(max_length=30, help_text="the first message of the request")
    body = models.TextField(help_text="the answer's JSON, to the letter")
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "idempotency_keys"
        indexes = [models.Index(F("expires_at"), name="idempotency_expiry")]


class DeadLetter(models.Model):
    """A message that delivery gave up on, until it is driven again."""

    message = models.OneToOneField(
        Message,
        on_delete=models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="dead_letter",
    )
    account = unconstrained(Account, related_name="+")
    livemode = models.BooleanField()
    cause = models.CharField(max_length=40)
    at = models.DateTimeField()

    class Meta:
        db_table = "dead_letters"
        indexes = [models.Index(F("account"), F("livemode"), F("cause"), F("message").desc(), name="dead_by_cause")]


class DeliveryWorker(models.Model):
    """Who beats: a drain, whose claims are good as long (delivery.beats.LEASE), or a cluster's watchdog or a dispatcher, which
    claim nothing."""

    id = models.CharField(max_length=60, primary_key=True, db_collation="C")
    cluster = models.CharField(max_length=60)
    beat_at = models.DateTimeField()
    looks_until = models.DateTimeField(help_text="it has promised to look at the queue again before this")

    class Meta:
        db_table = "delivery_workers"


class CapturedMail(models.Model):
    """A mail kept by the inbox route or the sandbox; its source lies in the attachments storage."""

    id = models.BigAutoField(primary_key=True)
    message = unconstrained(Message, related_name="captures")
    account = unconstrained(Account, related_name="+")
    livemode = models.BooleanField()
    sender = models.TextField()
    recipient = models.TextField()
    subject = models.TextField()
    size = models.IntegerField()
    path = models.TextField()
    at = models.DateTimeField()

    class Meta:
        db_table = "captured_mail"
        indexes = [
            models.Index(F("message"), name="captures_of_message"),
            models.Index(F("account"), F("livemode"), F("id").desc(), name="captures_listed"),
            GinIndex(
                OpClass(Upper("recipient"), "gin_trgm_ops"),
                OpClass(Upper("subject"), "gin_trgm_ops"),
                name="captures_search",
            ),
        ]
