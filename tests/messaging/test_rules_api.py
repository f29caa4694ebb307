"""/v1/routing-rules: whole ordered sets in versions, what differs between two, publishing and the roll-back."""

import pytest

from messaging.models import RuleSet
from sendarix.accounts.models import AuditEntry
from tests.world import forget_routes, together


@pytest.fixture(autouse=True)
def _fresh():
    forget_routes()
    yield
    forget_routes()


def hold(name: str, **fields):
    return {"name": name, "then": {"hold": {"reason": "later", "seconds": 60}}} | fields


def put(api, *rules, **fields):
    answer = api.put("/v1/routing-rules", {"rules": list(rules), **fields})
    assert answer.status == 200, answer.json
    return answer.json


def version(api, number: int):
    return api.get(f"/v1/routing-rules/versions/{number}").json


def inbox(api) -> str:
    return api.post("/v1/routes", {"name": "inbox", "kind": "inbox"}).json["id"]


def names(rules) -> list[str]:
    return [rule["name"] for rule in rules["rules"]]


def test_without_rules_there_is_version_0(api):
    found = api.get("/v1/routing-rules").json
    assert (found["version"], found["rules"], found["newest_version"]) == (0, [], 0)


def test_a_set_is_published_as_it_was_sent(api):
    when = {
        "domains": ["Bücher.example"],
        "providers": ["gmail"],
        "tiers": ["low"],
        "tags": ["news"],
        "larger_than": 1000,
    }
    then = {"routes": [{"route": inbox(api), "weight": 3}], "fallback": [{"route": inbox_again(api)}]}
    made = put(api, {"name": "news", "when": when, "then": then}, hold("rest"), note="a beginning")
    rule = made["rules"][0]
    assert rule["when"] == when | {"domains": ["xn--bcher-kva.example"]}
    assert rule["then"] == {"routes": then["routes"], "fallback": [then["fallback"][0] | {"weight": 100}]}
    assert (made["version"], made["published"], made["note"]) == (1, True, "a beginning")
    assert api.get("/v1/routing-rules").json == made


def inbox_again(api) -> str:
    return api.post("/v1/routes", {"name": "inbox again", "kind": "inbox"}).json["id"]


