"""The pages of e-mail templates: writing with a preview, languages, versions and their differences, publishing, a test."""

import json

import pytest

from messaging.models import EmailTemplate, MessageContent
from messaging.templating import publishing
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Role
from tests.world import domain

HTML = "<h1>Hello {{ name }}</h1>"
HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def template(acme) -> EmailTemplate:
    """A template that is published, in its first version."""
    return make(acme)


def make(account, key: str = "welcome", kind: str = "template", publish: bool = True, **content) -> EmailTemplate:
    content = {"subject": "Hello {{ name }}", "html": HTML} | content
    by = Actor(account.pk, "user:owner@acme.example")
    return publishing.create(by, account.pk, key, kind, content, publish=publish).template


def edited(**fields) -> dict[str, str]:
    """The editor's fields, some of them changed."""
    return {"subject": "Hello {{ name }}", "html": HTML, "data": '{"name": "Kim"}'} | fields


def test_a_template_is_created_written_and_published(owner, acme):
    page = owner.sent("templates", {"key": "order-receipt", "kind": "template"})
    assert "Hello {{ name }}" in page
    assert "&quot;name&quot;: &quot;name&quot;" in page
    owner.sent("templates/order-receipt", edited(html="<p>{{ name }}: {{ total }}</p>"))
    assert "Published." in owner.sent("templates/order-receipt", edited(html="<p>Paid, {{ name }}</p>", then="publish"))
    found = EmailTemplate.objects.get()
    assert (found.published_version, found.latest_version) == (1, 1)
    assert found.versions.get().html == "<p>Paid, {{ name }}</p>"


def test_the_preview_is_the_mail_in_a_frame_where_nothing_runs(owner, template):
    fields = edited(html=f"<p>{{{{ name }}}}</p>{HOSTILE}", data='{"name": "<b>Kim</b>"}')
    answer = owner.post("templates/welcome/frame", fields)
    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "&lt;b&gt;Kim&lt;/b&gt;" in answer.content.decode()
    facts = owner.post("templates/welcome/facts", fields).content.decode()
    assert "Hello &lt;b&gt;Kim&lt;/b&gt;" in facts
    assert 'sandbox title="Preview of the HTML"' in owner.page("templates/welcome")
    assert template.versions.get().html == HTML


def test_the_preview_says_what_is_wrong_where(owner, template):
    for fields, label, said in (
        ({"html": "<p>{% if %}</p>"}, "HTML", "line 1"),
        ({"data": "{}"}, "Sample data", "needs the variable name"),
        ({"data": "[1]"}, "Sample data", "Must be a JSON object."),
        ({"data": '{"a":' * 1000}, "Sample data", "Not JSON"),
        ({"variables": '[{"name": "code"}]'}, "Declared variables", "This field is required."),
        ({"layout": "nowhere"}, "Layout", "nowhere"),
        ({"sender": "nobody"}, "From", ""),
    ):
        page = owner.post("templates/welcome/facts", edited(**fields)).content.decode()
        assert f"<strong>{label}:</strong>" in page, (fields, page)
        assert said in page
        assert owner.post("templates/welcome/frame", edited(**fields)).content == b""


def test_what_is_wrong_is_not_saved(owner, template):
    answer = owner.post("templates/welcome", edited(html="{% if %}"))
    assert (answer.status_code, 'id="id_html-errors"' in answer.content.decode()) == (422, True)
    assert owner.post("templates", {"key": "two words", "kind": "template"}).status_code == 422
    assert owner.post("templates", {"key": "welcome", "kind": "template"}).status_code == 422
    assert EmailTemplate.objects.get().latest_version == 1


def test_two_people_do_not_overwrite_each_other(owner, template):
    seen = template.versions.get().updated_at.isoformat()
    owner.sent("templates/welcome", edited(html="<p>mine</p>", seen=seen))
    answer = owner.post("templates/welcome", edited(html="<p>theirs</p>", seen=seen))
    assert answer.status_code == 422
    assert b"Somebody else has saved it meanwhile." in answer.content
    assert template.versions.get(number=2).html == "<p>mine</p>"


