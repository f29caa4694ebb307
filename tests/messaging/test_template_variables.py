"""Declared variables: types, defaults, what may be absent, and what is sensitive."""

import pytest

from messaging import templating
from messaging.models import MessageContent
from messaging.templating.declarations import Variable, fill
from tests.world import post

HTML = "<p>{{ user.name }} {{ count }} {% if note %}{{ note }}{% endif %}</p>"
DECLARED = [
    {"name": "user.name", "type": "string", "sensitive": True},
    {"name": "count", "type": "integer", "default": 1},
    {"name": "note", "type": "string", "required": False},
]


def declared(api, html=HTML, variables=DECLARED):
    answer = api.post(
        "/v1/templates", {"key": "note", "subject": "s", "html": html, "variables": variables, "publish": True}
    )
    assert answer.status == 201, answer.json
    return answer.json


def templated(api, **data):
    return post(api, subject=None, text=None, template="note", template_data=data)


def test_defaults_are_filled_in_and_given_values_are_kept(api):
    declared(api)
    sent = templated(api, user={"name": "Kim"}).json["message_id"]
    assert MessageContent.objects.get(message_id=sent).html == "<p>Kim 1 </p>"
    sent = templated(api, user={"name": "Kim"}, count=3, note="Hi").json["message_id"]
    assert MessageContent.objects.get(message_id=sent).html == "<p>Kim 3 Hi</p>"


def test_every_wrong_type_and_missing_variable_is_told_at_once(api):
    declared(api)
    assert templated(api, count="3", note=7).faults == {
        "template_data.user.name": "required",
        "template_data.count": "invalid_type",
        "template_data.note": "invalid_type",
    }


def test_a_required_variable_must_be_there_though_the_template_does_not_print_it(api):
    declared(api, html="<p>x</p>")
    assert templated(api).faults == {"template_data.user.name": "required"}


def test_an_optional_variable_is_no_blank_where_it_is_printed(api):
    declared(api, html="{{ note }}", variables=DECLARED[2:])
    assert templated(api).faults == {"template_data.note": "required"}


def test_sensitive_variables_are_told_with_the_template(acme):
    declared(acme.live)
    found = templating.resolve(acme.account.pk, "note", None)
    assert (found.key, found.version, found.locale, found.sensitive) == ("note", 1, None, ("user.name",))


FITS = {
    "string": (["", "x"], [1, True, [], {}]),
    "number": ([1, 1.5, -2], ["1", True]),
    "integer": ([1, 0], [1.5, "1", False]),
    "boolean": ([True, False], [1, "true"]),
    "array": ([[], [1]], ["x", {}]),
    "object": ([{}], [[], "x"]),
    "url": (["https://a.example/x?y=1", "http://a.example", "mailto:a@b.example"], [1]),
    "date": (["2026-04-19", "2026-04-19T14:30:00Z"], [20260419]),
}


@pytest.mark.parametrize("kind", FITS)
def test_a_type_takes_its_values_and_no_others(kind):
    good, bad = FITS[kind]
    variables = [Variable("x", kind)]
    assert [fill(variables, {"x": value})[1] for value in good] == [[]] * len(good)
    codes = [[fault.code for fault in fill(variables, {"x": value})[1]] for value in bad]
    assert codes == [["invalid_type"]] * len(bad)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("url", "javascript:alert(1)"), ("url", "data:text/html,x"), ("url", "//a.example"), ("url", "https://"),
     ("url", "https://a.example/ x"), ("url", "java\nscript:x"), ("url", "https://["), ("date", "19.4.2026"), ("date", "")],
)  # fmt: skip
def test_a_text_of_the_wrong_form_is_an_invalid_value(kind, value):
    assert [fault.code for fault in fill([Variable("x", kind)], {"x": value})[1]] == ["invalid_value"]


def test_the_callers_data_is_not_changed_by_a_default():
    data = {"user": {"name": "Kim"}}
    filled, faults = fill([Variable("user.role", "string", False, "guest"), Variable("a.b", "object", False, {})], data)
    assert (filled, faults) == ({"user": {"name": "Kim", "role": "guest"}, "a": {"b": {}}}, [])
    assert data == {"user": {"name": "Kim"}}


def test_a_default_inside_something_that_is_no_object_is_a_wrong_type():
    assert fill([Variable("user.role", "string", False, "guest")], {"user": "Kim"})[1][0].code == "invalid_type"


@pytest.mark.parametrize(
    ("html", "warned"),
    [
        ("{{ user.name }}{{ user.name | default: 'x' | escape | upcase }}", None),
        ("<p>\n{{ user.name | slice: 0, 2 }}</p>", "html: The filter slice changes user.name, which is sensitive"),
        ("{% assign x = user.name | split: '' %}{{ x[0] }}", "The filter split changes user.name"),
        ("{% render 'greeting' %}", "partial greeting: The filter truncate changes user.name"),
        ("{{ count | plus: 1 }}", None),
        ("{{ user.name.first | slice: 1 }}", "The filter slice changes user.name.first"),
    ],
)
def test_publishing_warns_of_a_filter_whose_result_can_not_be_masked(api, html, warned):
    text = "{{ user.name | truncate: 3 }}"
    api.post("/v1/templates", {"key": "greeting", "kind": "partial", "html": text, "publish": True})
    found = [one["message"] for one in declared(api, html)["warnings"] if one["code"] == "sensitive_filtered"]
    assert len(found) == (warned is not None)
    assert all(warned in message and "line " in message for message in found)
