"""/v1/templates: drafts, versions, publishing, going back, and who did it."""

import pytest

from messaging.models import MessageContent
from sendarix.accounts.models import AuditEntry
from tests.world import post, together

WELCOME = {"key": "hello", "subject": "Hello {{ name }}", "html": "<p>Dear {{ name }}</p>"}


def create(api, **fields):
    answer = api.post("/v1/templates", WELCOME | fields)
    assert answer.status == 201, answer.json
    return answer.json


def sent(api, key="hello", locale=None, **data) -> MessageContent:
    answer = post(api, subject=None, text=None, template=key, template_data={"name": "Kim"} | data, locale=locale)
    assert answer.status == 202, answer.json
    return MessageContent.objects.get(message_id=answer.json["message_id"])


def patched(api, **fields):
    answer = api.patch("/v1/templates/hello", fields)
    assert answer.status == 200, answer.json
    return answer.json


def test_a_draft_is_not_sent_until_it_is_published(api):
    made = create(api)
    assert (made["published_version"], made["version"]["status"]) == (None, "draft")
    refused = post(api, subject=None, text=None, template="hello")
    assert refused.faults == {"template": "not_found"}
    assert "no published template" in refused.json["error"]["errors"][0]["message"]
    published = api.post("/v1/templates/hello/publish", {}).json
    assert (published["published_version"], published["version"]["status"]) == (1, "published")
    assert sent(api).subject == "Hello Kim"


def test_it_may_be_published_with_the_call_that_creates_or_edits_it(api):
    assert create(api, publish=True)["published_version"] == 1
    assert patched(api, subject="Hi {{ name }}", publish=True)["published_version"] == 2
    found = sent(api)
    assert (found.subject, found.template_version) == ("Hi Kim", 2)


def test_an_edit_changes_the_draft_and_never_what_was_published(api):
    create(api, publish=True)
    assert patched(api, subject="Second")["version"]["version"] == 2
    edited = patched(api, subject="Third")
    assert (edited["version"]["version"], edited["published_version"]) == (2, 1)
    assert (edited["version"]["subject"], edited["version"]["html"]) == ("Third", WELCOME["html"])
    assert sent(api).subject == "Hello Kim"
    assert api.get("/v1/templates/hello/versions/1").json["subject"] == WELCOME["subject"]


def test_null_takes_a_part_away(api):
    create(api, text="Dear {{ name }}", **{"from": "shop@acme.example"})
    version = patched(api, text=None, **{"from": None})["version"]
    assert (version["text"], version["from"]) == (None, None)


def test_going_back_publishes_an_earlier_version_and_keeps_the_later_ones(api):
    create(api, publish=True)
    patched(api, subject="Second", publish=True)
    patched(api, subject="Third")
    back = api.post("/v1/templates/hello/rollback", {"version": 1})
    assert (back.status, back.json["published_version"], back.json["latest_version"]) == (200, 1, 3)
    assert sent(api).subject == "Hello Kim"
    listed = api.get("/v1/templates/hello/versions").json["data"]
    assert [(version["version"], version["status"]) for version in listed] == [
        (3, "draft"),
        (2, "retired"),
        (1, "published"),
    ]


def test_a_draft_is_nothing_to_go_back_to(api):
    create(api)
    assert api.post("/v1/templates/hello/rollback", {"version": 1}).status == 409
    assert api.post("/v1/templates/hello/rollback", {"version": 2}).status == 404
    assert api.post("/v1/templates/hello/publish", {"version": 2}).status == 404


def test_a_deleted_template_is_gone_and_its_key_is_free(api):
    create(api, publish=True)
    assert api.delete("/v1/templates/hello").json == {"key": "hello", "deleted": True}
    assert api.get("/v1/templates/hello").status == api.delete("/v1/templates/hello").status == 404
    assert post(api, template="hello").faults == {"template": "not_found"}
    assert create(api)["version"]["version"] == 1


def test_a_key_is_taken_once_in_an_account(acme, globex):
    create(acme.live)
    assert acme.live.post("/v1/templates", WELCOME).code == "conflict"
    assert create(globex.live)["key"] == "hello"


