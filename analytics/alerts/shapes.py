"""What a caller says of alert rules."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from analytics.alerts.metrics import KINDS, Compare, Metric, Scope
from analytics.alerts.readings import dimension_of
from analytics.dimensions import TIMED
from analytics.models import AlertRule
from messaging.serializers import Line, MailAddress
from sendarix.core.shapes import Page, Shape, fault

LARGEST = 1e9

MetricName = Literal[
    "volume",
    "bounce_rate",
    "deferral_rate",
    "complaint_rate",
    "latency_p95",
    "queue_age",
    "webhook_failure_rate",
    "recipient_volume",
]
ScopeName = Literal["account", "key", "template", "tag", "destination"]


def _whole_minutes(seconds: int) -> int:
    if seconds % 60:
        raise fault("invalid_value", "Must be a whole number of minutes, in seconds: 60, 120, …")
    return seconds


class ScopeShape(Shape):
    """Whose mail is watched."""

    kind: ScopeName
    """`destination` is a provider group (`gmail`) or a recipient's domain."""
    value: Annotated[str, Field(min_length=1, max_length=320)] | None = None
    """The id of the key, the template's key, the tag or the destination; without one each is watched on its own."""


Name = Annotated[Line, Field(min_length=1, max_length=100)]


class AlertRuleChangeShape(Shape):
    """What is to be changed of a rule; what is left out stays, and the whole must fit together again. Who changes `compare` says
    `threshold` or `factor` anew."""

    name: Name = ""
    enabled: bool = True
    metric: MetricName = "volume"
    """`volume`: messages taken in; rates: shares from 0 to 1; `latency_p95` and `queue_age`: seconds; `recipient_volume`: the
    most that went to one recipient."""
    compare: Literal["above", "below", "baseline"] = "above"
    """`baseline`: above `factor` times what is usual: the median of this hour of the week in the six weeks before."""
    threshold: Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)] | None = None
    """With `above` and `below`: a number of messages, a share or seconds."""
    factor: Annotated[float, Field(ge=1.5, le=100, allow_inf_nan=False)] | None = None
    """With `baseline` only; 5 when not given."""
    minimum: Annotated[int, Field(ge=0, le=1_000_000)] = 20
    """Nothing is concluded from fewer messages (or webhook calls) than so many in the window; `below` does without."""
    window_seconds: Annotated[int, Field(ge=60, le=86_400), AfterValidator(_whole_minutes)] = 300
    """Widened to whole minutes."""
    scope: ScopeShape = ScopeShape(kind="account")
    mail_to: Annotated[list[MailAddress], Field(max_length=10)] = []
    """Who gets a mail when an alert opens."""
    webhook: bool = True
    """Whether `alert.fired` and `alert.resolved` are told to the endpoints and the event feed."""
    hold_key: bool = False
    """Whether the mail of the key waits until it is released; for a scope of `key`, with a live key."""


class AlertRuleShape(AlertRuleChangeShape):
    """A rule: what is watched, its line, and what is done when it is crossed."""

    name: Name
    metric: MetricName
    """`volume`: messages taken in; rates: shares from 0 to 1; `latency_p95` and `queue_age`: seconds; `recipient_volume`: the
    most that went to one recipient."""

    @model_validator(mode="after")
    def _fits_together(self) -> "AlertRuleShape":
        _check_line(self)
        _check_scope(self)
        return self

    def fields(self) -> dict[str, Any]:
        """As a rule's row has them."""
        told = self.model_dump(exclude={"scope"}) | {"scope": self.scope.kind, "scope_value": self.scope.value}
        if self.compare == Compare.BASELINE:
            told["factor"] = told["factor"] or 5.0
        return told


def _check_line(rule: "AlertRuleShape") -> None:
    kind = KINDS[Metric(rule.metric)]
    if rule.compare == Compare.BASELINE:
        if kind.floor is None:
            raise fault("conflict", f"compare: {rule.metric} has no baseline; give a threshold.")
        if rule.threshold is not None:
            raise fault("conflict", "threshold: a baseline has none; give factor.")
        return
    if rule.threshold is None:
        raise fault("required", f"threshold: is required with compare {rule.compare}.")
    if rule.factor is not None:
        raise fault("conflict", "factor: belongs to compare baseline.")
    if kind.share and rule.threshold > 1:
        raise fault("out_of_range", "threshold: a rate is a share from 0 to 1.")


def _check_scope(rule: AlertRuleShape) -> None:
    kind, scope = KINDS[Metric(rule.metric)], Scope(rule.scope.kind)
    if scope not in kind.scopes:
        raise fault("conflict", f"scope.kind: {rule.metric} is watched by {', '.join(sorted(kind.scopes))} only.")
    if scope is Scope.ACCOUNT and rule.scope.value is not None:
        raise fault("conflict", "scope.value: the account needs none.")
    if rule.window_seconds > kind.longest.total_seconds():
        raise fault("out_of_range", f"window_seconds: at most {kind.longest.total_seconds():.0f} for {rule.metric}.")
    if rule.metric == Metric.LATENCY_P95 and dimension_of(scope, rule.scope.value) not in TIMED:
        raise fault("conflict", "scope.value: latency is kept by provider group, not by domain.")
    if rule.hold_key and (scope is not Scope.KEY or rule.compare == Compare.BELOW):
        raise fault("conflict", "hold_key: needs a scope of key, and a line that is crossed upwards.")


class AlertQuery(Page):
    """What GET /v1/alerts can be narrowed to."""

    state: Literal["open", "resolved"] | None = None
    rule: Annotated[str, Field(max_length=40)] | None = None
    """The id of a rule."""


def merged(rule: AlertRule, changes: dict[str, Any]) -> dict[str, Any]:
    """The request that would make a rule as this one with the changes; who changes `compare` says the other line anew."""
    kept = {
        "name": rule.name, "enabled": rule.enabled, "metric": rule.metric, "compare": rule.compare,
        "threshold": rule.threshold, "factor": rule.factor, "minimum": rule.minimum,
        "window_seconds": rule.window_seconds, "scope": {"kind": rule.scope, "value": rule.scope_value},
        "mail_to": rule.mail_to, "webhook": rule.webhook, "hold_key": rule.hold_key,
    }  # fmt: skip
    if changes.get("compare", rule.compare) != rule.compare:
        kept["threshold"] = kept["factor"] = None
    return kept | changes
