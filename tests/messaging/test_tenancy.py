"""Every path of the API, walked: without a key, without the scope, and with what belongs to another customer."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from analytics.models import Alert, AlertRule
from sendarix.accounts import keys
from sendarix.accounts.api import ApiView, UnknownPath
from sendarix.core import ids
from tests.api_client import Api
from tests.world import MAIL, from_now, send

NOTE = {"key": "note", "subject": "Note", "text": "Hello", "publish": True}
KIM = {"recipient": "kim@hanbit.example"}
ROUTE = {"name": "inbox", "kind": "inbox"}
HOOK = {"url": "http://127.0.0.1:9/hooks"}
RULE = {"name": "Volume", "metric": "volume", "threshold": 100}

BODIES = {
    ("POST", "messages"): MAIL,
    ("POST", "messages/batch"): {"messages": [MAIL]},
    ("POST", "messages/validate"): MAIL,
    ("PATCH", "messages/<str:message_id>"): {"scheduled_time": from_now(hours=1)},
    ("POST", "dead-letters/redrive"): {"filter": {}},
    ("POST", "routes"): ROUTE,
    ("PATCH", "routes/<str:route_id>"): {"weight": 50},
    ("PUT", "routing-rules"): {"rules": []},
    ("POST", "delivery-policies"): {"name": "codes"},
    ("PATCH", "delivery-policies/<str:policy_id>"): {"position": 5},
    ("POST", "routing/simulate"): {"recipient": "kim@hanbit.example"},
    ("POST", "queues/pause"): {"tier": "low", "reason": "moving house"},
    ("POST", "queues/resume"): {"tier": "low"},
    ("POST", "queues/purge"): {"filter": {"tier": "low"}},
    ("POST", "domains"): {"domain": "hanbit.example"},
    ("POST", "templates"): NOTE | {"key": "another"},
    ("POST", "templates/import"): {"source": "mustache", "text": "Hello {{name}}"},
    ("PATCH", "templates/<str:template_key>"): {"text": "Hi"},
    ("POST", "templates/<str:template_key>/publish"): {},
    ("POST", "templates/<str:template_key>/rollback"): {"version": 1},
    ("POST", "templates/<str:template_key>/render"): {},
    ("POST", "suppressions"): KIM | {"reason": "manual"},
    ("POST", "suppressions/import"): {"rows": [KIM]},
    ("POST", "unsubscribes"): KIM,
    ("POST", "webhooks"): HOOK,
    ("PATCH", "webhooks/<str:webhook_id>"): {"description": "orders"},
    ("POST", "webhooks/<str:webhook_id>/rotate-secret"): {"overlap_seconds": 60},
    ("POST", "webhooks/<str:webhook_id>/recover"): {"since": from_now(hours=-1)},
    ("POST", "alert-rules"): RULE,
    ("PATCH", "alert-rules/<str:rule_id>"): {"threshold": 200},
}
QUERIES = {"suppressions/check": "?recipient=kim@hanbit.example"}
"""What a call needs to get past its shape."""

CALLS = {
    ("GET", "messages"): "messages:read",
    ("POST", "messages"): "messages:send",
    ("POST", "messages/batch"): "messages:send",
    ("POST", "messages/validate"): "messages:send",
    ("GET", "messages/<str:message_id>"): "messages:read",
    ("DELETE", "messages/<str:message_id>"): "messages:send",
    ("PATCH", "messages/<str:message_id>"): "messages:send",
    ("POST", "messages/<str:message_id>/cancel"): "messages:send",
    ("POST", "messages/<str:message_id>/retry"): "messages:send",
    ("GET", "messages/<str:message_id>/attempts"): "messages:read",
    ("GET", "events"): "events:read",
    ("GET", "dead-letters"): "messages:read",
    ("POST", "dead-letters/redrive"): "messages:send",
    ("GET", "templates"): "templates:read",
    ("POST", "templates"): "templates:write",
    ("POST", "templates/import"): "templates:write",
    ("GET", "templates/<str:template_key>"): "templates:read",
    ("PATCH", "templates/<str:template_key>"): "templates:write",
    ("DELETE", "templates/<str:template_key>"): "templates:write",
    ("GET", "templates/<str:template_key>/versions"): "templates:read",
    ("GET", "templates/<str:template_key>/versions/<str:version>"): "templates:read",
    ("POST", "templates/<str:template_key>/publish"): "templates:write",
    ("POST", "templates/<str:template_key>/rollback"): "templates:write",
    ("POST", "templates/<str:template_key>/render"): "templates:read",
    ("GET", "domains"): "domains:read",
    ("POST", "domains"): "domains:write",
    ("GET", "domains/<str:domain>"): "domains:read",
    ("DELETE", "domains/<str:domain>"): "domains:write",
    ("POST", "domains/<str:domain>/verify"): "domains:write",
    ("POST", "domains/<str:domain>/rotate-dkim"): "domains:write",
    ("GET", "suppressions"): "suppressions:read",
    ("POST", "suppressions"): "suppressions:write",
    ("GET", "suppressions/check"): "suppressions:read",
    ("POST", "suppressions/import"): "suppressions:write",
    ("GET", "suppressions/export"): "suppressions:read",
    ("GET", "suppressions/<path:recipient>"): "suppressions:read",
    ("DELETE", "suppressions/<path:recipient>"): "suppressions:write",
    ("GET", "unsubscribes"): "suppressions:read",
    ("POST", "unsubscribes"): "suppressions:write",
    ("GET", "unsubscribes/<path:recipient>"): "suppressions:read",
    ("DELETE", "unsubscribes/<path:recipient>"): "suppressions:write",
    ("GET", "webhooks"): "webhooks:read",
    ("POST", "webhooks"): "webhooks:write",
    ("GET", "webhooks/<str:webhook_id>"): "webhooks:read",
    ("PATCH", "webhooks/<str:webhook_id>"): "webhooks:write",
    ("DELETE", "webhooks/<str:webhook_id>"): "webhooks:write",
    ("POST", "webhooks/<str:webhook_id>/rotate-secret"): "webhooks:write",
    ("POST", "webhooks/<str:webhook_id>/test"): "webhooks:write",
    ("POST", "webhooks/<str:webhook_id>/recover"): "webhooks:write",
    ("GET", "webhooks/<str:webhook_id>/deliveries"): "webhooks:read",
    ("GET", "webhooks/<str:webhook_id>/deliveries/<str:delivery_id>"): "webhooks:read",
    ("POST", "webhooks/<str:webhook_id>/deliveries/<str:delivery_id>/replay"): "webhooks:write",
    ("GET", "audit-log"): "audit:read",
    ("GET", "routes"): "routing:read",
    ("POST", "routes"): "routing:write",
    ("GET", "routes/<str:route_id>"): "routing:read",
    ("PATCH", "routes/<str:route_id>"): "routing:write",
    ("DELETE", "routes/<str:route_id>"): "routing:write",
    ("POST", "routes/<str:route_id>/check"): "routing:write",
    ("GET", "routes/<str:route_id>/history"): "routing:read",
    ("GET", "routes/<str:route_id>/health"): "routing:read",
    ("GET", "routing-rules"): "routing:read",
    ("PUT", "routing-rules"): "routing:write",
    ("GET", "routing-rules/versions"): "routing:read",
    ("GET", "routing-rules/versions/<int:version>"): "routing:read",
    ("POST", "routing-rules/versions/<int:version>/publish"): "routing:write",
    ("GET", "delivery-policies"): "routing:read",
    ("POST", "delivery-policies"): "routing:write",
    ("GET", "delivery-policies/default"): "routing:read",
    ("GET", "delivery-policies/<str:policy_id>"): "routing:read",
    ("PATCH", "delivery-policies/<str:policy_id>"): "routing:write",
    ("DELETE", "delivery-policies/<str:policy_id>"): "routing:write",
    ("POST", "routing/simulate"): "routing:read",
    ("GET", "queues"): "routing:read",
    ("GET", "queues/pauses"): "routing:read",
    ("POST", "queues/pause"): "routing:write",
    ("POST", "queues/resume"): "routing:write",
    ("POST", "queues/purge"): "queues:purge",
    ("GET", "analytics"): "analytics:read",
    ("GET", "alert-rules"): "analytics:read",
    ("POST", "alert-rules"): "alerts:write",
    ("GET", "alert-rules/<str:rule_id>"): "analytics:read",
    ("PATCH", "alert-rules/<str:rule_id>"): "alerts:write",
    ("DELETE", "alert-rules/<str:rule_id>"): "alerts:write",
    ("GET", "alerts"): "analytics:read",
    ("GET", "alerts/<str:alert_id>"): "analytics:read",
    ("POST", "alerts/<str:alert_id>/release"): "alerts:write",
}
"""The permission matrix of the contract. A new path is entered here before it is served."""

LIVE_KEY_ONLY = {
    ("POST", "templates"),
    ("POST", "templates/import"),
    ("PATCH", "templates/<str:template_key>"),
    ("DELETE", "templates/<str:template_key>"),
    ("POST", "templates/<str:template_key>/publish"),
    ("POST", "templates/<str:template_key>/rollback"),
    ("POST", "domains"),
    ("DELETE", "domains/<str:domain>"),
    ("POST", "domains/<str:domain>/verify"),
    ("POST", "domains/<str:domain>/rotate-dkim"),
    ("POST", "routes"),
    ("PATCH", "routes/<str:route_id>"),
    ("DELETE", "routes/<str:route_id>"),
    ("POST", "routes/<str:route_id>/check"),
    ("PUT", "routing-rules"),
    ("POST", "routing-rules/versions/<int:version>/publish"),
    ("POST", "delivery-policies"),
    ("PATCH", "delivery-policies/<str:policy_id>"),
    ("DELETE", "delivery-policies/<str:policy_id>"),
    ("POST", "queues/pause"),
    ("POST", "queues/resume"),
}
"""Calls that change what live mail depends on, or reach out to the world for it."""

ANY_KEY_MAY = {
    ("POST", "messages"),
    ("POST", "messages/batch"),
    ("POST", "messages/validate"),
    ("DELETE", "messages/<str:message_id>"),
    ("PATCH", "messages/<str:message_id>"),
    ("POST", "messages/<str:message_id>/cancel"),
    ("POST", "messages/<str:message_id>/retry"),
    ("POST", "dead-letters/redrive"),
    ("POST", "templates/<str:template_key>/render"),
    ("POST", "suppressions"),
    ("POST", "suppressions/import"),
    ("DELETE", "suppressions/<path:recipient>"),
    ("POST", "unsubscribes"),
    ("DELETE", "unsubscribes/<path:recipient>"),
    ("POST", "webhooks"),
    ("PATCH", "webhooks/<str:webhook_id>"),
    ("DELETE", "webhooks/<str:webhook_id>"),
    ("POST", "webhooks/<str:webhook_id>/rotate-secret"),
    ("POST", "webhooks/<str:webhook_id>/test"),
    ("POST", "webhooks/<str:webhook_id>/recover"),
    ("POST", "webhooks/<str:webhook_id>/deliveries/<str:delivery_id>/replay"),
    ("POST", "routing/simulate"),
    ("POST", "queues/purge"),
    ("POST", "alert-rules"),
    ("PATCH", "alert-rules/<str:rule_id>"),
    ("DELETE", "alert-rules/<str:rule_id>"),
    ("POST", "alerts/<str:alert_id>/release"),
}
"""Calls that change only what is of the key's own environment, or nothing. A new call that is no GET goes into one of the two."""


