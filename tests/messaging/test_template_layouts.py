"""Layouts and partials: what a template sees of them, which version is used, and that none goes round in circles."""

import pytest

from messaging import templating
from messaging.models import MessageContent
from tests.world import post


def create(api, key, **fields):
    answer = api.post("/v1/templates", {"key": key, "publish": True} | fields)
    assert answer.status == 201, answer.json
    return answer.json


def layout(api, html="<body><h1>{{ subject }}</h1>{{ content }}</body>", **fields):
    return create(api, "frame", kind="layout", html=html, **fields)


def partial(api, key="button", html='<a href="{{ url }}">{{ label }}</a>', **fields):
    return create(api, key, kind="partial", html=html, **fields)


def render(api, key="note", **data):
    answer = api.post(f"/v1/templates/{key}/render", {"template_data": data})
    assert answer.status == 200, answer.json
    return answer.json


def sent(api, **data) -> MessageContent:
    answer = post(api, subject=None, text=None, template="note", template_data=data)
    assert answer.status == 202, answer.json
    return MessageContent.objects.get(message_id=answer.json["message_id"])


def test_a_layout_is_put_around_html_and_text(api):
    layout(api)
    create(api, "note", layout="frame", subject="Tea & cake", html="<p>{{ name }}</p>")
    found = sent(api, name="<Kim>")
    assert found.html == "<body><h1>Tea &amp; cake</h1><p>&lt;Kim&gt;</p></body>"
    assert found.text == "Tea & cake\n\n<Kim>"


def test_a_layout_that_does_not_print_the_content_is_no_layout(api):
    answer = api.post("/v1/templates", {"key": "frame", "kind": "layout", "html": "<body></body>", "publish": True})
    assert answer.faults == {"html": "invalid_template"}


def test_content_can_only_be_printed(api):
    for expression in ("content | upcase", "content | default: 'x'", "'x' | append: content"):
        layout_key = f"frame{len(expression)}"
        create(api, layout_key, kind="layout", html=f"{{{{ content }}}}{{{{ {expression} }}}}")
        answer = api.post(f"/v1/templates/{layout_key}/render", {})
        assert answer.faults == {"html": "invalid_value"}


def test_a_partial_sees_its_arguments_and_the_data_but_not_its_callers_variables(api):
    partial(api, "line", html="[{{ label }}{{ shop }}{{ own | default: '-' }}]")
    create(api, "note", subject="x", html="{% assign own = 'secret' %}{% render 'line', label: item.name %}")
    assert render(api, item={"name": "<Tea>"}, shop="Acme")["html"] == "[&lt;Tea&gt;Acme-]"


def test_a_partial_is_rendered_for_each_item_of_a_list(api):
    partial(api, "line", html="{{ forloop.index }}{{ item.name }}{% unless forloop.last %},{% endunless %}")
    create(api, "note", subject="x", html="{% render 'line' for items as item %}")
    assert render(api, items=[{"name": "a"}, {"name": "b"}])["html"] == "1a,2b"


def test_a_variable_missing_in_a_partial_is_named_as_the_caller_of_the_api_knows_it(api):
    partial(api, "line", html="{{ row.price }}{{ unit }}{{ note }}")
    create(
        api, "note", subject="x", html="{% for i in items %}{% render 'line' with i as row, unit: i.unit %}{% endfor %}"
    )
    answer = api.post("/v1/templates/note/render", {"template_data": {"items": [{"price": 1}, {"unit": "kg"}]}})
    assert set(answer.faults) == {"template_data.items.0.unit", "template_data.items.1.price", "template_data.note"}


def test_html_and_text_of_a_partial_each_go_into_their_part(api):
    partial(api)
    create(api, "note", subject="x", html="<p>{% render 'button', url: link, label: 'Pay' %}</p>")
    shown = render(api, link="https://acme.example/?a=1&b=2")
    assert shown["html"] == '<p><a href="https://acme.example/?a=1&amp;b=2">Pay</a></p>'
    assert shown["text"] == "Pay (https://acme.example/?a=1&b=2)"


def test_a_new_version_of_a_layout_or_partial_is_used_from_its_publication_on(api):
    layout(api)
    partial(api, html="old")
    create(api, "note", layout="frame", subject="x", html="{% render 'button' %}")
    api.patch("/v1/templates/button", {"html": "new"})
    assert sent(api).html == "<body><h1>x</h1>old</body>"
    api.post("/v1/templates/button/publish", {})
    api.patch("/v1/templates/frame", {"html": "<main>{{ content }}</main>", "publish": True})
    assert sent(api).html == "<main>new</main>"
    api.post("/v1/templates/button/rollback", {"version": 1})
    assert sent(api).html == "<main>old</main>"


