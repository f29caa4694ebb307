"""/v1/delivery-policies: how hard messages are tried, and which policy a message has."""

from datetime import datetime, timedelta

import pytest

from messaging.models import DeliveryPolicy
from sendarix.accounts.models import AuditEntry
from tests.world import drain, forget_routes, message, send

CODES = {
    "name": "codes",
    "position": 10,
    "when": {"tiers": ["critical"]},
    "retry_ladder": [5, 15],
    "ttl_seconds": 600,
    "uncertain": "hold",
    "pacing": {"per_connection": 20},
}


@pytest.fixture(autouse=True)
def _fresh():
    forget_routes()
    yield
    forget_routes()


def add(api, **fields):
    answer = api.post("/v1/delivery-policies", CODES | fields)
    assert answer.status == 201, answer.json
    return answer.json


def test_a_policy_is_kept_as_it_was_sent(api):
    made = add(api)
    assert {name: made[name] for name in CODES} == CODES
    assert (made["version"], made["enabled"], made["platform"]) == (1, True, False)
    assert api.get(f"/v1/delivery-policies/{made['id']}").json == made


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"retry_ladder": []}, "retry_ladder", "too_short"),
        ({"retry_ladder": [0]}, "retry_ladder.0", "out_of_range"),
        ({"retry_ladder": [604801]}, "retry_ladder.0", "out_of_range"),
        ({"retry_ladder": [1] * 21}, "retry_ladder", "too_long"),
        ({"ttl_seconds": 0}, "ttl_seconds", "out_of_range"),
        ({"uncertain": "maybe"}, "uncertain", "invalid_value"),
        ({"when": {"domains": ["a.example"]}}, "when.domains", "unknown_field"),
        ({"pacing": {"connections": 0}}, "pacing.connections", "out_of_range"),
        ({"name": "a\nb"}, "name", "invalid_value"),
    ],
)
def test_what_is_wrong_is_named(api, fields, field, code):
    answer = api.post("/v1/delivery-policies", CODES | fields)
    assert (answer.status, answer.faults[field]) == (422, code)


def test_each_change_is_a_version_and_none_is_none(api):
    made = add(api)
    path = f"/v1/delivery-policies/{made['id']}"
    assert api.patch(path, {"ttl_seconds": 600}).json["version"] == 1
    changed = api.patch(path, {"ttl_seconds": None, "when": {}}).json
    assert (changed["version"], changed["ttl_seconds"], changed["when"]) == (2, None, {})
    assert changed["retry_ladder"] == [5, 15]
    entry = AuditEntry.objects.get(action="delivery_policy.updated")
    assert (entry.before["ttl_seconds"], entry.after["ttl_seconds"], set(entry.after)) == (
        600,
        None,
        {"when", "ttl_seconds"},
    )


def test_policies_come_by_position_in_pages(api):
    for position in (30, 10, 20):
        add(api, position=position)
    first = api.get("/v1/delivery-policies", {"limit": 2}).json
    rest = api.get("/v1/delivery-policies", {"cursor": first["next_cursor"]}).json
    assert [policy["position"] for page in (first, rest) for policy in page["data"]] == [10, 20, 30]


def test_the_platforms_policies_are_seen_and_left_alone(api):
    DeliveryPolicy.objects.create(id="pol_" + "0" * 26, account=None, name="all", ttl_seconds=60)
    path = "/v1/delivery-policies/pol_" + "0" * 26
    assert api.get(path).json["platform"] is True
    assert (api.patch(path, {"ttl_seconds": 1}).code, api.delete(path).code) == ("forbidden", "forbidden")


def test_the_default_is_told(api, settings):
    settings.RETRY_LADDER = (30.0, 300.0)
    found = api.get("/v1/delivery-policies/default").json
    assert (found["id"], found["retry_ladder"], found["ttl_seconds"], found["uncertain"]) == (
        "default",
        [30, 300],
        None,
        "retry",
    )


def test_a_message_shows_the_policy_it_has(api):
    made = add(api)
    critical, normal = send(api, priority="critical"), send(api)
    policy = message(api, critical)["policy"]
    assert policy.pop("pacing") == {"connections": None, "per_connection": 20, "per_minute": None}
    assert policy == {name: made[name] for name in policy}
    assert message(api, normal)["policy"]["id"] == "default"
    api.delete(f"/v1/delivery-policies/{made['id']}")
    assert message(api, critical)["policy"]["id"] == "default"


def test_a_policy_by_destination_knows_the_providers(api):
    add(api, name="gmail", when={"destinations": ["gmail"]})
    shown = [
        message(api, send(api, recipient=f"kim@{domain}"))["policy"]["name"] for domain in ("gmail.com", "naver.com")
    ]
    assert shown == ["gmail", "default"]


def test_delivery_keeps_to_the_ladder_that_the_message_shows(api, sink):
    add(api, when={}, retry_ladder=[7])
    sink.script["rcpt"] = "450 4.2.0 later"
    message_id = send(api)
    drain()
    found = message(api, message_id)
    assert (found["status"], found["waiting"]["for"], found["policy"]["retry_ladder"]) == ("deferred", "retry", [7])
    deferred = found["events"][-1]
    waited = datetime.fromisoformat(deferred["data"]["next_attempt_at"]) - datetime.fromisoformat(deferred["at"])
    assert timedelta(seconds=5) < waited < timedelta(seconds=9)
