"""The domains an account sends from, and the keys their mail is signed with."""

from django.db import connection, models
from django.db.models import Q
from django.db.models.functions import Now

from sendarix.accounts.models import Account


class SenderDomain(models.Model):
    """One domain of one account. Of several accounts that added it, one owns it and may send: the first, until another one's
    ownership record is found in the DNS and the owner's is not."""

    class Status(models.TextChoices):
        """Whether its DKIM record was found right: never yet, at the last look, or once but not at the last look."""

        PENDING = "pending"
        VERIFIED = "verified"
        BROKEN = "broken"

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="sender_domains")
    domain = models.CharField(max_length=253, db_collation="C", help_text="lower case, A-labels")
    owned = models.BooleanField(help_text="this account's: at most one row of a domain")
    trusted = models.BooleanField(default=False, help_text="verified by an operator's word; the DNS is not asked")
    ownership_token = models.CharField(max_length=40)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    return_path = models.CharField(max_length=253, help_text="host of our bounce addresses for this domain")
    return_path_ready = models.BooleanField(default=False, help_text="its record was right at the last look")
    findings = models.JSONField(default=dict, help_text="what the last look found, by record")
    unanswered = models.PositiveSmallIntegerField(
        default=0, help_text="looks in a row that got no answer on its DKIM record"
    )
    created_at = models.DateTimeField(db_default=Now())
    status_since = models.DateTimeField(db_default=Now())
    verified_at = models.DateTimeField(null=True, help_text="last time its status became verified")
    checked_at = models.DateTimeField(null=True, help_text="begin of the last look")
    next_check_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "sender_domains"
        constraints = [
            models.UniqueConstraint(fields=["account", "domain"], name="domain_per_account"),
            models.UniqueConstraint(fields=["domain"], condition=Q(owned=True), name="one_owner_per_domain"),
        ]
        indexes = [models.Index(fields=["next_check_at"], name="domains_to_check")]

    @staticmethod
    def hold(name: str) -> None:
        """Be alone with a domain name, across accounts and processes, until the caller's transaction ends. Taken before any row
        of the name is written."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('sender domain ' || %s, 0))", [name])


class DkimKey(models.Model):
    """One key pair of a domain. Pending: published soon, not signed with yet. Retired: no longer signed with, its record stays
    until the mail that carries its signatures has been read."""

    class Status(models.TextChoices):
        PENDING = "pending"
        ACTIVE = "active"
        RETIRED = "retired"

    domain = models.ForeignKey(SenderDomain, on_delete=models.CASCADE, related_name="dkim_keys")
    selector = models.CharField(max_length=63, db_collation="C")
    algorithm = models.CharField(max_length=10, choices=[("rsa", "rsa"), ("ed25519", "ed25519")])
    private_key = models.TextField(help_text="sealed (core.vault), PKCS #8 DER")
    public_key = models.TextField(help_text="p= of its record")
    status = models.CharField(max_length=10, choices=Status.choices)
    created_at = models.DateTimeField(db_default=Now())
    activated_at = models.DateTimeField(null=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "dkim_keys"
        constraints = [models.UniqueConstraint(fields=["domain", "selector"], name="selector_per_domain")]
