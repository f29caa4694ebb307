"""Templates: what they may say, what is reported when they cannot be rendered, and that none runs away."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging import demo_templates
from messaging.templating import Source, TemplateFault, mask
from messaging.templating.rendering import PARTS, check, render, variables


def demo(key: str) -> Source:
    """A template of the demo account, without its layout and what it declares."""
    return Source(key, 1, *(demo_templates.TEMPLATES[key][part] for part in PARTS))


INVOICE, OTP_CODE, PASSWORD_RESET, WELCOME = map(demo, ("invoice", "otp-code", "password-reset", "welcome"))


def source(html: str | None = None, subject: str | None = None, text: str | None = None) -> Source:
    return Source("order", 1, subject, html, text)


def faults(template: Source, data: dict) -> list[tuple[str, str]]:
    with pytest.raises(TemplateFault) as caught:
        render(template, data)
    return [(fault.field, fault.code) for fault in caught.value.faults]


def test_values_are_escaped_in_html_and_raw_in_subject_and_text():
    rendered = render(source("<p>{{ n }}</p>", "For {{ n }}", "{{ n }}"), {"n": "<b>&\"'"})
    assert rendered.html == "<p>&lt;b&gt;&amp;&#34;&#39;</p>"
    assert (rendered.subject, rendered.text) == ("For <b>&\"'", "<b>&\"'")


@pytest.mark.parametrize(
    "expression",
    ["n | upcase", "n | escape_once", "n | newline_to_br", "n | url_decode", "n | replace: 'x', n", "n | strip_html",
     "n | append: n", "n | split: '' | join: ''", "l | join: n", "l | first", "n | truncate: 99", "m | base64_decode"],
)  # fmt: skip
def test_no_filter_is_a_way_around_escaping(expression):
    rendered = render(source(f"{{{{ {expression} }}}}"), {"n": "<b>x</b>", "l": ["<b>", "<i>"], "m": "PGI+"})
    assert "<" not in rendered.html.lower().replace("<br />", "")


def test_every_missing_variable_is_named_at_once():
    template = source(
        "{{ code }} {{ user.name }} {{ note | default: '-' }} {% if gift %}{{ gift }}{% endif %}"
        "{% for item in items %}{{ item.price | times: 2 }}{% endfor %}",
        "{{ code }} {{ number }}",
    )
    assert faults(template, {"user": {}, "number": None, "items": [{"price": 1}, {}]}) == [
        ("template_data.code", "required"),
        ("template_data.number", "required"),
        ("template_data.user.name", "required"),
        ("template_data.items.1.price", "required"),
    ]


def test_a_missing_list_is_a_missing_variable():
    assert faults(INVOICE, {"number": "7", "total": "1 €", "due_date": "1 May"}) == [
        ("template_data.items", "required")
    ]


def test_a_variable_missing_inside_a_filter_is_not_printed_as_zero():
    assert faults(source("{{ price | times: 3 }} {{ list | size }}"), {}) == [
        ("template_data.price", "required"),
        ("template_data.list", "required"),
    ]


def test_empty_text_zero_and_false_are_values():
    assert render(source("[{{ a }}{{ b }}{{ c }}]"), {"a": "", "b": 0, "c": False}).html == "[0false]"


def test_an_object_or_array_where_text_is_printed_is_a_wrong_type():
    data = {"user": {"name": "Kim"}, "tags": ["a"]}
    assert faults(source("{{ user }} {{ tags }}"), data) == [
        ("template_data.user", "invalid_type"),
        ("template_data.tags", "invalid_type"),
    ]
    assert render(source("{{ tags | join: ', ' }} {{ user.name }}"), data).html == "a Kim"


@pytest.mark.parametrize("mark", ["\n", "\r", "\x0b", "\x1c", "\u2028"])
def test_a_line_break_in_the_rendered_subject_is_a_fault_of_the_subject(mark):
    assert faults(source("x", "Hi {{ n }}"), {"n": f"a{mark}Bcc: b"}) == [("subject", "invalid_value")]


@pytest.mark.parametrize(
    "text",
    ["{{ x", "{% if x %}", "{% include 'x' %}", "{% render x %}", "{% render '../x' %}", "{% extends 'x' %}", "{{ x | safe }}",
     "{{ x | unknown }}", "{% endif %}", "{{ }}", "{% raw %}", "{{ | }}", "{% if x %}" * 30 + "{% endif %}" * 30],
)  # fmt: skip
def test_a_template_that_cannot_work_is_found_when_it_is_checked(text):
    with pytest.raises(TemplateFault) as caught:
        check(source(f"\n{text}", subject=text, text="fine"))
    assert [fault.field for fault in caught.value.faults] == ["subject", "html"]


def test_a_syntax_fault_names_its_line():
    with pytest.raises(TemplateFault, match="line 3, column 4"):
        check(source("a\nb\n{{ | }}"))


@pytest.mark.parametrize("expression", ["x.__class__", "x.upper", "l.append", "x['__class__']", "forloop.__init__"])
def test_attributes_of_python_objects_are_out_of_reach(expression):
    assert faults(source(f"{{{{ {expression} }}}}"), {"x": "a", "l": []})[0][1] == "required"


@pytest.mark.parametrize("expression", ["'AA==' | base64_decode", "'%00' | url_decode", "n | base64_decode"])
def test_no_filter_makes_a_nul_that_the_database_would_refuse(expression):
    assert faults(source(f"{{{{ {expression} }}}}"), {"n": "YQBi"}) == [("template_data", "invalid_value")]


BIG = "x" * 150_000
RUNAWAYS = {
    "nested loops": "{% for a in (1..999) %}{% for b in (1..999) %}{{ b }}{% endfor %}{% endfor %}",
    "many loops": "{% for i in (1..10000) %}{% endfor %}" * 2_400,
    "a long body": "{% for i in (1..10000) %}" + "{% if true %}{% endif %}" * 2_000 + "{% endfor %}",
    "a range reversed": "{% for i in (1..9000000000) reversed %}{% endfor %}",
    "a range searched": "{% if (1..9000000000) contains 'x' %}{% endif %}",
    "a range joined": "{{ (1..9000000000) | join: ',' }}",
    "doubling text": "{% assign a = 'xx' %}{% for i in (1..99) %}{% assign a = a | append: a %}{% endfor %}",
    "doubling lists": "{% assign a = 'a,b' | split: ',' %}{% for i in (1..99) %}{% assign a = a | concat: a %}"
    "{% endfor %}",
    "squaring": "{% assign a = 99 %}{% for i in (1..99) %}{% assign a = a | times: a %}{% endfor %}",
    "replacing nothing": "{{ big | replace: '', big }}",
    "joining with much": "{{ list | join: big }}",
    "uniq": "{{ list | uniq }}",
    "captures": "{% for i in (1..10000) %}{% capture a %}{{ big }}{% endcapture %}{% endfor %}",
    "output": "{{ big }}{{ big }}{{ big }}{{ big }}",
    "unclosed": "{{" * 100_000,
    "unclosed raw": "{% raw %}" * 40_000,
    "blank tags": ("{{ " + " " * 3_900 + "}}") * 100,
    "blanks in tags": ("{% " + "a" * 1_900 + " " * 1_900 + "%}") * 100,
    "deep condition": "{% if " + " and ".join(["a"] * 700) + " %}{% endif %}",
    "deep path": "{{ a" + "[a" * 1_300 + "]" * 1_300 + " }}",
}


@pytest.mark.parametrize("name", RUNAWAYS)
def test_a_template_that_runs_away_is_stopped(name):
    start = time.process_time()
    with pytest.raises(TemplateFault):
        render(source(RUNAWAYS[name]), {"big": BIG, "list": [str(n) for n in range(9_999)], "a": 1})
    assert time.process_time() - start < 2


WORDS = """{{ }} {% %} | : , . .. ( ) [ ] 'a' "b" 1 -1 1.5 a b.c l l[0] n x.size if endif for in endfor else
    unless endunless case when endcase assign capture endcapture = == contains and or nil true empty blank default
    times divided_by round join split map sort uniq date slice truncate replace size first limit offset reversed
    cycle increment tablerow endtablerow break raw endraw comment endcomment liquid echo %}x{% }}y{{"""
PIECES = st.sampled_from(WORDS.split())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcln"), inner, max_size=3),
    max_leaves=9,
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(PIECES, max_size=20).map(" ".join),
    st.dictionaries(st.sampled_from(["a", "b", "l", "n", "x"]), VALUES, max_size=5),
)
def test_any_template_renders_or_tells_its_faults(text, data):
    with suppress(TemplateFault):
        render(source(text, text=f"{{{{{text}}}}}"), data)


def test_the_demo_templates_are_valid_and_name_their_variables():
    for key in demo_templates.TEMPLATES:
        check(demo(key))
    assert list(demo_templates.TEMPLATES) == ["otp-code", "password-reset", "invoice", "welcome"]
    assert variables(OTP_CODE) == ("code", "expires_in")


def test_the_demo_templates_render():
    assert render(OTP_CODE, {"code": "123456", "expires_in": "5 minutes"}).subject.endswith("123456")
    assert render(WELCOME, {"product": "Acme", "start_url": "https://acme.test"}).subject == "Welcome to Acme"
    assert 'href="https://x.test/?a=1&amp;b=2"' in (
        render(PASSWORD_RESET, {"reset_url": "https://x.test/?a=1&b=2", "expires_in": "1 hour"}).html
    )
    lines = [{"description": "Tea", "amount": "3 €"}, {"description": "Cup", "amount": "7 €"}]
    invoice = render(INVOICE, {"number": "7", "total": "10 €", "due_date": "1 May", "items": lines})
    assert "- Tea: 3 €\n- Cup: 7 €\n" in invoice.text


@pytest.mark.parametrize(
    ("text", "values", "shown"),
    [
        ("Your code is 123456", ["123456"], "Your code is •••"),
        ("123456 and 1234", ["1234", "123456"], "••• and •••"),
        ("Code 42 for order 1423", [42], "Code ••• for order 1423"),
        ("Kim &amp; Lee", ["Kim & Lee"], "•••"),
        ("Kim at Acme", [{"name": "Kim", "at": ["Acme", None, True, ""]}], "••• at •••"),
        ("nothing", [], "nothing"),
    ],
)
def test_sensitive_values_are_masked(text, values, shown):
    assert mask(text, values) == shown
