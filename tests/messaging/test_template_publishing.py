"""What publishing makes of a template: CSS in the elements, a text from the HTML, and warnings; Liquid survives all of it."""

import re
import socketserver
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.templating import advice, plain
from messaging.templating.inlining import NotInlined, inlined
from messaging.templating.rendering import Source, TemplateFault, compiled, render


def inline(html: str, **more: str) -> str:
    return inlined({"content": html, **more}, "content")[0]["content"]


def test_rules_of_a_style_sheet_go_into_the_elements_they_apply_to():
    assert inline("<style>p { color: red } .b > a { margin: 0 }</style><div class=b><a>x</a></div><p>y</p>") == (
        '<div class=b><a style="margin: 0;">x</a></div><p style="color: red;">y</p>'
    )


def test_what_cannot_be_inlined_stays_in_the_style_sheet():
    css = "p{color:red} a:hover{color:blue} @media (max-width:600px){p{width:100%!important}}"
    made = inline(f"<style>{css}</style><p>y</p>")
    assert "a:hover" in made
    assert "@media (max-width:600px){p{width:100%!important}}" in made
    assert made.endswith('<p style="color: red;">y</p>')
    assert "p{color:red}" not in made


def test_an_elements_own_style_wins_unless_the_sheet_says_important():
    assert inline('<style>p{color:red}</style><p style="color:blue">x</p>').endswith('<p style="color: blue">x</p>')
    made = inline('<style>p{color:red !important}</style><p style="color:{{ c }}">x</p>')
    assert made == '<p style="color: red !important;color:{{ c }}">x</p>'


def test_liquid_survives_in_text_attributes_styles_and_sheets():
    html = """<style>td { padding: {{ pad }}px; color: #{{ color | default: "fff" }} }</style>
<table>{% for i in items %}<tr><td style="margin:{{ m }}px" title='{{ i | append: "<" }}'>{{ i }}</td></tr>{% endfor %}</table>
{% if a > 1 and b < 2 %}<p>{{ "x" | append: '>' }} &amp; <b>y</p>{% endif %}{% raw %}{{ <p> }}{% endraw %}"""
    made = inline(html)
    assert 'style="padding: {{ pad }}px;color: #{{ color | default: "fff" }};margin:{{ m }}px"' in made
    before, after = (html.split("</style>")[1], made)
    assert after.replace(
        ' style="padding: {{ pad }}px;color: #{{ color | default: "fff" }};margin:{{ m }}px"', ""
    ).strip() == (before.replace(' style="margin:{{ m }}px"', "").strip())


@pytest.mark.parametrize(
    "element",
    [
        '<p class="{% if x %}red{% endif %}">t</p>',
        '<p {% if x %}class="red"{% endif %}>t</p>',
        '<p class="{{ x }}">t</p>',
    ],
)
def test_an_element_whose_class_depends_on_data_leaves_the_sheet_whole(element):
    html = f"<style>.red{{color:red}}</style>{element}<b class=red>x</b>"
    made = inline(html)
    assert made == html.replace("<b class=red>", '<b style="color: red;" class=red>')


def test_a_sheet_of_another_medium_or_with_conditions_stays_as_it_is():
    for sheet in ('<style media="print">p{color:red}</style>', "<style>{% if x %}p{color:red}{% endif %}</style>"):
        html = f"{sheet}<p>x</p>"
        assert inline(html) == html


def test_the_layouts_sheet_reaches_content_and_partials():
    made, _ = inlined(
        {
            "layout": "<style>p{color:red} .in a{margin:0}</style><div class=in>{{ content }}</div>",
            "content": "<p>{% render 'link' %}</p>",
            "partial:link": "<a>x</a>",
        },
        "layout",
    )
    assert made["content"] == "<p style=\"color: red;\">{% render 'link' %}</p>"
    assert made["partial:link"] == '<a style="margin: 0;">x</a>'


def test_nothing_is_fetched():
    visits = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            visits.append(self.client_address)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/a.css"
        inline(f'<link rel="stylesheet" href="{url}"><style>@import url({url}); p{{color:red}}</style><p>x</p>')
        inline('<link rel="stylesheet" href="file:///etc/hostname"><style>p{color:red}</style><p>x</p>')
        server.shutdown()
    assert visits == []


@pytest.mark.parametrize(
    "html",
    [
        "<style>" + "p{color:red}" * 2_000 + "</style>" + "<p>x</p>" * 4_000,
        "<style>p{color:red}</style>" + "<p><b>" * 2_000,
        "<style>" + "a" * 200_000 + "</style><p>",
        "<style>p{color:red}</style>" + "<div>" * 6_000,
    ],
)
def test_work_out_of_proportion_is_not_begun(html):
    with pytest.raises(NotInlined):
        inline(html)


