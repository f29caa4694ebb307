"""No page answers 500, whatever is put into its path, its query or its form."""

import base64
import re
from urllib.parse import quote

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from sendarix.accounts.edge import is_api
from sendarix.accounts.models import Account
from sendarix.core.pagination import encode_cursor
from tests import builders
from tests.api_client import Api
from tests.dashboard.test_roles import PAGES
from tests.dashboard.visitors import Visitor
from tests.world import domain, send

ODD = (
    "\x00", "a\x00b", 'meta."a\x00b":x', "\ud800", "1e400", "-1", "9" * 30, str(1 << 63), str(1 << 31), "NaN", "", "[]", "%",
    '{"a": "\\u0000"}', "\u202e漢字é", "１２", "²", "x" * 10_000, "9999-12-31T23:59", "0001-01-01T00:00", "2026-11-28T25:61",
    "http://[::1", "{{", "{% x %}", "a@b", "\r\nX: y", encode_cursor("\x00"), encode_cursor("9" * 40), encode_cursor(-1), "!!",
)  # fmt: skip

ASKED = (
    "q", "cursor", "part", "find", "reason", "live", "after", "status", "key", "path", "request_id", "since", "until", "action",
    "actor", "subject", "cause", "recipient", "created_after", "created_before", "id", "address", "period", "range", "by",
    "compare", "from", "to", "locale", "version", "next", "priority", "sender", "size", "tags", "provider", "template",
)  # fmt: skip


def quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def form(words: dict[str, str]) -> str:
    return "&".join(f"{name}={quoted(word)}" for name, word in words.items())


def walked(resolver: URLResolver, before: str = "") -> list[str]:
    """The pattern of every path that is no call of the API, as Django writes it down."""
    found: list[str] = []
    for one in resolver.url_patterns:
        path = before + str(one.pattern)
        found += [path] if isinstance(one, URLPattern) else walked(one, path)
    return [path for path in found if "^" not in path and not is_api("/" + path) and path != "logout"]


def filled(path: str, word: str, visitor: Visitor) -> str:
    """The path with the account in its place and the odd word, or a number as odd, in all others."""
    number = str(1 << 70)
    while "<" in path:
        head, _, rest = path.partition("<")
        asked, _, tail = rest.partition(">")
        kind, _, name = asked.rpartition(":")
        known = {"slug": visitor.account.slug, "environment": visitor.environment} if "app/" in head else {}
        path = head + known.get(name, number if kind == "int" else quoted(word) or "-") + tail
    return "/" + path


def answered(visitor: Visitor, method: str, path: str, words: dict[str, str]) -> int:
    """The status; what a view raises is raised here."""
    client = visitor.client
    if method == "GET":
        return client.get(f"{path}?{form(words)}").status_code
    return client.post(path, form(words), content_type="application/x-www-form-urlencoded").status_code


@pytest.fixture(params=["owner", "operator"])
def visitor(request, owner, operator) -> Visitor:
    if request.param == "owner":
        return owner
    operator.client.post("/operator/accounts/acme/enter")
    return operator


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_odd_words_in_a_path_are_no_fault_of_ours(visitor, method):
    wrong = []
    for at, path in enumerate(walked(get_resolver())):
        for word in (ODD[at % len(ODD)], "\x00", "\ud800"):
            status = answered(visitor, method, filled(path, word, visitor), {})
            wrong += [(path, word, status)] * (status >= 500)
    assert wrong == []


def test_odd_accounts_and_environments_are_not_there(owner, operator):
    for word in ODD:
        for visitor in (owner, operator):
            assert visitor.client.get(f"/app/{quoted(word) or '-'}/live/members").status_code == 404
        assert operator.client.get(f"/operator/accounts/{quoted(word) or '-'}").status_code == 404
        assert owner.client.get(f"/app/acme/{quoted(word) or '-'}/members").status_code == 404


def test_odd_words_in_a_query_are_no_fault_of_ours(owner, acme: Account):
    domain(acme, "acme.example")
    message_id = send(Api(builders.api_key(acme)), recipient="kim@hanbit.example")
    wrong = []
    for at, (name, pattern) in enumerate(PAGES.items()):
        path = filled("app/<slug>/<environment>/" + str(pattern.pattern), message_id, owner)
        for offset in (0, 11):
            words = {asked: ODD[(at + place + offset) % len(ODD)] for place, asked in enumerate(ASKED)}
            status = answered(owner, "GET", path, words)
            wrong += [(name, status)] * (status >= 500)
        for word in (base64.urlsafe_b64encode(b"\xff").decode(), ODD[at % len(ODD)]):
            status = answered(owner, "GET", path, {"cursor": word})
            wrong += [(name, word, status)] * (status >= 500)
    assert wrong == []


def test_odd_words_in_a_form_are_no_fault_of_ours(owner, acme):
    """The fields of each form as its page shows them, each with another odd word."""
    wrong = []
    for at, (name, pattern) in enumerate(PAGES.items()):
        view = pattern.callback.view_class
        if not {"GET", "POST"} <= set(view.actions) or pattern.pattern.converters.keys() - {"slug", "environment"}:
            continue
        path = owner.url(str(pattern.pattern))
        fields = set(re.findall(r'name="([\w-]+)"', owner.client.get(path).content.decode())) - {"viewport"}
        for turn in range(4):
            words = {asked: ODD[(at + place * 7 + turn * 5) % len(ODD)] for place, asked in enumerate(sorted(fields))}
            status = answered(owner, "POST", path, words)
            wrong += [(name, turn, status)] * (status >= 500)
    assert wrong == []