def test_of_two_calls_that_create_the_same_key_one_wins(acme):
    answers = together([lambda: acme.live.post("/v1/templates", WELCOME)] * 4)
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]


def test_templates_are_the_accounts_in_live_and_test_alike(acme):
    create(acme.live, publish=True)
    assert sent(acme.live).subject == sent(acme.test).subject == "Hello Kim"


def test_lists_are_paged_newest_first_and_narrowed_by_kind(api):
    create(api, key="a")
    create(api, key="frame", kind="layout", html="{{ content }}", subject=None)
    create(api, key="b")
    first = api.get("/v1/templates", {"limit": 2}).json
    rest = api.get("/v1/templates", {"limit": 2, "cursor": first["next_cursor"]}).json
    assert [item["key"] for item in first["data"] + rest["data"]] == ["b", "frame", "a"]
    assert [item["key"] for item in api.get("/v1/templates", {"kind": "layout"}).json["data"]] == ["frame"]


def test_versions_are_paged(api):
    create(api, publish=True)
    for subject in ("Second", "Third"):
        patched(api, subject=subject, publish=True)
    first = api.get("/v1/templates/hello/versions", {"limit": 2}).json
    rest = api.get("/v1/templates/hello/versions", {"cursor": first["next_cursor"]}).json
    assert [item["version"] for item in first["data"] + rest["data"]] == [3, 2, 1]


@pytest.mark.parametrize("cursor", ["MTIzNDU2Nzg5MDEyMw", "eA", "!"])
def test_a_cursor_that_no_list_gave_is_refused(api, cursor):
    create(api)
    assert api.get("/v1/templates/hello/versions", {"cursor": cursor}).code == "bad_cursor"


@pytest.mark.parametrize("number", ["0", "2", "99999999999", "x", "-1", "٣"])
def test_an_unknown_version_is_404(api, number):
    create(api)
    assert api.get(f"/v1/templates/hello/versions/{number}").status == 404


def test_every_fault_of_a_template_is_told_with_its_place(api):
    answer = api.post(
        "/v1/templates",
        {
            "key": "bad",
            "subject": "{{ | }}",
            "html": "<p>\n  {% if x %}",
            "variants": {"ko": {"text": "a {{ b | nofilter }}"}},
        },
    )
    assert answer.faults == {
        "subject": "invalid_template",
        "html": "invalid_template",
        "variants.ko.text": "invalid_template",
    }
    messages = {fault["field"]: fault["message"] for fault in answer.json["error"]["errors"]}
    assert "line 1, column 10" in messages["variants.ko.text"]
    assert "line 2, column" in messages["html"]


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"key": "a b"}, {"key": "invalid_value"}),
        ({"key": "import"}, {"key": "invalid_value"}),
        ({"kind": "page"}, {"kind": "invalid_value"}),
        ({"from": "nobody"}, {"from": "invalid_value"}),
        ({"default_locale": "korean!"}, {"default_locale": "invalid_value"}),
        ({"variants": {"ko": {}}}, {"variants.ko": "required"}),
        ({"default_locale": "ko", "variants": {"KO": {"text": "x"}}}, {"variants.KO": "conflict"}),
        ({"kind": "layout", "layout": "base"}, {"layout": "conflict"}),
        ({"colour": "red"}, {"colour": "unknown_field"}),
        ({"variables": [{"name": "a", "type": "text"}]}, {"variables.0": "invalid_value"}),
        ({"variables": [{"name": "a", "type": "integer", "default": "1"}]}, {"variables.0": "invalid_type"}),
        ({"variables": [{"name": "a", "type": "string"}] * 2}, {"variables": "conflict"}),
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_is_named(api, fields, faults):
    assert api.post("/v1/templates", WELCOME | fields).faults == faults


def test_nothing_at_all_can_not_be_published(api):
    create(api, subject=None, html=None)
    assert api.post("/v1/templates/hello/publish", {}).faults == {"html": "required"}