def scheduled(api: Api) -> str:
    return send(api, scheduled_time=from_now(hours=1))


def unsubscribed(api: Api) -> str:
    answer = api.post("/v1/unsubscribes", KIM)
    assert answer.status == 201, answer.json
    return answer.json["recipient"]


def sender_domain(api: Api) -> str:
    return api.get("/v1/domains").json["data"][0]["id"]


def template(api: Api) -> str:
    answer = api.post("/v1/templates", NOTE)
    assert answer.status == 201, answer.json
    return answer.json["key"]


def webhook(api: Api) -> str:
    answer = api.post("/v1/webhooks", HOOK)
    assert answer.status == 201, answer.json
    return answer.json["id"]


def delivery(api: Api) -> str:
    """To the newest endpoint, which is the one that the path names before it."""
    newest = api.get("/v1/webhooks").json["data"][0]["id"]
    return api.post(f"/v1/webhooks/{newest}/test").json["id"]


def route(api: Api) -> str:
    return api.post("/v1/routes", ROUTE | {"name": ids.new("name")}).json["id"]


def rule_version(api: Api) -> str:
    return str(api.put("/v1/routing-rules", {"rules": []}).json["version"])


def alert_rule(api: Api) -> str:
    answer = api.post("/v1/alert-rules", RULE)
    assert answer.status == 201, answer.json
    return answer.json["id"]