def test_a_layout_that_would_break_a_published_template_is_refused_whole(api):
    partial(api, html="a")
    create(api, "note", subject="x", html="{% render 'button' %}")
    partial(api, "loop", html="{% render 'button' %}")
    answer = api.patch("/v1/templates/button", {"html": "{% render 'loop' %}", "publish": True})
    assert answer.faults == {"html": "invalid_template"}
    assert "renders itself" in answer.json["error"]["errors"][0]["message"]
    assert sent(api, text="").html == "a"
    assert api.get("/v1/templates/button").json["published_version"] == 1


def test_a_partial_cannot_render_itself(api):
    answer = api.post("/v1/templates", {"key": "me", "kind": "partial", "html": "{% render 'me' %}", "publish": True})
    assert answer.faults == {"html": "invalid_template"}


def test_partials_may_be_nested_only_so_deep(api):
    partial(api, "p0", html="end")
    for depth in range(1, 8):
        answer = api.post(
            "/v1/templates",
            {"key": f"p{depth}", "kind": "partial", "html": f"{{% render 'p{depth - 1}' %}}", "publish": True},
        )
    assert answer.status == 201
    assert render(api, "p7")["html"] == "end"
    more = {"key": "p8", "kind": "partial", "html": "{% render 'p7' %}", "publish": True}
    assert api.post("/v1/templates", more).faults == {"html": "invalid_template"}


@pytest.mark.parametrize(
    ("fields", "field"), [({"layout": "frame", "html": "x"}, "layout"), ({"html": "{% render 'button' %}"}, "html")]
)
def test_what_it_uses_must_be_published_in_the_same_account(acme, globex, fields, field):
    layout(globex.live)
    partial(globex.live)
    answer = acme.live.post("/v1/templates", {"key": "note", "publish": True} | fields)
    assert answer.faults == {field: "not_found"}
    assert acme.live.post("/v1/templates", {"key": "note"} | fields).status == 201


def test_a_layout_is_no_partial_and_no_template(api):
    layout(api)
    answer = api.post("/v1/templates", {"key": "note", "html": "{% render 'frame' %}", "publish": True})
    assert answer.faults == {"html": "not_found"}
    assert post(api, template="frame").faults == {"template": "not_found"}


def test_what_is_used_cannot_be_deleted(api):
    layout(api)
    partial(api)
    create(api, "note", layout="frame", subject="x", html="{% render 'button' %}")
    for key in ("frame", "button"):
        answer = api.delete(f"/v1/templates/{key}")
        assert (answer.status, "note" in answer.json["error"]["message"]) == (409, True)
    api.delete("/v1/templates/note")
    assert api.delete("/v1/templates/frame").status == 200


def test_two_accounts_with_the_same_keys_never_see_each_others_partials(acme, globex):
    for company, text in ((acme, "Acme"), (globex, "Globex")):
        partial(company.live, html=text)
        create(company.live, "note", subject="x", html="{% render 'button' %}")
    assert [sent(company.live).html for company in (acme, globex, acme)] == ["Acme", "Globex", "Acme"]


def test_layout_and_partial_follow_the_language_of_the_template(api):
    layout(
        api,
        html="<p>en {{ locale }}</p>{{ content }}",
        default_locale="en",
        variants={"ko": {"html": "<p>ko</p>{{ content }}"}},
    )
    partial(api, html="Pay", variants={"ko": {"html": "결제"}})
    body = {"layout": "frame", "subject": "x", "html": "{% render 'button' %}", "default_locale": "en"}
    create(
        api, "note", **body, variants={"ko": {"html": "{% render 'button' %}"}, "fr": {"html": "{% render 'button' %}"}}
    )
    shown = [api.post("/v1/templates/note/render", {"locale": name}).json["html"] for name in ("en", "ko-KR", "fr")]
    assert shown == ["<p>en en</p>Pay", "<p>ko</p>결제", "<p>en fr</p>Pay"]


def test_a_fault_in_a_partial_names_it_and_its_line(api):
    partial(api, html="<p>\n{{ n | divided_by: 0 }}</p>")
    create(api, "note", subject="x", html="\n\n{% render 'button' %}")
    answer = api.post("/v1/templates/note/render", {"template_data": {"n": 1}})
    assert "in the partial button, line 2, column 8" in answer.json["error"]["errors"][0]["message"]


def test_acceptance_reads_a_template_with_layout_and_partials_in_one_statement(acme, django_assert_max_num_queries):
    layout(acme.live)
    partial(acme.live)
    create(acme.live, "note", layout="frame", subject="x", html="{% render 'button' %}")
    templating.resolve(acme.account.pk, "note", "ko")  # plans the statement
    with django_assert_max_num_queries(1):
        found = templating.resolve(acme.account.pk, "note", "ko-KR")
        assert templating.render(found, {"url": "u", "label": "l"}).html.startswith("<body>")
