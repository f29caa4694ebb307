"""Every path of the messages API, walked: without a key, without the scope, and with another customer's id."""

from collections.abc import Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from sendarix.accounts import keys
from sendarix.accounts.api import ApiView, UnknownPath
from sendarix.core import ids
from tests.api_client import Api
from tests.world import MAIL, from_now, send

ROUTE = {"name": "inbox", "kind": "inbox"}

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
}
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
}
"""The permission matrix of contract sections 1 and 2. A new path is entered here before it is served."""

ANSWERS_OF_THEIR_OWN = ("routing-rules", "delivery-policies/default")
OF_A_MESSAGE = [call for call in CALLS if "<str:message_id>" in call[1]]


def route(api: Api) -> str:
    return api.post("/v1/routes", ROUTE | {"name": ids.new("name")}).json["id"]


def rule_version(api: Api) -> str:
    return str(api.put("/v1/routing-rules", {"rules": []}).json["version"])


def delivery_policy(api: Api) -> str:
    return api.post("/v1/delivery-policies", {"name": "codes"}).json["id"]


OF_ROUTING = {
    "<str:route_id>": ("rte_nowhere", route),
    "<int:version>": ("404", rule_version),
    "<str:policy_id>": ("pol_nowhere", delivery_policy),
}
OF_A_ROUTING_OBJECT = [call for call in CALLS if any(name in call[1] for name in OF_ROUTING)]


def placed(path: str, owner: Api | None = None) -> str:
    """The path with routing objects of the owner's in it, or with names that nothing has."""
    for name, (nothing, make) in OF_ROUTING.items():
        if name in path:
            path = path.replace(name, make(owner) if owner else nothing)
    return path


def walked(patterns, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walked(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "view_class", None)
            if view is not None and issubclass(view, ApiView) and view is not UnknownPath:
                yield from ((method, path.removeprefix("v1/"), scope) for method, scope in view.scopes.items())


def call(api: Api, method: str, path: str, message_id: str = "msg_nowhere"):
    place = placed(path.replace("<str:message_id>", message_id))
    return api.call(method, f"/v1/{place}", BODIES.get((method, path)))


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
def test_the_one_scope_is_enough(acme, method, path):
    message_id = send(acme.live, scheduled_time=from_now(hours=1))
    place = placed(path.replace("<str:message_id>", message_id), acme.live)
    answer = acme.key(scopes=[CALLS[method, path]]).call(method, f"/v1/{place}", BODIES.get((method, path)))
    assert answer.status in (200, 201, 202, 409)


@pytest.mark.parametrize(("method", "path"), OF_A_ROUTING_OBJECT)
def test_another_customers_routing_is_404_and_stays_as_it_was(acme, globex, method, path):
    theirs = placed(path, globex.live)
    kept = [globex.live.get(f"/v1/{name}").json for name in ("routes", "routing-rules/versions", "delivery-policies")]
    answer = acme.live.call(method, f"/v1/{theirs}", BODIES.get((method, path)))
    assert (answer.status, answer.code) == (404, "not_found")
    assert [
        globex.live.get(f"/v1/{name}").json for name in ("routes", "routing-rules/versions", "delivery-policies")
    ] == kept


@pytest.mark.parametrize(("method", "path"), OF_A_MESSAGE)
def test_another_customers_message_is_404_and_stays_as_it_was(acme, globex, method, path):
    theirs = send(globex.live, scheduled_time=from_now(hours=1))
    before = globex.live.get(f"/v1/messages/{theirs}").json
    answer = call(acme.live, method, path, theirs)
    unknown = call(acme.live, method, path)
    assert (answer.status, answer.code) == (unknown.status, unknown.code) == (404, "not_found")
    assert answer.json["error"]["message"] == unknown.json["error"]["message"]
    assert globex.live.get(f"/v1/messages/{theirs}").json == before


@pytest.mark.parametrize(("method", "path"), OF_A_MESSAGE)
def test_test_and_live_messages_do_not_see_each_other(acme, method, path):
    live, test = (send(key, scheduled_time=from_now(hours=1)) for key in (acme.live, acme.test))
    assert call(acme.test, method, path, live).status == call(acme.live, method, path, test).status == 404


@pytest.mark.parametrize(
    "path", [path for method, path in CALLS if method == "GET" and path not in ANSWERS_OF_THEIR_OWN and "<" not in path]
)
def test_a_list_holds_nothing_of_anybody_else(acme, globex, path):
    send(globex.live, metadata={"secret": "globex"})
    for make in (route, rule_version, delivery_policy):
        make(globex.live)
    send(acme.test)
    assert call(acme.live, "GET", path).json["data"] == []