def alert(api: Api) -> str:
    """One that is open and holds nothing."""
    rule = AlertRule.objects.get(id=alert_rule(api))
    now = datetime.now(UTC)
    return Alert.objects.create(
        id=ids.new("alt"), account_id=rule.account_id, livemode=rule.livemode, rule_id=rule.id, rule_name=rule.name,
        metric=rule.metric, compare=rule.compare, window_seconds=300, scope="account", subject="", threshold=100,
        value=200, worst=200, volume=200, fired_at=now, seen_at=now,
    ).id  # fmt: skip


def delivery_policy(api: Api) -> str:
    return api.post("/v1/delivery-policies", {"name": "codes"}).json["id"]


OBJECTS: dict[str, tuple[str, Callable[[Api], str]]] = {
    "<str:message_id>": ("msg_nowhere", scheduled),
    "<path:recipient>": ("nobody@hanbit.example", unsubscribed),
    "<str:domain>": ("dom_nowhere", sender_domain),
    "<str:template_key>": ("nowhere", template),
    "<str:version>": ("1", lambda api: "1"),
    "<str:webhook_id>": ("whk_nowhere", webhook),
    "<str:delivery_id>": ("dlv_nowhere", delivery),
    "<str:route_id>": ("rte_nowhere", route),
    "<int:version>": ("404", rule_version),
    "<str:policy_id>": ("pol_nowhere", delivery_policy),
    "<str:rule_id>": ("alr_nowhere", alert_rule),
    "<str:alert_id>": ("alt_nowhere", alert),
}
"""For each parameter of a path: a name that nothing has, and what makes such an object with a key and returns its name."""

