"""Every call of the product, walked: each is behind the base view and names the scope of each of its methods."""

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from sendarix.accounts import keys
from sendarix.accounts.api import ANY_KEY, ApiView, UnknownPath

PUBLIC = {"/v1/openapi.json"}
METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")


def routes(patterns, prefix="/") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield path, getattr(pattern.callback, "view_class", None)


def calls() -> dict[str, Any]:
    found = routes(get_resolver("sendarix.urls").url_patterns)
    return {path: view for path, view in found if path.startswith(("/v1", "/^v1")) and path not in PUBLIC}


def test_every_path_under_v1_is_behind_the_base_view():
    assert "/v1/messages" in calls()
    assert [path for path, view in calls().items() if not issubclass(view or object, ApiView)] == []


def test_the_rest_of_v1_is_answered_in_the_one_shape():
    assert list(calls().values())[-1] is UnknownPath


def test_every_method_has_a_handler_and_names_a_known_scope():
    for path, view in calls().items():
        own = {name.upper() for name in METHODS if getattr(view, name, None) is not getattr(ApiView, name, None)}
        assert own == set(view.scopes), path
        assert set(view.scopes.values()) <= {ANY_KEY, *keys.SCOPES}, path
        assert set(view.queries) <= set(view.scopes), path