HTML_PIECES = """<p> </p> <a</a> <b <td <table> </table> <style> </style> <!-- --> class="x" style="color:red" ' " = > < {{ }} {%
    %} {{x}} {%if-x%} {%endif%} p{color:red} .x{margin:0} @media x{ } &amp; é \ue000 <title> </title> <script> <style/>
    data-lq="1" lq1z"""


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*HTML_PIECES.split(), " ", "\n"]), max_size=40).map("".join))
def test_any_html_keeps_all_that_is_no_style(html):
    try:
        made = inline(html)
    except NotInlined:
        return
    assert without_styles(made) == without_styles(html)
    assert isinstance(plain_text(html), str)


def without_styles(html: str) -> str:
    rest = re.sub(r'<style.*?(</style[^>]*>|$)|\s*style="[^"]*"', "", html, flags=re.DOTALL)
    return "".join(rest.split())


def plain_text(html: str) -> str:
    try:
        return plain.from_html(html)
    except plain.NoText:
        return ""


def shown(html: str, **data) -> str:
    """The text template of this HTML, rendered."""
    return render(Source("k", 1, None, None, plain.from_html(html)), data).text


def test_a_text_is_made_that_says_what_the_html_says():
    html = """<h1>{{ title }}</h1>
<ul>
{% for item in items %}
<li>{{ item.name }}: {{ item.price }}</li>
{% endfor %}
</ul>
{% if url %}<p>Pay <a href="{{ url }}">here</a>.</p>{% endif %}
<p>Bye</p>"""
    data = {"title": "A & B", "items": [{"name": "<Tea>", "price": 3}, {"name": "Cake", "price": 5}]}
    assert shown(html, **data) == "A & B\n\n- <Tea>: 3\n- Cake: 5\n\nBye"
    assert "Pay here (https://a.example/?x=1&y=2)." in shown(html, url="https://a.example/?x=1&y=2", **data)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<a href="{{ u }}">{{ u }}</a>', "https://a.example"),
        ('<a href="https://b.example/?t={{ n }}">go</a>', "go (https://b.example/?t=7)"),
        ('<img alt="Photo of {{ n }}" src="{{ u }}">', "Photo of 7"),
        ('<div style="display:none">{{ n }}</div>x', "x"),
        ("{% comment %}<p>no</p>{% endcomment %}x", "x"),
        ("{% if n > 3 %}more{% else %}less{% endif %}", "more"),
        ("<p>a</p>{%- for i in (1..2) -%}<tr><td>{{- i }}</td></tr>{%- endfor %}<p>b</p>", "a\n\n1\n2\n\nb"),
        ("a\n{%- if n -%}\n b {{- n -}} c{% endif %}", "ab7c"),
    ],
)
def test_links_images_and_hidden_parts_are_as_in_any_text(html, text):
    assert shown(html, u="https://a.example", n=7).strip() == text


def test_a_link_that_depends_on_a_condition_makes_no_text_template():
    with pytest.raises(plain.NoText):
        plain.from_html('<a {% if x %}href="https://a.example"{% else %}href="https://b.example"{% endif %}>go</a>')


def warned(html: str) -> list[str]:
    return [item["code"] for item in advice.warnings(Source("k", 1, "s", html, None))]


@pytest.mark.parametrize(
    ("html", "codes"),
    [
        ('<img src="https://a.example/x.png" alt="" width="1" height="1"><a href="https://a.example">x</a>', []),
        ('<img src="x" width=1 height=1>', ["image_without_alt"]),
        ('<img src="x" alt="" width=1>', ["image_without_size"]),
        ('<a href="http://a.example/{{ x }}">x</a>', ["insecure_link"]),
        ('<p style="position:absolute">x</p>', ["position_ignored"]),
        ("<style>p{position : fixed}</style>", ["position_ignored"]),
        ('<p style="background-position:0">x</p>', []),
        ("<script>x</script><form><iframe></iframe></form>", ["element_blocked"] * 3),
        ("<!-- <script> -->", []),
        ("x" * 104_449, ["html_clipped"]),
    ],
)
def test_what_mail_clients_make_trouble_with_is_told(html, codes):
    assert warned(html) == codes


def test_publishing_tells_the_warnings_and_inlines(api):
    html = '<style>p{color:red}</style><p>{{ x }}</p><img src="http://a.example/x.png">'
    answer = api.post("/v1/templates", {"key": "note", "subject": "s", "html": html, "publish": True})
    assert {item["code"] for item in answer.json["warnings"]} == {
        "image_without_alt",
        "image_without_size",
        "insecure_link",
    }
    assert answer.json["version"]["html"] == html
    shown = api.post("/v1/templates/note/render", {"template_data": {"x": "1"}}).json
    assert shown["html"].startswith('<p style="color: red;">1</p>')


def test_html_that_grows_too_large_when_its_css_is_inlined_is_refused(api):
    style = "color:red;" * 40
    html = f"<style>p{{{style}font-family:{'x' * 400}}}</style>" + "<p>x</p>" * 1_200
    answer = api.post("/v1/templates", {"key": "note", "subject": "s", "html": html, "publish": True})
    assert answer.faults == {"html": "too_long"}


def test_what_is_published_compiles():
    with pytest.raises(TemplateFault):
        render(Source("k", 1, None, "{{ x", None), {})
    assert compiled("html", inline("<style>p{x:{{ y }}}</style><p>{{ z }}</p>"))
