"""The list of messages: searched, counted by status, kept under names, followed live."""

import re
from html import unescape

import pytest

from messaging.models import Message
from sendarix.accounts import searches
from sendarix.accounts.models import Role, SavedSearch
from tests import builders
from tests.api_client import Api
from tests.world import domain, send

HOSTILE = "<script>alert(1)</script> \u202e" + "x" * 900


@pytest.fixture
def api(acme):
    domain(acme, "acme.example")
    return Api(builders.api_key(acme))


def rows(page: str) -> list[str]:
    """The ids of the messages listed, in order."""
    return re.findall(r'<tr class="link[^"]*" id="(msg_\w+)"', page)


def test_newest_mail_comes_first_in_pages(owner, api, monkeypatch):
    monkeypatch.setattr("sendarix.dashboard.views.messages.SHOWN", 2)
    sent = [send(api) for _ in range(3)]
    first = owner.page("messages")
    assert rows(first) == sent[:0:-1]
    older = unescape(re.search(r'rel="next" href="([^"]*)"', first)[1])
    assert rows(owner.client.get(owner.url("messages") + older).content.decode()) == sent[:1]


def test_a_search_is_narrowed_by_chips_and_tabs(owner, api):
    kim, _ = send(api, recipient="kim@naver.com"), send(api, recipient="lee@gmail.com")
    page = owner.page("messages", q="domain:naver.com status:queued")
    assert rows(page) == [kim]
    links = [unescape(link) for link in re.findall(r'class="chip on" href="([^"]*)"', page)]
    assert links == [owner.url("messages?q=status%3Aqueued"), owner.url("messages?q=domain%3Anaver.com")]
    assert re.search(r'aria-current="true">queued <span class="count">1<', page)
    assert 'value="domain:naver.com status:queued"' in page


def test_a_wrong_word_gets_a_hint_and_no_rows(owner, api):
    send(api)
    answer = owner.get("messages", q="stauts:bounced")
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "Did you mean status:" in page
    assert rows(page) == []


def test_the_other_environment_is_gone_to_when_it_is_asked_for(owner):
    answer = owner.get("messages", q="is:test kim")
    assert (answer.status_code, answer["Location"]) == (302, "/app/acme/test/messages?q=is%3Atest+kim")


def test_hostile_text_is_shown_as_text(owner, api):
    send(api, subject=HOSTILE[:900])
    for query in ("", HOSTILE[:300], '"<script>"', "'; DROP TABLE messages --"):
        page = owner.page("messages", q=query)
        assert "<script>alert" not in page
    assert owner.get("messages", q="x" * 501).status_code == 422
    assert owner.get("messages", q="\x00").status_code == 422
    assert owner.get("messages", cursor="nonsense").status_code == 404


def test_support_finds_by_an_address_and_sees_it_masked(member, api):
    message_id = send(api)
    page = member(Role.SUPPORT).page("messages", q="kim@hanbit.example")
    assert rows(page) == [message_id]
    table = page[page.index("<table") : page.index("</table>")]
    assert "kim@hanbit.example" not in table
    assert "k•••@hanbit.example" in table


def test_what_comes_is_followed(owner, api):
    first = send(api)
    page = owner.page("messages", live=1)
    tail = unescape(re.search(r'hx-get="([^"]*)" hx-trigger="every 4s"', page)[1])
    assert f"after={first}" in tail
    second = send(api)
    part = owner.client.get(tail).content.decode()
    assert rows(part) == [second]
    assert f"after={second}" in part
    assert part.count('hx-swap-oob="true"') == 2
    again = unescape(re.search(r'hx-get="([^"]*)"', part)[1])
    assert rows(owner.client.get(again).content.decode()) == []


def test_another_account_s_mail_is_not_found(owner, globex):
    domain(globex, "globex.example")
    message_id = send(Api(builders.api_key(globex)))
    assert rows(owner.page("messages", q=message_id)) == rows(owner.page("messages")) == []
    assert rows(owner.at(environment="test").page("messages")) == []
    assert Message.objects.count() == 1


def test_a_search_is_kept_under_a_name_for_oneself(owner, member):
    page = owner.sent("messages/searches", {"name": "<b>Slow</b>", "q": "slower:30s"})
    assert "&lt;b&gt;Slow&lt;/b&gt;" in page
    owner.sent("messages/searches", {"name": "<b>Slow</b>", "q": "slower:1m"})
    kept = SavedSearch.objects.get()
    assert kept.query == "slower:1m"
    other = member(Role.ADMIN)
    assert "Slow" not in other.page("messages")
    assert other.post(f"messages/searches/{kept.pk}/remove").status_code == 404
    owner.sent(f"messages/searches/{kept.pk}/remove")
    assert not SavedSearch.objects.exists()


def test_only_so_many_searches_are_kept(owner, acme, monkeypatch):
    monkeypatch.setattr(searches, "MOST", 1)
    owner.sent("messages/searches", {"name": "a", "q": "a"})
    assert "1 searches are kept at most" in owner.sent("messages/searches", {"name": "b", "q": "b"})
    assert "Give the search a name" in owner.sent("messages/searches", {"name": "", "q": "b"})