def test_versions_are_compared_published_and_rolled_back(owner, template):
    owner.sent("templates/welcome", edited(html=f"<h1>Welcome</h1>\r\n<p>{HOSTILE}</p>"))
    assert "\r" not in template.versions.get(number=2).html
    page = owner.page("templates/welcome/versions")
    assert "<del>- &lt;h1&gt;Hello {{ name }}&lt;/h1&gt;</del>" in page
    assert "<ins>+ &lt;h1&gt;Welcome&lt;/h1&gt;</ins>" in page
    assert "<script>alert" not in page
    assert "Version 2 is published." in owner.sent("templates/welcome/publish", {"version": "2"})
    assert "Version 1 is published." in owner.sent("templates/welcome/publish", {"version": "1"})
    template.refresh_from_db()
    assert (template.published_version, template.latest_version) == (1, 2)
    for version in ("9", "x", ""):
        assert owner.post("templates/welcome/publish", {"version": version}).status_code == 404
    assert "They are the same." in owner.page("templates/welcome/versions", old="1", new="1")


def test_a_language_is_added_written_and_removed(owner, template):
    page = owner.sent("templates/welcome/locales", {"locale": "ko"})
    assert 'href="/app/acme/live/templates/welcome?locale=ko" aria-current="true"' in page
    owner.sent("templates/welcome?locale=ko", {"subject": "안녕하세요", "html": "<h1>{{ name }}님</h1>", "data": "{}"})
    version = template.versions.get(number=2)
    assert version.variants["ko"]["html"] == "<h1>{{ name }}님</h1>"
    assert version.html == HTML
    shown = owner.post("templates/welcome/frame?locale=ko", edited(html="<h1>{{ name }}님</h1>"))
    assert "Kim님" in shown.content.decode()
    assert owner.get("templates/welcome", locale="fr").status_code == 404
    assert "A language is like" in owner.sent("templates/welcome/locales", {"locale": "<b>"})
    owner.sent("templates/welcome/locales?locale=ko", {"remove": "ko"})
    assert template.versions.get(number=2).variants == {}


def test_layouts_and_partials_are_written_and_used(owner, acme, template):
    owner.sent("templates", {"key": "frame", "kind": "layout"})
    owner.sent("templates/frame", {"html": "<body>{{ content }}</body>", "data": "{}", "then": "publish"})
    owner.sent("templates", {"key": "footer", "kind": "partial"})
    owner.sent("templates/footer", {"html": "<p>Acme</p>", "data": "{}", "then": "publish"})
    fields = edited(html=HTML + "{% render 'footer' %}", layout="frame", then="publish")
    owner.sent("templates/welcome", fields)
    shown = owner.post("templates/welcome/frame", fields).content.decode()
    assert "<body>" in shown
    assert "Acme" in shown
    assert "is used by welcome" in owner.sent("templates/frame/delete")


def test_a_declared_variable_stays_what_it_was_when_saved_again(owner, acme):
    declared = [
        {"name": "nick", "type": "string", "required": False},
        {"name": "code", "type": "string", "sensitive": True},
    ]
    make(acme)
    owner.sent("templates/welcome", edited(variables=json.dumps(declared)))
    page = owner.get("templates/welcome").context["form"]
    owner.sent("templates/welcome", edited(variables=page["variables"].value()))
    stored = EmailTemplate.objects.get().versions.get(number=2).variables
    assert [(one["name"], one["required"], one["sensitive"]) for one in stored] == [
        ("nick", False, False),
        ("code", True, True),
    ]


def test_a_test_goes_to_whoever_asks(owner, acme, template):
    assert "The test was not sent" in owner.sent("templates/welcome", edited(then="test"))
    domain(acme, "acme.example")
    assert f"A test is on its way to {owner.user.email}." in owner.sent("templates/welcome", edited(then="test"))
    mail = MessageContent.objects.get()
    assert (mail.recipient, mail.subject, mail.tags) == (owner.user.email, "[Test] Hello Kim", ["template-test"])
    assert owner.post("templates/welcome", edited(data="{}", then="test")).status_code == 422


def test_a_template_is_deleted_and_others_are_not_there(owner, template, globex):
    make(globex, "theirs")
    for path in ("templates/theirs", "templates/theirs/versions"):
        assert owner.get(path).status_code == 404
    for path in ("", "/facts", "/frame", "/locales", "/publish", "/delete"):
        assert owner.post(f"templates/theirs{path}", {"version": "1", "locale": "ko"}).status_code == 404
    owner.sent("templates/welcome/delete")
    assert [one.key for one in EmailTemplate.objects.all()] == ["theirs"]


def test_who_may_only_read_reads(member, template):
    reader = member(Role.READ_ONLY)
    page = reader.page("templates/welcome")
    assert "Save the draft" not in page
    assert "data-live" not in page
    assert "Roll back" not in reader.page("templates/welcome/versions")
