"""Who must not be mailed, and since when. The causing message is kept as its public id: this app knows no messages."""

from enum import StrEnum

from django.db import models

from sendarix.accounts.models import Account


class Reason(StrEnum):
    USER_UNSUBSCRIBED = "user_unsubscribed"
    HARD_BOUNCE = "hard_bounce"
    SPAM_COMPLAINT = "spam_complaint"
    MANUAL = "manual"


class Suppression(models.Model):
    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    livemode = models.BooleanField()
    recipient = models.TextField(help_text="as it was given")
    recipient_key = models.TextField(help_text="as it is matched: addresses.Address.key")
    reason = models.CharField(max_length=20, choices=[(reason.value, reason.value) for reason in Reason])
    message_id = models.CharField(max_length=30, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "suppressions"
        constraints = [
            models.UniqueConstraint(fields=["account", "livemode", "recipient_key"], name="suppression_per_recipient")
        ]
