"""Mustache and Handlebars templates, taken over: what is converted renders the same, and what is not is told with its place."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.templating.importing import convert
from messaging.templating.rendering import Piece, Source, TemplateFault, render

DATA = {
    "name": "Kim <3",
    "paid": False,
    "zero": 0,
    "nothing": "",
    "none": [],
    "total": 7,
    "plan": "pro",
    "user": {"first": "Kim", "address": {"city": "Seoul"}},
    "items": [{"name": "Tea", "tags": ["a", "b"]}, {"name": "Cake", "tags": []}],
    "words": ["x", "y"],
}


def converted(text: str, source: str = "handlebars", sample: dict | None = None) -> str:
    made = convert(source, {"text": text}, sample or {})
    assert made.faults == ()
    return made.parts["text"]


def shown(text: str, source: str = "handlebars", sample: dict | None = None) -> str:
    partials = {"row": Piece(None, "[{{ label }}]")}
    return render(Source("k", 1, None, None, converted(text, source, sample), partials=partials), DATA).text


HANDLEBARS = [
    ("Hello {{name}}, {{ user.address.city }}!", "Hello Kim <3, Seoul!"),
    ("{{#if user}}yes{{else}}no{{/if}}", "yes"),
    ("{{#if paid}}a{{else if total}}b{{else}}c{{/if}}", "b"),
    ("{{#if zero}}a{{/if}}{{#if nothing}}b{{/if}}{{#if none}}c{{/if}}{{#if absent}}d{{/if}}", ""),
    ("{{#unless paid}}due{{else}}ok{{/unless}}{{#unless total}}x{{/unless}}", "due"),
    ("{{#each items}}{{@index}}{{name}}{{#unless @last}}, {{/unless}}{{/each}}", "0Tea, 1Cake"),
    ("{{#each items}}{{this.name}}:{{../total}} {{/each}}", "Tea:7 Cake:7 "),
    ("{{#each items}}{{#each tags}}{{this}}{{../name}}{{../../total}} {{/each}}{{/each}}", "aTea7 bTea7 "),
    ("{{#each words as |w i|}}{{i}}{{w}}{{../total}}{{/each}}", "0x71y7"),
    ("{{#each none}}x{{else}}none of {{total}}{{/each}}", "none of 7"),
    ("{{#with user}}{{first}} in {{address.city}} {{@root.total}}{{/with}}", "Kim in Seoul 7"),
    ("{{#with absent}}x{{else}}no{{/with}}", "no"),
    ("{{#if (eq plan 'pro')}}P{{/if}}{{#if (gt total 10)}}G{{/if}}", "P"),
    ("{{! gone }}{{!-- {{name}} --}}a", "a"),
    ("a\n{{#if user}}\n  b\n{{/if}}\nc\n", "a\n  b\nc\n"),
    ("a {{~#if user~}} b {{~/if~}} c", "abc"),
    (r"\{{name}} {% if %} {{ total }}", "{{name}} {% if %} 7"),
    (r"\\{{total}}", "\\7"),
    ("{{#each items}}{{> row label=name}}{{/each}}", "[Tea][Cake]"),
    ("{{items.[1].name}} {{items.0.name}}", "Cake Tea"),
    ("{ {{total}} } { {{{total}}}", "{ 7 } { 7"),
    ("100 %} {%{{total}}", "100 %} {%7"),
]


@pytest.mark.parametrize(("text", "result"), HANDLEBARS)
def test_handlebars_render_the_same(text, result):
    assert shown(text) == result


MUSTACHE = [
    ("Hello {{name}}", "Hello Kim <3"),
    ("{{#items}}{{name}}{{total}} {{/items}}", "Tea7 Cake7 "),
    ("{{#words}}{{.}}{{/words}}{{^none}}-{{/none}}{{^paid}}due{{/paid}}", "xy-due"),
    ("{{#user}}{{first}}{{#address}}{{city}}{{/address}}{{/user}}", "KimSeoul"),
    ("{{#total}}{{total}} left{{/total}}{{#paid}}x{{/paid}}{{#zero}}y{{/zero}}", "7 left"),
    ("{{&name}} {{{name}}}", "Kim <3 Kim <3"),
    ("{{#items}}\n- {{name}}\n{{/items}}\nend", "- Tea\n- Cake\nend"),
]


@pytest.mark.parametrize(("text", "result"), MUSTACHE)
def test_mustache_renders_the_same_with_an_example_of_the_data(text, result):
    assert shown(text, "mustache", DATA) == result


REFUSED = [
    ("a\n  {{formatDate when 'YYYY'}}", "line 2, column 3"),
    ("{{#compare a b}}x{{/compare}}", "compare is no helper"),
    ("{{#each items}}{{@key}}{{/each}}", "line 1, column 16"),
    ("{{#if (and a b)}}x{{/if}}", "helper"),
    ("{{#if a}}x", "not closed"),
    ("{{#if a}}x{{/each}}", "/if was expected"),
    ("x{{/if}}", "closes nothing"),
    ("{{name", "not closed"),
    ("{{../name}}", "out of the template"),
    ("{{else}}", "outside of any block"),
    ("{{{{raw}}}}x{{{{/raw}}}}", "Raw blocks"),
    ("{{=<% %>=}}", "delimiters"),
    ("{{this}}", "as a whole"),
    ("{{#each items as |total|}}{{../total}}{{/each}}", "means two things"),
    ("{{#each items}}{{> row}}{{/each}}", "needs what it prints"),
    ("{{> (lookup . 'x')}}", "named by a key"),
    ("{{#> layout}}x{{/layout}}", "no helper"),
    ("{{#flag}}x{{/flag}}", "cannot be told"),
    ("{{@index}}", "outside of any loop"),
    ("{{empty}}", "word of our language"),
    ("{{first name}}", "arguments"),
    ("{{}}", "empty"),
    ("{{'text'}}", "no name"),
    ("{{a.__class__()}}", "arguments"),
    ("{{a.[b c]}}", "arguments"),
    ("{{a..b}}", "no name"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_has_no_equal_is_a_fault_with_its_place(text, message):
    fault, *_ = convert("handlebars", {"text": text}, {}).faults
    assert (fault.field, fault.code) == ("text", "invalid_template")
    assert message in fault.message
    assert ", line " in fault.message


def test_all_faults_of_all_parts_are_told_at_once():
    made = convert("handlebars", {"subject": "{{a b}} {{c d}}", "html": "{{#x y}}{{z w}}{{/x}}"}, {})
    assert [fault.field for fault in made.faults] == ["subject", "subject", "html", "html"]


def test_raw_output_becomes_escaped_with_a_warning():
    made = convert("handlebars", {"html": "a\n {{{bio}}}"}, {})
    assert made.parts["html"] == "a\n {{ bio }}"
    assert [(item["code"], "line 2, column 2" in item["message"]) for item in made.warnings] == [("raw_escaped", True)]


def test_a_name_that_mustache_might_find_outside_is_warned_of():
    made = convert("mustache", {"text": "{{#items}}{{.}}{{name}}{{/items}}"}, {})
    assert [item["code"] for item in made.warnings] == ["looked_up_inside"]


def test_a_loops_item_takes_no_name_that_is_in_use():
    assert converted("{{item}}{{#each items}}{{item}}{{/each}}") == (
        "{{ item }}{% for item2 in items %}{{ item2.item }}{% endfor %}"
    )


_pieces = """{{name}} {{{name}}} {{#if user}} {{else}} {{/if}} {{#each items}} {{/each}} {{this}} {{this.name}} {{@index}}
    {{../total}} {{#with user}} {{/with}} {{first}} {{#unless paid}} {{/unless}} {{!x}} {{>row}} {{#items}} {{/items}} {{^items}}
    {{.}} {% %} {{ }} { } ~ \\ " {{~name~}} {{#each_words}} text {{^}}"""
PIECES = _pieces.split()


CALLS = ["{{#if (eq plan 'pro')}}", "{{#each words as |w|}}", "\n", " "]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*PIECES, *CALLS]), max_size=15).map("".join))
def test_whatever_is_converted_compiles(text):
    for source in ("handlebars", "mustache"):
        made = convert(source, {"text": text}, DATA)
        if not made.faults:
            with suppress(TemplateFault):
                render(Source("k", 1, None, None, made.parts["text"], partials={"row": Piece(None, "")}), DATA)
            assert convert(source, {"text": text}, DATA) == made


