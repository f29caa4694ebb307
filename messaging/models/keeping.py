"""What retention has deleted, as it found it afterwards."""

from django.db import models
from django.db.models import F

from sendarix.accounts.models import Account


class RetentionRun(models.Model):
    """One round over one kind of an account's data. `oldest_left` is the oldest that was found after it of what may go; complete
    means that it is not older than the cut-off."""

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False, related_name="+")
    at = models.DateTimeField()
    kind = models.CharField(max_length=10, help_text="bodies, messages or requests")
    cutoff = models.DateTimeField()
    deleted = models.JSONField(help_text="rows and files by what they were")
    oldest_left = models.DateTimeField(null=True)
    complete = models.BooleanField()

    class Meta:
        db_table = "retention_runs"
        indexes = [models.Index(F("account"), F("id").desc(), name="retention_of_account")]
