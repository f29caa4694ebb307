"""Alerts in the API's document: one Call per method."""

from analytics.alerts import answers
from analytics.alerts.shapes import AlertRuleChangeShape, AlertRuleShape
from sendarix.accounts.calls import AnswerShape, Call


class RemovedRule(AnswerShape):
    """The rule that was taken away."""

    id: answers.RuleId
    deleted: bool


LIST_RULES = Call(
    name="listAlertRules", summary="List alert rules", about="Newest first.", answer=answers.AlertRulePage
)
CREATE_RULE = Call(
    name="createAlertRule",
    summary="Make an alert rule",
    about="Rules are looked at some times a minute. A rule whose scope has no value watches each key (template, tag,"
    " destination) on its own: the 200 busiest. While an alert is open its rule opens no other for the same subject; it ends when"
    " the value has been well inside the line for as long as the window.",
    body=AlertRuleShape,
    answer=answers.AlertRule,
    status=201,
    refusals=(409,),
    body_example={
        "name": "Unusual volume of a key",
        "metric": "volume",
        "compare": "baseline",
        "factor": 5,
        "window_seconds": 120,
        "scope": {"kind": "key"},
        "mail_to": ["ops@example.com"],
        "hold_key": True,
    },
)
GET_RULE = Call(name="getAlertRule", summary="Read an alert rule", answer=answers.AlertRule)
UPDATE_RULE = Call(
    name="updateAlertRule",
    summary="Change an alert rule",
    about="What is left out stays. Changing what is watched, or the line, ends the alerts that are open.",
    body=AlertRuleChangeShape,
    answer=answers.AlertRule,
    body_example={"window_seconds": 600},
)
DELETE_RULE = Call(
    name="deleteAlertRule",
    summary="Remove an alert rule",
    about="Its open alerts end. A key that is held stays held until its alert is released.",
    answer=RemovedRule,
)
LIST_ALERTS = Call(name="listAlerts", summary="List alerts", about="Newest first.", answer=answers.AlertPage)
GET_ALERT = Call(name="getAlert", summary="Read an alert", answer=answers.Alert)
RELEASE = Call(
    name="releaseAlert",
    summary="Let held mail go",
    about="The mail of the key that this alert holds goes on, in the order in which it was accepted. To throw it away instead,"
    " first cancel it with `POST /v1/queues/purge` and the filter `key`. 409 when the alert holds nothing (any more).",
    answer=answers.Released,
    refusals=(409,),
)