@pytest.mark.parametrize(
    ("rule", "field", "code"),
    [
        ({"then": {}}, "rules.0.then", "required"),
        ({"then": {"hold": {"reason": "x"}, "reject": {"reason": "x"}}}, "rules.0.then", "conflict"),
        ({"then": {"reject": {"reason": "x"}, "fallback": [{"route": "r"}]}}, "rules.0.then", "conflict"),
        ({"then": {"routes": []}}, "rules.0.then.routes", "too_short"),
        ({"then": {"routes": [{"route": "rte_nowhere"}]}}, "rules.0.then.routes.0.route", "not_found"),
        ({"when": {"keys": ["key_nowhere"]}}, "rules.0.when.keys.0", "not_found"),
        ({"when": {"providers": ["aol"]}}, "rules.0.when.providers.0", "invalid_value"),
        ({"when": {"domains": ["not a domain"]}}, "rules.0.when.domains.0", "invalid_value"),
        ({"when": {"weather": "fine"}}, "rules.0.when.weather", "unknown_field"),
        ({"id": "rul_1"}, "rules.0.id", "invalid_value"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(api, rule, field, code):
    answer = api.put("/v1/routing-rules", {"rules": [hold("x") | rule]})
    assert (answer.status, answer.faults) == (422, {field: code})
    assert api.get("/v1/routing-rules").json["newest_version"] == 0


def test_another_customers_route_is_none(acme, globex):
    rule = {"name": "x", "then": {"routes": [{"route": inbox(globex.live)}]}}
    answer = acme.live.put("/v1/routing-rules", {"rules": [rule]})
    assert answer.faults == {"rules.0.then.routes.0.route": "not_found"}


def test_a_diff_tells_added_removed_changed_and_moved(api):
    one, two, three, four = put(api, *map(hold, ("one", "two", "three", "four")))["rules"]
    put(api, four, one, three | {"enabled": False}, hold("five"))
    diff = version(api, 2)["since_previous"]
    assert (diff["version"], [added["rule"]["name"] for added in diff["added"]]) == (1, ["five"])
    assert [(gone["position"], gone["rule"]["id"]) for gone in diff["removed"]] == [(2, two["id"])]
    assert diff["changed"] == [
        {"id": three["id"], "name": "three", "fields": [{"field": "enabled", "before": True, "after": False}]}
    ]
    assert diff["moved"] == [{"id": four["id"], "name": "four", "before": 4, "after": 1}]


def test_a_draft_changes_nothing_until_it_is_published(api):
    put(api, hold("one"))
    draft = put(api, hold("two"), publish=False)
    assert (draft["published"], names(api.get("/v1/routing-rules").json)) == (False, ["one"])
    assert [added["rule"]["name"] for added in version(api, 2)["since_published"]["added"]] == ["two"]
    assert api.post("/v1/routing-rules/versions/2/publish").json["published"] is True
    assert names(api.get("/v1/routing-rules").json) == ["two"]


def test_the_roll_back_publishes_an_older_version(api):
    put(api, hold("one"))
    put(api, hold("two"))
    api.post("/v1/routing-rules/versions/1/publish")
    found = api.get("/v1/routing-rules").json
    assert (found["version"], found["newest_version"], names(found)) == (1, 2, ["one"])
    assert RuleSet.objects.filter(published=True).count() == 1
    assert put(api, hold("three"), base_version=1)["version"] == 3


def test_a_version_whose_route_is_gone_is_not_published_again(api):
    route = inbox(api)
    put(api, {"name": "x", "then": {"routes": [{"route": route}]}})
    put(api)
    api.delete(f"/v1/routes/{route}")
    answer = api.post("/v1/routing-rules/versions/1/publish")
    assert answer.faults == {"rules.0.then.routes.0.route": "not_found"}
    assert api.get("/v1/routing-rules").json["version"] == 2


def test_whoever_comes_second_from_the_same_version_is_told(api):
    put(api, hold("one"))
    answers = together(
        [lambda n=n: api.put("/v1/routing-rules", {"rules": [hold(n)], "base_version": 1}) for n in ("two", "three")]
    )
    assert sorted(answer.status for answer in answers) == [200, 409]
    assert [row["version"] for row in api.get("/v1/routing-rules/versions").json["data"]] == [2, 1]


def test_without_a_base_everybody_gets_a_version_of_his_own(api):
    answers = together([lambda n=n: api.put("/v1/routing-rules", {"rules": [hold(str(n))]}) for n in range(4)])
    assert sorted(answer.json["version"] for answer in answers) == [1, 2, 3, 4]
    assert RuleSet.objects.filter(published=True).count() == 1


def test_versions_come_in_pages_without_their_rules(api):
    for number in range(3):
        put(api, note=str(number))
    first = api.get("/v1/routing-rules/versions", {"limit": 2}).json
    rest = api.get("/v1/routing-rules/versions", {"cursor": first["next_cursor"]}).json
    assert [row["note"] for page in (first, rest) for row in page["data"]] == ["2", "1", "0"]
    assert "rules" not in first["data"][0]


def test_a_published_version_is_in_the_audit_log_with_its_author(acme):
    put(acme.live, hold("one"))
    put(acme.live, hold("two"), publish=False)
    put(acme.live, hold("two"), note="better")
    entries = list(AuditEntry.objects.filter(action="routing_rules.published").order_by("id"))
    assert [(entry.before, entry.after["version"]) for entry in entries] == [(None, 1), ({"version": 1}, 3)]
    assert (entries[1].after["added"], entries[1].after["removed"], entries[1].after["note"]) == (1, 1, "better")
    assert entries[1].actor == acme.live.get("/v1/routing-rules").json["author"]


def test_no_two_rules_have_one_id(api):
    (rule,) = put(api, hold("one"))["rules"]
    assert api.put("/v1/routing-rules", {"rules": [rule, rule]}).json["error"]["errors"][0]["code"] == "conflict"


def test_a_number_that_no_version_has_is_404(api):
    assert api.get(f"/v1/routing-rules/versions/{10**30}").status == 404
