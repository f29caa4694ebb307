"""Hostile templates, layouts and partials together: one budget for all of a message, nothing callable, nothing readable but the
data, and no way out of escaping."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.templating import language
from messaging.templating.rendering import Piece, Source, TemplateFault, render


def source(html: str, layout: str | None = None, **partials: str) -> Source:
    pieces = {name: Piece(text, text) for name, text in partials.items()}
    return Source("note", 1, None, html, html, layout=Piece(layout, layout) if layout else None, partials=pieces)


CALL = "{% render 'p' %}"
MANY = "{% for i in (1..9999) %}"
BIG = "x" * 150_000
ATTACKS = {
    "a partial that renders itself": source(CALL, p=CALL),
    "two that render each other": source(CALL, p="{% render 'q' %}", q=CALL),
    "one that renders itself twice": source(CALL, p=CALL * 2),
    "a tree of partials": source(
        "{% render 'p0' %}", **{f"p{n}": f"{{% render 'p{n + 1}' %}}" * 20 for n in range(7)}, p7="x"
    ),
    "a loop of loops through partials": source(f"{MANY}{CALL}{{% endfor %}}", p=f"{MANY}x{{% endfor %}}"),
    "loops one after the other": source(CALL * 900, p=f"{MANY}{{% endfor %}}"),
    "an empty partial for a long list": source("{% render 'p' for list as x %}" * 30, p=""),
    "a range in a partial": source("{% render 'p' for range as x %}", p="{% for i in (1..9000000000) %}{% endfor %}"),
    "output of partials": source(CALL * 10, p=BIG),
    "captures of partials": source(f"{MANY}{{% capture a %}}{CALL}{{% endcapture %}}{{% endfor %}}", p=BIG),
    "variables handed down": source(
        "{% render 'p', a: big, b: big %}",
        p="{% assign c = a | append: b %}{% assign d = c | append: b %}{% render 'p', a: d, b: d %}",
    ),
    "a layout that repeats its content": source(BIG, "{{ content }}" * 5),
    "a layout that loops over its content": source("y", f"{MANY}{{{{ content }}}}{CALL}{{% endfor %}}", p=BIG),
    "a layout in itself": source("{{ content }}", "{% render 'frame' %}{{ content }}", frame="{% render 'frame' %}"),
    "deep blocks": source("{% if a %}" * 25 + "{% endif %}" * 25),
    "an unknown partial": source("{% render 'nowhere' %}"),
    "a break out of a partial": source(f"{MANY}{CALL}{{% endfor %}}", p="{% break %}"),
    "includes": source("{% include 'p' %}", p="x"),
    "a partial by a variable": source("{% assign n = 'p' %}{% render n %}", p="x"),
    "content filtered": source("x", "{{ content | append: content }}"),
    "content joined": source("x", "{% assign l = content | split: '' %}{{ l }}"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_stopped(name):
    with pytest.raises(TemplateFault):
        render(ATTACKS[name], {"list": list(range(9_999)), "big": BIG, "range": [1], "a": 1})


_reaches = """x.__class__ x.__init__ x.__dict__ x['__class__'] content.text content.__class__ content['text'] forloop.__init__
    forloop.it self context env globals template x.upper l.append l.sort d.items d.keys x.format l[0].__class__ _x data loader"""
REACHES = _reaches.split()


@pytest.mark.parametrize("expression", REACHES)
@pytest.mark.parametrize(
    "wrapper", ["{{{{ {0} }}}}", "{{{{ {0} | default: '' }}}}", "{{% if {0} %}}reached{{% endif %}}"]
)
def test_nothing_but_the_data_can_be_read(expression, wrapper):
    data = {"x": "a", "l": [1], "d": {"k": 1}}
    with suppress(TemplateFault):
        shown = render(source(CALL, "{{ content }}" + wrapper.format(expression), p=wrapper.format(expression)), data)
        assert shown.html == ""


FILTERS = sorted(language.HTML.filters)
EVIL = '<script a="b">&lt;i&gt;%3Cb%3E\'</script>'


@pytest.mark.parametrize("name", FILTERS)
def test_no_filter_opens_up_what_a_capture_or_a_partial_escaped(name):
    for arguments in ("", ": n", ": '&lt;', n", ": 1", ": '', ''"):
        expression = f"a | {name}{arguments}"
        html = f"{{% capture a %}}{{{{ n }}}}{{% endcapture %}}{{{{ {expression} }}}}{{% render 'p', a: a %}}"
        with suppress(TemplateFault):
            shown = render(
                Source("k", 1, None, html, None, partials={"p": Piece(f"{{{{ {expression} }}}}", None)}), {"n": EVIL}
            )
            assert "<" not in shown.html.replace("<br />", ""), expression


_pieces = """{% render 'p' %};{% render 'q', a: b %};{% render 'p' for l as x %};{% render 'q' with l[0] as x %};{{ content }};
    {{ x }};{{ a.b }};{% for x in l %};{% endfor %};{% if x %};{% else %};{% endif %};{% capture c %};{% endcapture %};{{ c }};
    {% break %};{% assign content = x %};{% assign x = content %};{{ content.text }};{{ content | upcase }};{% cycle 1, 2 %};
    {% raw %};{% endraw %};{% tablerow x in l %};{% endtablerow %};{{ forloop.index }};{{ l | join: x }};
    {% for x in content %};{% if content contains x %};text"""
PIECES = st.lists(st.sampled_from(_pieces.split(";")), max_size=8).map("".join)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "l": st.lists(st.integers() | st.text(max_size=3) | st.none(), max_size=4),
        "x": st.none() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
        "a": st.dictionaries(st.just("b"), st.text(max_size=3)),
        "content": st.text(max_size=3),
    },
)


@settings(max_examples=300, deadline=None)
@given(PIECES, PIECES, PIECES, PIECES, DATA)
def test_any_family_of_templates_renders_or_tells_its_faults(html, layout, p, q, data):
    with suppress(TemplateFault):
        shown = render(source(html, layout, p=p, q=q), data)
        assert len(shown.html) <= language.MAX_OUTPUT
