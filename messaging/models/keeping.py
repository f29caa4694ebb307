"""What retention has deleted, as it found it afterwards, and files that are to be deleted."""

from django.db import models
from django.db.models import F

from sendarix.accounts.models import Account


class RetentionRun(models.Model):
    """One round over one kind of an account's data. `oldest_left` is the oldest that was found after it of what may go; complete
    means that it is not older than the cut-off, and that no file was left."""

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


class DiscardedFile(models.Model):
    """A file of the attachments storage that no row names any more, or none yet: it is deleted from `due_at` on."""

    path = models.TextField(primary_key=True, db_collation="C")
    account = models.ForeignKey(
        Account, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    due_at = models.DateTimeField()
    failures = models.SmallIntegerField(default=0)

    class Meta:
        db_table = "discarded_files"
        indexes = [models.Index(F("due_at"), name="discarded_due")]
