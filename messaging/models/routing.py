"""How mail leaves: routes, the rules that choose among them, delivery policies, pauses, and what is known of each path's health.

A row without an account is the platform's: it holds for everybody, after what the account says itself."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.db.models.lookups import LessThanOrEqual

from sendarix.accounts.models import Account


class Route(models.Model):
    """A path out. `options` are its kind's settings (host, port, tls, helo, source_address, backend …); secrets are sealed."""

    class Kind(models.TextChoices):
        """Where it leads: the recipient's own hosts, a smarthost, a provider's API, our captured mail, or made-up outcomes."""

        MX = "mx"
        SMTP = "smtp"
        PROVIDER = "provider"
        INBOX = "inbox"
        SANDBOX = "sandbox"

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="routes")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    options = models.JSONField(default=dict)
    secrets = models.TextField(null=True, help_text="sealed JSON object (core.vault, purpose route)")
    hook_token = models.CharField(max_length=40, null=True, unique=True, help_text="of /hooks/{provider}/{token}")
    enabled = models.BooleanField(default=True)
    weight = models.IntegerField(default=100)
    connections = models.IntegerField(default=20, help_text="at once, per destination and worker process")
    per_minute = models.IntegerField(null=True, help_text="messages, per destination")
    per_day = models.IntegerField(null=True, help_text="messages, over all destinations")
    warmup = models.JSONField(
        null=True, help_text="{starts_on, daily: [cap of day 1, day 2, …]}; over after the last day"
    )
    tiers = ArrayField(models.SmallIntegerField(), default=list, help_text="it may carry these; empty: all")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "routes"
        constraints = [
            models.UniqueConstraint(fields=["account", "name"], name="route_name_per_account", nulls_distinct=False)
        ]


class RuleSet(models.Model):
    """One version of an account's routing rules, in order. At most one is published; publishing an older one is a roll-back."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="rule_sets")
    version = models.IntegerField()
    rules = models.JSONField(help_text="[{id, name, when: {…}, then: {…}, enabled}]")
    author = models.TextField()
    note = models.CharField(max_length=500, blank=True, default="")
    published = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())
    published_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "routing_rule_sets"
        constraints = [
            models.UniqueConstraint(fields=["account", "version"], name="rule_set_version", nulls_distinct=False),
            models.UniqueConstraint(
                fields=["account"], condition=Q(published=True), name="one_published_rule_set", nulls_distinct=False
            ),
        ]


class DeliveryPolicy(models.Model):
    """How hard a message is tried. The first whose conditions hold applies, by position; null fields leave the default."""

    class Uncertain(models.TextChoices):
        """What becomes of a message that may or may not have been handed over."""

        RETRY = "retry"
        HOLD = "hold"

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="delivery_policies")
    name = models.CharField(max_length=100)
    position = models.IntegerField(default=100)
    enabled = models.BooleanField(default=True)
    when = models.JSONField(default=dict, help_text="{tiers, tags, templates, destinations}, all of which must hold")
    retry_ladder = ArrayField(models.IntegerField(), null=True, help_text="seconds")
    ttl_seconds = models.IntegerField(null=True)
    uncertain = models.CharField(max_length=5, choices=Uncertain.choices, null=True)
    pacing = models.JSONField(default=dict, help_text="{connections, per_connection, per_minute}")
    version = models.IntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "delivery_policies"
        indexes = [models.Index(F("account"), F("position"), F("id"), name="policies_in_order")]


class QueuePause(models.Model):
    """What is held back, why and until when. Empty conditions match everything of the account (or of the platform)."""

    id = models.CharField(max_length=30, primary_key=True, db_collation="C")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="queue_pauses")
    tier = models.SmallIntegerField(null=True)
    destination = models.TextField(null=True, help_text="a provider group or a domain")
    route = models.ForeignKey(Route, on_delete=models.CASCADE, null=True)
    key_id = models.CharField(max_length=30, null=True, help_text="the API key it was accepted with")
    reason = models.CharField(max_length=200)
    actor = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True, help_text="resumed or expired; gone once its messages are let go")

    class Meta:
        db_table = "queue_pauses"


class PathHealth(models.Model):
    """What was seen lately of one route to one destination, each figure fading with time, and its circuit breaker."""

    class Breaker(models.TextChoices):
        CLOSED = "closed"
        OPEN = "open"
        HALF_OPEN = "half_open"

    pk = models.CompositePrimaryKey("route_id", "destination")
    route_id = models.CharField(max_length=100, db_collation="C", help_text="rte_…, or the name of a built-in route")
    destination = models.TextField(db_collation="C")
    delivered = models.FloatField(default=0)
    deferred = models.FloatField(default=0)
    bounced = models.FloatField(default=0)
    failed = models.FloatField(default=0, help_text="connections that came to nothing")
    complained = models.FloatField(default=0)
    milliseconds = models.FloatField(default=0, help_text="of a delivery, fading mean")
    breaker = models.CharField(max_length=10, choices=Breaker.choices, default=Breaker.CLOSED)
    open_until = models.DateTimeField(null=True)
    openings = models.IntegerField(default=0, help_text="in a row: each lasts longer")
    probes = models.IntegerField(default=0, help_text="successes while half open")
    probing = models.IntegerField(default=0, help_text="probes under way")
    probed_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True, help_text="when the breaker changed last")
    tries = models.FloatField(default=0, help_text="the last ones, as the breaker weighs them")
    strained = models.FloatField(default=0, help_text="of `tries`, those that speak against the path")
    misses = models.IntegerField(default=0, help_text="connections in a row that came to nothing")
    troubled = ArrayField(
        models.TextField(), default=list, help_text="the last different messages that speak against it"
    )
    wait_until = models.DateTimeField(null=True, help_text="the destination asked to be left alone until then")
    wait_tier = models.SmallIntegerField(null=True, help_text="the highest tier it asked that of")
    updated_at = models.DateTimeField()
    well = models.GeneratedField(
        expression=Q(breaker="closed", wait_until=None)
        & LessThanOrEqual(F("deferred") + F("failed"), (F("delivered") + F("bounced") + 20) * 0.05)
        & LessThanOrEqual(F("bounced") + F("complained") * 20, (F("delivered") + F("bounced") + 20) * 0.01),
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        db_table = "path_health"
        indexes = [models.Index(F("route_id"), condition=Q(well=False), name="paths_not_well")]


class PathChange(models.Model):
    """A change of state of a path's breaker, or of what its limits let through: GET /v1/routes/{id}/history."""

    id = models.BigAutoField(primary_key=True)
    route_id = models.CharField(max_length=100, db_collation="C")
    destination = models.TextField()
    before = models.CharField(max_length=10)
    after = models.CharField(max_length=10)
    reason = models.TextField()
    figures = models.JSONField(default=dict)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "path_changes"
        indexes = [models.Index(F("route_id"), F("id").desc(), name="changes_of_route")]


class PaceWindow(models.Model):
    """What a limit has let through in its running window. Unlogged: a crash only forgets counts."""

    key = models.CharField(max_length=400, primary_key=True, db_collation="C")
    starts_at = models.DateTimeField()
    used = models.IntegerField()

    class Meta:
        db_table = "pace_windows"


class MailDomain(models.Model):
    """Which provider hosts a domain's mail, as its MX records said last."""

    domain = models.CharField(max_length=253, primary_key=True, db_collation="C")
    provider = models.CharField(max_length=40, null=True)
    hosts = ArrayField(models.TextField(), default=list)
    looked_up_at = models.DateTimeField()

    class Meta:
        db_table = "mail_domains"
