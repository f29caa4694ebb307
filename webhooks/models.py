"""Endpoints of customers, what is to be delivered to them, and what came of each try. This app knows no e-mail: an event is a
number, and core.events says what it looks like."""

from enum import StrEnum
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from sendarix.accounts.models import Account


class WebhookEndpoint(models.Model):
    """A URL that takes events of one account and environment. One worker at a time holds it (`worker`), so that its deliveries
    keep their order; the hold is good while that worker beats."""

    class Disabled(models.TextChoices):
        """Why it takes nothing."""

        CUSTOMER = "customer"
        GONE = "gone"
        FAILING = "failing"

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="webhook_endpoints")
    livemode = models.BooleanField()
    url = models.TextField()
    description = models.CharField(max_length=200, blank=True, default="")
    event_types = ArrayField(models.TextField(), default=list, help_text="empty: all")
    disabled = models.CharField(max_length=10, null=True, choices=Disabled.choices)
    disabled_at = models.DateTimeField(null=True)
    secret = models.TextField(help_text="sealed (core.vault)")
    previous_secret = models.TextField(null=True, help_text="sealed; signs too until previous_secret_until")
    previous_secret_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    failing_since = models.DateTimeField(null=True, help_text="first failure after the last success")
    last_success_at = models.DateTimeField(null=True)
    failures = models.IntegerField(default=0, help_text="tries in a row that found nobody there")
    paused_until = models.DateTimeField(null=True, help_text="nothing is tried before; set while nobody is there")
    worker = models.CharField(max_length=60, null=True, help_text="the drain that holds it")

    class Meta:
        db_table = "webhook_endpoints"
        indexes = [
            models.Index(F("account"), F("livemode"), F("id").desc(), name="endpoints_listed"),
            models.Index(F("worker"), name="endpoints_held", condition=Q(worker__isnull=False)),
        ]

    def save(self, *args: Any, **fields: Any) -> None:
        """Whoever has an endpoint is listened to from then on (accounts.listened), which acceptance goes by."""
        Account.objects.filter(pk=self.account_id, listened=False).update(listened=True)
        super().save(*args, **fields)


def without_query(url: str) -> str:
    """An endpoint's URL for logs and events: a query may hold a token."""
    return url.partition("?")[0]


class DeliveryStatus(StrEnum):
    """Where one delivery stands. Failed: given up after the last try of the ladder, or refused for good."""

    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class WebhookDelivery(models.Model):
    """One event for one endpoint. Waiting: due_at set. Written in the transaction of the event."""

    id = models.BigAutoField(primary_key=True)
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="deliveries"
    )
    event_number = models.BigIntegerField()
    type = models.CharField(max_length=40)
    message_id = models.CharField(max_length=30, null=True)
    status = models.CharField(max_length=10, choices=[(status.value, status.value) for status in DeliveryStatus])
    attempt = models.IntegerField(default=0, help_text="tries made; a replay begins anew")
    due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "webhook_deliveries"
        indexes = [
            models.Index(F("endpoint"), F("due_at"), F("id"), name="deliveries_due", condition=Q(due_at__isnull=False)),
            models.Index(F("endpoint"), F("id").desc(), name="deliveries_listed"),
            models.Index(F("message_id"), name="deliveries_of_message"),
        ]
        constraints = [models.UniqueConstraint(F("endpoint"), F("event_number"), name="deliveries_of_event")]


class WebhookAttempt(models.Model):
    """One POST and its reply; of each body 20 KB are kept. The request's body is the event's."""

    id = models.BigAutoField(primary_key=True)
    delivery = models.ForeignKey(
        WebhookDelivery, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="attempts"
    )
    number = models.IntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.IntegerField()
    succeeded = models.BooleanField()
    cause = models.CharField(
        max_length=40, null=True, help_text="why it failed: status, timeout, connection, tls, refused, …"
    )
    detail = models.TextField(default="")
    address = models.TextField(null=True)
    request_headers = models.JSONField(default=dict)
    code = models.SmallIntegerField(null=True)
    reply_headers = models.JSONField(default=dict)
    reply = models.TextField(default="")

    class Meta:
        db_table = "webhook_attempts"
        indexes = [models.Index(F("delivery"), F("id"), name="attempts_of_delivery")]


class WebhookWorker(models.Model):
    """Who beats: a drain of deliveries, whose holds on endpoints are good as long. Unlogged."""

    id = models.CharField(max_length=60, primary_key=True, db_collation="C")
    beat_at = models.DateTimeField()
    looks_until = models.DateTimeField(help_text="it has promised to look for work again before this")

    class Meta:
        db_table = "webhook_workers"
