"""The page of a message: what happened, the content for who may see it, and what can be done."""

import re
from datetime import datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest

from messaging.models import Message
from messaging.routes import registry
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Role
from sendarix.dashboard import masking
from tests import builders, world
from tests.api_client import Api
from tests.world import drain, from_now, send

HOSTILE = "<script>alert(1)</script> =1+1 \u202egnp.exe " + "x" * 900
REFUSAL = "550 5.1.1 <kim@hanbit.example> <script>alert(2)</script> unknown \u202e" + "w" * 400


@pytest.fixture
def acme(transactional_db):
    made = builders.account("acme")
    world.domain(made, "acme.example")
    return made


@pytest.fixture
def api(acme):
    return Api(builders.api_key(acme, name="shop"))


@pytest.fixture
def support(member):
    return member(Role.SUPPORT)


def visible(page: str) -> str:
    """A page's text as it is read."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_a_delivered_message_tells_its_story(owner, api, sink):
    message_id = send(api, tags=["orders"], metadata={"order": "A 7"})
    drain()
    page = visible(owner.page(f"messages/{message_id}"))
    assert "Delivered to hanbit.example in" in page
    assert re.search(r"queued .* accepted .* delivered .* attempt 1", page)
    assert "Host 127.0.0.1 127.0.0.1 TLS none Got as far as reply" in page
    assert "Received 2" in page
    assert "Accepted" not in page
    assert "Why this way" in page
    assert "order A 7" in page
    assert "Key shop key_" in page
    assert Message.objects.get().content.request_id in page


def test_a_route_whose_host_is_not_found_is_named_instead_of_the_recipients_domain(owner, api, acme):
    given = {"host": "mail.invalid", "port": 587}
    registry.create(acme.pk, "smtp", {"name": "Relay"} | given, {}, Actor(acme.pk, "operator"))
    message_id = send(api)
    drain()
    page = visible(owner.page(f"messages/{message_id}"))
    assert "The mail server of the route Relay was not found." in page
    assert "Not found in DNS" in page
    assert "Check the host of the route." in page


def test_hostile_words_stay_words(owner, api, sink):
    sink.script["rcpt"] = lambda command: REFUSAL
    message_id = send(api, subject=HOSTILE[:990], text=HOSTILE, metadata={"<b>k</b>": HOSTILE[:400]}, tags=["<i>t</i>"])
    drain()
    for part in ("text", "headers", "source"):
        page = owner.page(f"messages/{message_id}?part={part}")
        assert "<script>alert" not in page
        assert "<b>k" not in page
        assert "<i>t" not in page
        assert "\u202e" not in re.search(r"<title>(.*?)</title>", page, re.DOTALL)[1]
        assert "style=" not in page
    assert "has no such mailbox" in page


def test_the_html_is_framed_without_scripts_or_remote_content(owner, api):
    message_id = send(api, html="<p>Hello</p><script>alert(1)</script>")
    page = owner.page(f"messages/{message_id}")
    frame = re.search(r"<iframe[^>]*>", page)[0]
    assert f'src="{owner.url(f"messages/{message_id}/body")}"' in frame
    assert re.search(r"\ssandbox\s", frame)
    answer = owner.get(f"messages/{message_id}/body")
    assert answer["Content-Security-Policy"] == (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    )
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "<p>Hello</p>" in answer.content.decode()


def test_support_sees_nothing_in_full_until_it_is_revealed_and_logged(support, api, acme, sink):
    sink.script["rcpt"] = lambda command: REFUSAL
    message_id = send(api, text="Dear Kim", metadata={"customer": "kim@hanbit.example"})
    drain()
    hidden = support.page(f"messages/{message_id}")
    assert "kim@hanbit.example" not in hidden
    assert "Dear Kim" not in hidden
    assert "k•••@hanbit.example" in hidden
    for path in ("body", "source"):
        assert support.get(f"messages/{message_id}/{path}").status_code == 403
    shown = support.sent(f"messages/{message_id}/reveal")
    assert "kim@hanbit.example" in shown
    assert "Dear Kim" in shown
    support.sent(f"messages/{message_id}/reveal")
    entry = audit.entries(acme.pk, action="message.revealed").get()
    assert (entry.subject, entry.actor) == (message_id, f"user:{support.user.email}")


@pytest.mark.parametrize("scheduled", [True, False])
def test_sending_a_waiting_message_again_says_that_it_goes_too(owner, api, sink, scheduled):
    warning = "This message has not ended: it may still be sent."
    made = send(api, **({"scheduled_time": from_now(hours=1)} if scheduled else {}))
    assert warning in owner.page(f"messages/{made}")
    if not scheduled:
        drain()
        page = owner.page(f"messages/{made}")
        assert warning not in page
        assert "Send this mail once more, as a new message?" in page


def test_a_reveal_is_of_one_message(support, api):
    first, second = send(api), send(api, text="Another")
    support.sent(f"messages/{first}/reveal")
    assert "Another" not in support.page(f"messages/{second}")


def test_read_only_may_neither_reveal_nor_act(member, api):
    visitor, message_id = member(Role.READ_ONLY), send(api)
    page = visitor.page(f"messages/{message_id}")
    for path in ("reveal", "cancel", "retry", "again", "reschedule", "suppress"):
        assert f"messages/{message_id}/{path}" not in page
        assert visitor.post(f"messages/{message_id}/{path}").status_code == 403


def test_sensitive_values_are_never_shown(owner, api, acme):
    world.demo_templates(world.Company(acme, api, api))
    message_id = send(api, template="otp-code", subject=None, text=None,
                      template_data={"code": "847291", "expires_in": "5 minutes"})  # fmt: skip
    for part in ("html", "text", "headers", "source"):
        assert "847291" not in owner.page(f"messages/{message_id}?part={part}")
    assert "847291" not in owner.get(f"messages/{message_id}/body").content.decode()


def test_a_waiting_message_is_canceled_by_its_button(support, api, acme):
    message_id = send(api)
    assert "Canceled before it was sent" in visible(support.sent(f"messages/{message_id}/cancel"))
    assert audit.entries(acme.pk, action="message.canceled").get().subject == message_id
    again = support.sent(f"messages/{message_id}/retry")
    assert "Only a deferred or a dead message can be tried again" in visible(again)
    assert not audit.entries(acme.pk, action="message.retried").exists()


def test_a_dead_message_is_retried(owner, api, sink):
    sink.script["rcpt"] = lambda command: "552 5.2.2 mailbox full"
    message_id = send(api)
    drain()
    assert "Retry now" in owner.page(f"messages/{message_id}")
    assert "waits for its turn" in visible(owner.sent(f"messages/{message_id}/retry"))


def test_a_scheduled_message_gets_another_time_in_the_account_s_zone(owner, api, acme):
    acme.timezone = "Asia/Seoul"
    acme.save()
    message_id = send(api, scheduled_time=from_now(hours=5))
    local = (datetime.now(ZoneInfo("Asia/Seoul")) + timedelta(hours=7)).replace(second=0, microsecond=0)
    page = visible(owner.sent(f"messages/{message_id}/reschedule", {"at": f"{local:%Y-%m-%dT%H:%M}"}))
    assert Message.objects.get(pk=message_id).scheduled_time == local
    assert f"{local:%H:%M} KST" in page
    late = owner.sent(f"messages/{message_id}/reschedule", {"at": "2001-01-01T00:00"})
    assert "The time has passed." in late


def test_a_message_is_sent_again_as_a_new_one_with_its_files(owner, api, sink):
    file = {"filename": "a <b>.txt", "content": "aGVsbG8=", "content_type": "text/plain"}
    first = send(api, attachments=[file], metadata={"order": "7"})
    drain()
    page = owner.sent(f"messages/{first}/again")
    second = Message.objects.exclude(pk=first).get()
    assert second.id in page
    drain()
    assert [one.content.count(b"aGVsbG8=") for one in sink.transactions] == [1, 1]
    assert second.content.metadata == {"order": "7"}
    assert second.content.key_id == f"user:{owner.user.pk}"


def test_files_are_downloads_for_who_may_see_them(owner, support, api):
    file = {"filename": 'a"<b>\r.html'.replace("\r", ""), "content": "aGVsbG8=", "content_type": "text/html"}
    message_id = send(api, attachments=[file])
    answer = owner.get(f"messages/{message_id}/files/0")
    assert b"".join(answer.streaming_content) == b"hello"
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == "attachment; filename*=UTF-8''a%22%3Cb%3E.html"
    assert support.get(f"messages/{message_id}/files/0").status_code == 403
    assert owner.get(f"messages/{message_id}/files/7").status_code == 404


def test_the_summary_to_copy_is_masked_as_the_page_is(support, owner, api):
    message_id = send(api)
    summaries = [
        re.search(r'<pre id="summary" hidden>(.*?)</pre>', visitor.page(f"messages/{message_id}"), re.DOTALL)[1]
        for visitor in (support, owner)
    ]
    assert "To: k•••@hanbit.example" in summaries[0]
    assert "To: kim@hanbit.example" in summaries[1]
    assert f"Message: {message_id}" in summaries[0]


def test_another_account_s_or_environment_s_message_is_not_there(owner, api):
    message_id = send(api)
    other = builders.account("globex")
    stranger = type(owner)(builders.member(other, Role.OWNER), other)
    for visitor in (stranger, owner.at(environment="test")):
        for path in ("", "/body", "/source", "/files/0", "/recipient"):
            assert visitor.get(f"messages/{message_id}{path}").status_code == 404
        for path in ("reveal", "cancel", "again", "suppress", "unsuppress"):
            assert visitor.post(f"messages/{message_id}/{path}").status_code == 404


def test_addresses_inside_texts_are_masked_and_nothing_else():
    text = "550 5.1.1 <kim@hanbit.example>: no user; see a@b (mailto:x@y.z)"
    assert masking.masked_text(text) == "550 5.1.1 <k•••@hanbit.example>: no user; see a•••@b (mailto:x•••@y.z)"
    assert masking.masked_text("w" * 10_000) == "w" * 10_000