def test_the_result_can_be_saved_as_a_draft_and_published(api):
    body = {"source": "handlebars", "subject": "Order {{number}}", "html": "{{#each items}}<p>{{name}}</p>{{/each}}"}
    answer = api.post("/v1/templates/import", body | {"save_as": "order"})
    assert answer.status == 200
    assert answer.json["variables"] == [{"name": "items", "type": "array"}]
    assert (answer.json["saved"]["key"], answer.json["saved"]["version"]["status"]) == ("order", "draft")
    assert api.post("/v1/templates/order/publish", {}).status == 200
    again = api.post("/v1/templates/import", body | {"save_as": "order", "subject": "Your order"}).json
    assert (again["saved"]["version"]["version"], again["saved"]["published_version"]) == (2, 1)


def test_nothing_is_saved_when_something_cannot_be_converted(api):
    answer = api.post("/v1/templates/import", {"source": "handlebars", "html": "{{a b}}", "save_as": "order"})
    assert answer.faults == {"html": "invalid_template"}
    assert api.get("/v1/templates/order").status == 404


def test_the_call_converts_without_saving(api):
    answer = api.post("/v1/templates/import", {"source": "mustache", "text": "Hi {{name}} {{>foot}}"}).json
    assert (answer["text"], answer["partials"], answer["saved"]) == (
        "Hi {{ name }} {% render 'foot' %}",
        ["foot"],
        None,
    )
    assert api.get("/v1/templates").json["data"] == []