def test_the_sender_of_a_template_is_that_of_its_messages(api):
    create(api, publish=True, **{"from": "Shop <shop@acme.example>"})
    assert sent(api).sender == "Shop <shop@acme.example>"


def test_changes_are_in_the_audit_log_with_who_did_them(acme):
    create(acme.live)
    acme.live.post("/v1/templates/hello/publish", {})
    patched(acme.live, subject="Second", publish=True)
    acme.live.post("/v1/templates/hello/rollback", {"version": 1})
    acme.live.delete("/v1/templates/hello")
    entries = AuditEntry.objects.filter(account=acme.account, subject="hello").order_by("id")
    assert [(entry.action, entry.before, entry.after) for entry in entries] == [
        ("template.created", None, {"kind": "template", "version": 1}),
        ("template.published", {"version": None}, {"version": 1}),
        ("template.published", {"version": 1}, {"version": 2}),
        ("template.rolled_back", {"version": 2}, {"version": 1}),
        ("template.deleted", {"kind": "template", "version": 1}, None),
    ]
    assert all(entry.actor.startswith("key_") and entry.source == "127.0.0.1" for entry in entries)


LOCALES = {
    "default_locale": "en",
    "variants": {"ko": {"subject": "{{ name }}님", "text": "안녕"}, "pt-BR": {"subject": "Oi", "text": "Oi"}},
    "publish": True,
}


@pytest.mark.parametrize(
    ("asked", "used", "subject"),
    [
        ("ko", "ko", "Kim님"), ("ko-KR", "ko", "Kim님"), ("KO-kore-kr", "ko", "Kim님"), ("pt-br", "pt-BR", "Oi"),
        ("pt", "en", "Hello Kim"), ("en-GB", "en", "Hello Kim"), ("fr", "en", "Hello Kim"), (None, "en", "Hello Kim"),
    ],
)  # fmt: skip
def test_the_nearest_language_is_taken_and_told(api, asked, used, subject):
    create(api, **LOCALES)
    found = sent(api, locale=asked)
    assert (found.locale, found.subject) == (used, subject)


def test_a_variant_without_a_subject_takes_the_defaults_with_a_warning(api):
    made = create(api, publish=True, variants={"ko": {"html": "<p>{{ name }}님</p>"}})
    assert [warning["code"] for warning in made["warnings"]] == ["subject_missing"]
    found = sent(api, locale="ko")
    assert (found.subject, found.text.strip()) == ("Hello Kim", "Kim님")


def test_a_template_is_shown_with_data_before_it_is_published(api):
    create(api, **LOCALES | {"publish": False})
    shown = api.post("/v1/templates/hello/render", {"template_data": {"name": "<Kim>"}, "locale": "ko-KR"}).json
    assert (shown["locale"], shown["subject"], shown["html"], shown["text"]) == ("ko", "<Kim>님", None, "안녕")
    shown = api.post("/v1/templates/hello/render", {"template_data": {"name": "<Kim>"}}).json
    assert (shown["html"], shown["text"]) == ("<p>Dear &lt;Kim&gt;</p>", "Dear <Kim>")


def test_any_version_can_be_shown(api):
    create(api, publish=True)
    patched(api, subject="Second")
    data = {"template_data": {"name": "Kim"}}
    assert api.post("/v1/templates/hello/render", data | {"version": 1}).json["subject"] == "Hello Kim"
    assert api.post("/v1/templates/hello/render", data).json["subject"] == "Second"
    assert api.post("/v1/templates/hello/render", data | {"version": 9}).status == 404


def test_what_a_rendering_stumbles_over_is_told_with_part_line_and_column(api):
    create(api, html="<p>\n{{ name }}</p>\n<p>{% if name %}\n  {{ count | divided_by: 0 }}{% endif %}</p>")
    answer = api.post("/v1/templates/hello/render", {"template_data": {"name": "Kim", "count": 1}})
    assert answer.faults == {"html": "invalid_value"}
    assert "line 4, column 14" in answer.json["error"]["errors"][0]["message"]
    refused = api.post("/v1/templates/hello/render", {"template_data": {"name": "Kim"}})
    assert refused.faults == {"template_data.count": "required"}