PARAMETER = re.compile(r"<\w+:\w+>")
OF_AN_OBJECT = [call for call in CALLS if PARAMETER.search(call[1])]
SHARED = {"<str:domain>", "<str:template_key>", "<str:route_id>", "<int:version>", "<str:policy_id>"}
"""Objects of an account's that its live and its test keys see alike."""
OF_AN_ENVIRONMENT = [call for call in OF_AN_OBJECT if PARAMETER.search(call[1])[0] not in SHARED]
ANSWERS_OF_THEIR_OWN = (
    "suppressions/check", "suppressions/export", "domains", "audit-log", "routing-rules", "delivery-policies/default",
    "queues", "analytics",
)  # fmt: skip
LISTS = [path for method, path in CALLS if method == "GET" and "<" not in path and path not in ANSWERS_OF_THEIR_OWN]


def walked(patterns, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walked(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "view_class", None)
            if view is not None and issubclass(view, ApiView) and view is not UnknownPath:
                yield from ((method, path.removeprefix("v1/"), scope) for method, scope in view.scopes.items())


def made(path: str, owner: Api) -> dict[str, str]:
    """An object of the owner's for each parameter of the path."""
    return {name: OBJECTS[name][1](owner) for name in PARAMETER.findall(path)}


def call(api: Api, method: str, path: str, names: dict[str, str] | None = None):
    """The call with these names in its path, or with names that nothing has."""
    place = PARAMETER.sub(lambda found: (names or {}).get(found[0], OBJECTS[found[0]][0]), path)
    return api.call(method, f"/v1/{place}{QUERIES.get(path, '')}", BODIES.get((method, path)))


def seen(owner: Api, path: str, names: dict[str, str]):
    """The object at the beginning of the path, as its owner reads it."""
    answer = call(owner, "GET", path[: PARAMETER.search(path).end()], names)
    assert answer.status == 200, answer.json
    return answer.json


def test_every_path_is_in_the_matrix_and_asks_for_its_scope():
    assert {(method, path): scope for method, path, scope in walked(get_resolver().url_patterns)} == CALLS


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_without_a_key_it_is_401(transactional_db, method, path):
    answer = call(Api(None), method, path)
    assert (answer.status, answer.code) == (401, "unauthorized")


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_without_the_scope_it_is_403_and_names_it(acme, method, path):
    scope = CALLS[method, path]
    answer = call(acme.key(scopes=set(keys.SCOPES) - {scope}), method, path)
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert scope in answer.json["error"]["message"]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_the_one_scope_is_enough(acme, zone, method, path):
    answer = call(acme.key(scopes=[CALLS[method, path]]), method, path, made(path, acme.live))
    assert answer.status in (200, 201, 202, 409)


def test_every_call_that_may_write_says_what_a_test_key_may():
    assert {call for call in CALLS if call[0] != "GET"} == LIVE_KEY_ONLY | ANY_KEY_MAY
    assert not LIVE_KEY_ONLY & ANY_KEY_MAY


@pytest.mark.parametrize(("method", "path"), sorted(LIVE_KEY_ONLY))
def test_what_live_mail_depends_on_is_changed_with_a_live_key_only(acme, method, path):
    names = made(path, acme.live)
    before = seen(acme.live, path, names) if names else None
    answer = call(acme.test, method, path, names)
    assert (answer.status, answer.code) == (403, "live_key_required")
    assert before is None or seen(acme.live, path, names) == before


@pytest.mark.parametrize(("method", "path"), sorted(ANY_KEY_MAY))
def test_a_test_key_changes_what_is_of_its_environment(acme, method, path):
    shared = bool(found := PARAMETER.search(path)) and found[0] in SHARED
    answer = call(acme.test, method, path, made(path, acme.live if shared else acme.test))
    assert answer.status in (200, 201, 202, 409)


@pytest.mark.parametrize(("method", "path"), OF_AN_OBJECT)
def test_what_is_another_customers_is_404_and_stays_as_it_was(acme, globex, method, path):
    theirs = made(path, globex.live)
    before = seen(globex.live, path, theirs)
    answer = call(acme.live, method, path, theirs)
    unknown = call(acme.live, method, path)
    assert (answer.status, answer.code) == (unknown.status, unknown.code) == (404, "not_found")
    assert answer.json["error"]["message"] == unknown.json["error"]["message"]
    assert seen(globex.live, path, theirs) == before


@pytest.mark.parametrize(("method", "path"), OF_AN_ENVIRONMENT)
@pytest.mark.parametrize("owner", ["live", "test"])
def test_what_is_live_and_what_is_test_do_not_see_each_other(acme, method, path, owner):
    ours, stranger = (acme.live, acme.test) if owner == "live" else (acme.test, acme.live)
    names = made(path, ours)
    assert call(stranger, method, path, names).status == 404
    seen(ours, path, names)


@pytest.mark.parametrize("path", LISTS)
def test_a_list_holds_nothing_of_anybody_else(acme, globex, path):
    for stranger in (globex.live, acme.test):
        send(stranger, metadata={"secret": "globex"})
        unsubscribed(stranger)
        webhook(stranger)
    template(globex.live)
    assert call(acme.live, "GET", path).json["data"] == []
