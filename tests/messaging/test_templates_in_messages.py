"""Templates in a message: rendered at acceptance, every missing variable told, nothing blank ever sent."""

from messaging.models import MessageContent
from messaging.templating import Source, publishing
from tests import world
from tests.world import drain, post


def templated(api, **fields):
    return post(api, **{"subject": None, "text": None, "template": "otp-code"} | fields)


def content(answer) -> MessageContent:
    assert answer.status == 202, answer.json
    return MessageContent.objects.get(message_id=answer.json["message_id"])


def test_subject_html_and_text_come_of_the_template(acme):
    acme.template()
    made = content(templated(acme.live, template_data={"code": "847291", "expires_in": "5 minutes"}))
    assert made.subject == "Your verification code is 847291"
    assert "It expires in 5 minutes." in made.text
    assert "847291</p>" in made.html.replace("\n", "")


def test_every_missing_variable_is_told_together_with_other_faults(acme):
    acme.template()
    answer = templated(acme.live, recipient="nobody")
    assert answer.faults == {
        "recipient": "invalid_value",
        "template_data.code": "required",
        "template_data.expires_in": "required",
    }


def test_an_unknown_template_is_a_fault_and_another_accounts_is_unknown(acme, globex):
    globex.template()
    assert templated(acme.live, template_data={}).faults == {"template": "not_found"}


def test_values_are_escaped_in_html_and_raw_in_text(acme, sink):
    acme.template(Source("plain", 1, "For {{ name }}", "<p>Dear {{ name }}</p>", "Dear {{ name }}"))
    made = content(templated(acme.live, template="plain", template_data={"name": "<b>Kim & Söhne</b>"}))
    assert made.subject == "For <b>Kim & Söhne</b>"
    assert made.html == "<p>Dear &lt;b&gt;Kim &amp; Söhne&lt;/b&gt;</p>"
    assert made.text == "Dear <b>Kim & Söhne</b>"


def test_what_the_body_gives_goes_before_the_template(acme):
    acme.template()
    data = {"template_data": {"code": "1", "expires_in": "1 minute"}}
    made = content(templated(acme.live, **data, subject="Mine", text="My text"))
    assert (made.subject, made.text) == ("Mine", "My text")
    assert "1 minute" in made.html


def test_a_template_of_html_alone_gets_a_text(acme):
    acme.template(Source("rich", 1, "Hello", "<p>Dear {{ name }}</p>", ""))
    assert content(templated(acme.live, template="rich", template_data={"name": "<Kim>"})).text.strip() == "Dear <Kim>"


def test_a_template_without_a_subject_needs_one_in_the_body(acme):
    acme.template(Source("bare", 1, "", "", "Hello"))
    assert templated(acme.live, template="bare").faults == {"subject": "required"}
    assert templated(acme.live, template="bare", subject="Mine").status == 202


def test_a_template_that_comes_out_empty_is_not_sent(acme):
    acme.template(Source("empty", 1, "Hello", "", "{% if name %}Dear {{ name }}{% endif %}"))
    assert templated(acme.live, template="empty").faults == {"text": "required"}
    assert templated(acme.live, template="empty", template_data={"name": "Kim"}).status == 202


def test_a_value_never_breaks_the_subject_line(acme):
    acme.template()
    answer = templated(acme.live, template_data={"code": "1\r\nBcc: eve@evil.example", "expires_in": "1"})
    assert answer.faults == {"subject": "invalid_value"}


def test_an_edit_changes_the_next_message_and_not_those_accepted(acme, sink):
    acme.template(Source("note", 1, "Note", "", "first"))
    templated(acme.live, template="note")
    publishing.edit(acme.actor, acme.account.pk, "note", {"text": "second"}, publish=True)
    templated(acme.live, template="note")
    drain()
    assert sorted(mail.content.rpartition(b"\r\n\r\n")[2].strip() for mail in sink.accepted) == [b"first", b"second"]


def test_the_four_templates_of_the_demo_account_render(acme):
    world.demo_templates(acme)
    data = {
        "otp-code": {"code": "847291", "expires_in": "5 minutes"},
        "password-reset": {"reset_url": "https://a.example/r", "expires_in": "1 hour"},
        "invoice": {"number": 7, "total": "€9", "due_date": "1 May", "items": [{"description": "a", "amount": "€9"}]},
        "welcome": {"product": "Acme", "start_url": "https://a.example"},
    }
    for key, values in data.items():
        assert content(templated(acme.live, template=key, template_data=values)).html


def test_a_rendered_subject_is_held_to_the_length_of_a_line(acme):
    acme.template()
    answer = templated(acme.live, template_data={"code": "8" * 1000, "expires_in": "5 minutes"})
    assert answer.faults == {"subject": "too_long"}


def test_a_message_may_name_every_language_that_a_template_may_have(acme):
    body = {"key": "note", "subject": "s", "text": "en", "variants": {"en-u-nu": {"text": "numbered"}}, "publish": True}
    assert acme.live.post("/v1/templates", body).status == 201
    answer = post(acme.live, subject=None, text=None, template="note", locale="en-u-nu")
    assert (answer.status, MessageContent.objects.get().text) == (202, "numbered")
