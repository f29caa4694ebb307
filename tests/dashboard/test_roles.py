"""Who may do what: every page of an account, every method of it, for every role."""

import pytest
from django.urls import URLPattern, reverse

from sendarix.accounts import audit
from sendarix.accounts.models import Role
from sendarix.dashboard import permissions, urls
from tests.dashboard.visitors import Visitor

WORDS = {"int": "1", "str": "nothing-has-this-name", "slug": "nothing", "path": "nothing"}
METHODS = ("GET", "POST")
PAGES = {pattern.name: pattern for pattern in urls.account}


def path_of(pattern: URLPattern, slug: str, environment: str = "live") -> str:
    """A page's path with words for what it asks for."""
    given = {name: WORDS[_kind(made)] for name, made in pattern.pattern.converters.items()}
    return reverse(pattern.name, kwargs={"slug": slug, "environment": environment, **given})


def _kind(converter: object) -> str:
    return type(converter).__name__.removesuffix("Converter").replace("String", "str").lower()


@pytest.mark.parametrize("pattern", PAGES.values(), ids=PAGES)
def test_a_page_names_the_action_of_each_of_its_methods(pattern):
    view = pattern.callback.view_class
    answered = {method for method in METHODS if hasattr(view, method.lower())}
    assert answered == set(view.actions) != set()
    assert set(view.live_actions) <= set(view.actions)
    assert {*view.actions.values(), *view.live_actions.values()} <= permissions.ACTIONS


@pytest.mark.parametrize("environment", ["live", "test"])
@pytest.mark.parametrize("role", permissions.ALLOWED)
def test_a_role_gets_at_what_the_table_says_and_at_nothing_else(member, role, environment):
    visitor = member(role)
    wrong = []
    for name, pattern in PAGES.items():
        for method in METHODS:
            action = pattern.callback.view_class.action(method, environment == "live")
            barred = action is not None and action not in permissions.ALLOWED[role]
            status = visitor.client.generic(method, path_of(pattern, "acme", environment)).status_code
            if (status == 403, status == 405) != (barred, action is None):
                wrong.append((name, method, action, status))
    assert wrong == []


@pytest.mark.parametrize("pattern", PAGES.values(), ids=PAGES)
def test_who_is_not_logged_in_is_asked_to(client, acme, pattern):
    for method in METHODS:
        answer = client.generic(method, path_of(pattern, "acme"))
        assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/login")


@pytest.mark.parametrize("pattern", PAGES.values(), ids=PAGES)
def test_another_account_is_not_there(owner, globex, pattern):
    assert {owner.client.generic(method, path_of(pattern, "globex")).status_code for method in METHODS} == {404}


def test_a_path_that_the_database_would_not_take_is_no_page(owner):
    for name, pattern in PAGES.items():
        path = path_of(pattern, "acme").replace(WORDS["str"], "%00")
        assert owner.client.get(path).status_code != 500, name
    assert {owner.get(path).status_code for path in ("keys/%00", "messages/%00", "queues/pauses/%00/resume")} == {404}


def test_an_operator_sees_an_account_only_while_acting_as_it(operator, acme):
    assert operator.get().status_code == 404
    assert operator.client.get("/operator/").status_code == 200
    operator.client.post("/operator/accounts/acme/enter")
    page = operator.page()
    assert "You act as Acme" in page
    assert operator.get("members").status_code == 200
    entry = audit.entries(acme.pk).get(action="operator.entered")
    assert entry.actor == "operator:operator@sendarix.example"
    operator.client.post("/operator/leave")
    assert operator.get().status_code == 404


def test_an_operator_acts_as_one_account_only(operator, globex):
    operator.client.post("/operator/accounts/acme/enter")
    assert operator.at(globex).get().status_code == 404


def test_what_an_operator_changes_is_in_the_audit_log_under_their_name(operator, acme, platform):
    operator.client.post("/operator/accounts/acme/enter")
    operator.sent("members", {"email": "lee@hanbit.example", "role": Role.SUPPORT})
    assert audit.entries(acme.pk).get(action="member.invited").actor == "operator:operator@sendarix.example"


def test_members_do_not_see_the_platform(owner):
    assert owner.client.get("/operator/").status_code == 404
    assert owner.client.post("/operator/accounts/acme/enter").status_code == 404
    assert owner.client.get("/operator/admin/").status_code in (302, 404)


def test_there_are_no_other_environments(member):
    assert Visitor(member(Role.OWNER).user, member(Role.ADMIN).account, "staging").get().status_code == 404
