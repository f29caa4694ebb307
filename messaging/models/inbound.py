"""Mail that came back to a bounce address, kept before its 250 and until it is understood."""

from django.db import models
from django.db.models import F, Q


class InboundMail(models.Model):
    """One report on one message. It waits while `due_at` is set. `message_id` is as signed in its address; the message may be
    gone."""

    id = models.BigAutoField(primary_key=True)
    message_id = models.CharField(max_length=30, db_collation="C")
    sender = models.TextField(help_text="the envelope's; empty in a delivery report")
    raw = models.BinaryField(help_text="its first octets, as many as are ever read")
    received_at = models.DateTimeField()
    kind = models.CharField(max_length=12, null=True, help_text="bounce, complaint, auto_reply, other")
    looks = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True, help_text="when it is looked at again")
    handled_at = models.DateTimeField(null=True)
    result = models.JSONField(null=True, help_text="what it said and what was done")

    class Meta:
        db_table = "inbound_mail"
        indexes = [
            models.Index(F("message_id"), F("id"), name="inbound_of_message"),
            models.Index(F("due_at"), name="inbound_waiting", condition=Q(due_at__isnull=False)),
            models.Index(F("received_at"), name="inbound_received"),
        ]
