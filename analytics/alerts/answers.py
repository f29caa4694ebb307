"""The bodies of the answers on alerts, for the API's document and the tests that hold answers against it."""

from typing import Annotated

from analytics.alerts.metrics import Compare, Metric, Scope
from sendarix.accounts.calls import AnswerShape, Moment, one_of, public_id

RuleId = Annotated[str, public_id("alr")]
MetricName = Annotated[str, one_of(Metric)]
CompareName = Annotated[str, one_of(Compare)]
ScopeName = Annotated[str, one_of(Scope)]


class AlertScope(AnswerShape):
    """Whose mail; of a rule without a value, each on its own."""

    kind: ScopeName
    value: str | None


class AlertRule(AnswerShape):
    """What is watched, its line, and what is done when it is crossed."""

    id: RuleId
    name: str
    enabled: bool
    metric: MetricName
    compare: CompareName
    threshold: float | None
    factor: float | None
    minimum: int
    window_seconds: int
    scope: AlertScope
    mail_to: list[str]
    webhook: bool
    hold_key: bool
    created_at: Moment
    updated_at: Moment
    evaluated_at: Moment | None
    livemode: bool


class AlertRulePage(AnswerShape):
    """Rules, newest first."""

    data: list[AlertRule]
    has_more: bool
    next_cursor: str | None


class AlertHold(AnswerShape):
    """The key whose mail waits, until it is released."""

    pause_id: Annotated[str, public_id("pse")]
    key: str
    released_at: Moment | None
    released_by: str | None


class Alert(AnswerShape):
    """One time that a line was crossed."""

    id: Annotated[str, public_id("alt")]
    rule_id: RuleId
    rule_name: str
    state: Annotated[str, one_of(("open", "resolved"))]
    what: str
    """In words."""
    metric: MetricName
    compare: CompareName
    window_seconds: int
    scope: AlertScope
    value: float
    """As it was seen last."""
    worst: float
    threshold: float
    """The line as it was when the alert opened."""
    usual: float | None
    """With a baseline: what it expected of the window."""
    volume: int
    """From how many messages it was concluded."""
    recipient: str | None
    """Of `recipient_volume`: to whom so many went."""
    fired_at: Moment
    resolved_at: Moment | None
    resolution: Annotated[str, one_of(("recovered", "rule_changed", "rule_removed"))] | None
    hold: AlertHold | None
    trouble: str | None
    """What could not be done of what the rule asks for."""
    livemode: bool


class AlertPage(AnswerShape):
    """Alerts, newest first."""

    data: list[Alert]
    has_more: bool
    next_cursor: str | None


class Released(AnswerShape):
    """What was let go."""

    alert: Alert
    released: int
    """Messages that are due again. Of very many the rest follows within seconds."""
