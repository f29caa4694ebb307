"""Alert rules by API: made, read, changed, removed, and what does not fit together."""

import pytest

from analytics.alerts import rules
from sendarix.accounts.models import AuditEntry

RULE = {"name": "Volume", "metric": "volume", "threshold": 100}


def made(api, **fields) -> dict:
    answer = api.post("/v1/alert-rules", RULE | fields)
    assert answer.status == 201, answer.json
    return answer.json


def test_a_rule_is_made_read_changed_and_removed(api):
    rule = made(api, mail_to=["Ops <ops@acme.example>"])
    assert api.get(f"/v1/alert-rules/{rule['id']}").json == rule
    changed = api.patch(
        f"/v1/alert-rules/{rule['id']}", {"threshold": 50, "scope": {"kind": "tag", "value": "vip"}}
    ).json
    assert (changed["threshold"], changed["scope"], changed["name"]) == (50, {"kind": "tag", "value": "vip"}, "Volume")
    assert api.delete(f"/v1/alert-rules/{rule['id']}").json == {"id": rule["id"], "deleted": True}
    assert api.get(f"/v1/alert-rules/{rule['id']}").status == 404
    told = AuditEntry.objects.filter(subject=rule["id"]).order_by("id")
    assert [entry.action for entry in told] == ["alert_rule.created", "alert_rule.updated", "alert_rule.removed"]
    assert told[1].after == {"threshold": 50.0, "scope": "tag", "scope_value": "vip"}


def test_a_change_of_nothing_is_none(api):
    rule = made(api)
    api.patch(f"/v1/alert-rules/{rule['id']}", {"threshold": 100})
    assert AuditEntry.objects.filter(subject=rule["id"]).count() == 1


def test_a_baseline_takes_the_place_of_a_threshold_and_back(api):
    rule = made(api)
    path = f"/v1/alert-rules/{rule['id']}"
    baseline = api.patch(path, {"compare": "baseline"}).json
    assert (baseline["threshold"], baseline["factor"]) == (None, 5)
    assert api.patch(path, {"compare": "below"}).faults == {"": "required"}
    assert api.patch(path, {"compare": "below", "threshold": 3}).json["factor"] is None


def test_rules_are_listed_newest_first(api):
    first, second = made(api)["id"], made(api)["id"]
    page = api.get("/v1/alert-rules", {"limit": 1}).json
    assert page["data"][0]["id"] == second
    assert api.get("/v1/alert-rules", {"cursor": page["next_cursor"]}).json["data"][0]["id"] == first


def test_there_are_so_many_rules(api, monkeypatch):
    monkeypatch.setattr(rules, "MOST", 1)
    made(api)
    assert api.post("/v1/alert-rules", RULE).status == 409


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"metric": "weather"}, "metric", "invalid_value"),
        ({"threshold": None}, "", "required"),
        ({"threshold": -1}, "threshold", "out_of_range"),
        ({"threshold": 1e300}, "threshold", "out_of_range"),
        ({"metric": "bounce_rate", "threshold": 5}, "", "out_of_range"),
        ({"factor": 5}, "", "conflict"),
        ({"compare": "baseline"}, "", "conflict"),
        ({"compare": "baseline", "threshold": None, "metric": "queue_age"}, "", "conflict"),
        ({"compare": "baseline", "threshold": None, "factor": 1}, "factor", "out_of_range"),
        ({"window_seconds": 90}, "window_seconds", "invalid_value"),
        ({"window_seconds": 30}, "window_seconds", "out_of_range"),
        ({"metric": "recipient_volume", "window_seconds": 7200}, "", "out_of_range"),
        ({"metric": "queue_age", "scope": {"kind": "key"}}, "", "conflict"),
        ({"metric": "recipient_volume", "scope": {"kind": "tag"}}, "", "conflict"),
        ({"metric": "latency_p95", "scope": {"kind": "destination", "value": "hanbit.example"}}, "", "conflict"),
        ({"scope": {"kind": "account", "value": "x"}}, "", "conflict"),
        ({"scope": {"kind": "planet"}}, "scope.kind", "invalid_value"),
        ({"hold_key": True}, "", "conflict"),
        ({"hold_key": True, "scope": {"kind": "key"}, "compare": "below"}, "", "conflict"),
        ({"mail_to": ["nobody"]}, "mail_to.0", "invalid_value"),
        ({"mail_to": ["a@b.example"] * 11}, "mail_to", "too_long"),
        ({"name": "a\nb"}, "name", "invalid_value"),
        ({"name": ""}, "name", "too_short"),
        ({"colour": "red"}, "colour", "unknown_field"),
    ],
)
def test_what_does_not_fit_together_is_named(api, fields, field, code):
    answer = api.post("/v1/alert-rules", {name: v for name, v in (RULE | fields).items() if v is not None})
    assert (answer.status, answer.faults.get(field)) == (422, code), answer.json


def test_a_test_key_holds_no_key(acme):
    answer = acme.test.post("/v1/alert-rules", RULE | {"hold_key": True, "scope": {"kind": "key"}})
    assert answer.faults == {"hold_key": "conflict"}
