"""The inbox: captured mail of the visited account and environment, framed and masked."""

import re
from types import SimpleNamespace

import pytest

from messaging import chores, content
from messaging.models import CapturedMail
from sendarix.accounts import audit
from sendarix.accounts.models import Role
from sendarix.dashboard.views import captured
from tests import builders, world
from tests.api_client import Api
from tests.world import domain, send

SOURCE = (
    "From: a@acme.example\r\nTo: kim@hanbit.example\r\nSubject: <b>{subject}</b>\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nplain <i>text</i>\r\n"
    "--x\r\nContent-Type: text/html\r\n\r\n<p>Hello</p><script>alert(1)</script>\r\n--x--\r\n"
)


def capture(account, message_id: str, subject: str = "Hello", livemode: bool = True) -> CapturedMail:
    source = SOURCE.format(subject=subject).encode()
    return CapturedMail.objects.create(
        message_id=message_id, account=account, livemode=livemode, sender="a@acme.example",
        recipient="kim@hanbit.example", subject=f"<b>{subject}</b>", size=len(source), path=content.store(source),
        at="2026-04-19T05:00:00Z",
    )  # fmt: skip


def mailing(account) -> Api:
    domain(account, "acme.example")
    return Api(builders.api_key(account))


@pytest.fixture
def mail(acme):
    return capture(acme, send(mailing(acme), subject="The code is masked"))


def test_captured_mail_is_listed_and_found(owner, acme, mail):
    other = capture(acme, mail.message_id, "Another")
    page = owner.page("inbox")
    assert page.index(f"inbox/{other.pk}") < page.index(f"inbox/{mail.pk}")
    assert "&lt;b&gt;Hello&lt;/b&gt;" in page
    found = owner.page("inbox", find="another")
    assert f"inbox/{other.pk}" in found
    assert f"inbox/{mail.pk}" not in found
    assert "Nothing found" in owner.page("inbox", find="100%_\\")


@pytest.mark.parametrize("unmasked", [True, False])
def test_a_part_of_a_mail_is_found_by_an_index_and_a_short_one_among_the_newest(owner, acme, monkeypatch, unmasked):
    world.sql(
        "INSERT INTO captured_mail (message_id, account_id, livemode, sender, recipient, subject, size, path, at)"
        " SELECT 'msg_' || n, %s, true, '', md5(n::text) || '@hanbit.example', 'Order ' || md5((n * 7)::text), 1, '', now()"
        " FROM generate_series(1, 20_000) n",
        acme.pk,
    )
    chores.merge_search_index()
    world.sql("ANALYZE captured_mail")
    visit = SimpleNamespace(account=acme, livemode=True, may=lambda action: unmasked)
    whole = CapturedMail.objects.earliest("id").recipient
    world.sql("SET LOCAL enable_seqscan = off")
    assert "captures_search" in captured.holding(visit, whole)[:26].explain()
    assert captured.holding(visit, whole.upper()).count() == 1
    made = send(mailing(acme), subject="주문 완료")
    capture(acme, made, "주문 완료")
    assert captured.holding(visit, "주문").count() == 1
    assert "among the newest 3,000 only" in owner.page("inbox", find="주문")
    monkeypatch.setattr(captured, "WALKED", 1)
    capture(acme, made, "Another")
    assert captured.holding(visit, "주문").count() == 0


def test_its_html_is_framed_and_runs_nothing(owner, mail):
    page = owner.page(f"inbox/{mail.pk}")
    assert re.search(rf'<iframe class="mail" src="[^"]*inbox/{mail.pk}/body" sandbox', page)
    answer = owner.get(f"inbox/{mail.pk}/body")
    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "<p>Hello</p>" in answer.content.decode()
    assert "plain &lt;i&gt;text" in owner.page(f"inbox/{mail.pk}?part=text")
    assert owner.get(f"inbox/{mail.pk}/source")["Content-Type"] == "text/plain; charset=utf-8"


def test_support_sees_it_masked_until_revealed(member, mail, acme):
    visitor = member(Role.SUPPORT)
    page = visitor.page("inbox")
    assert "kim@hanbit.example" not in page
    assert "The code is masked" in page
    assert visitor.get(f"inbox/{mail.pk}/body").status_code == 403
    shown = visitor.sent(f"inbox/{mail.pk}/reveal")
    assert "kim@hanbit.example" in shown
    assert visitor.get(f"inbox/{mail.pk}/source").status_code == 200
    assert audit.entries(acme.pk, action="message.revealed").get().subject == mail.message_id


def test_it_is_of_one_account_and_environment(owner, globex, mail):
    theirs = capture(globex, mail.message_id)
    in_test = capture(owner.account, mail.message_id, livemode=False)
    for number in (theirs.pk, in_test.pk, 1 << 70):
        for path in ("", "/body", "/source"):
            assert owner.get(f"inbox/{number}{path}").status_code == 404
    assert f"inbox/{in_test.pk}" in owner.at(environment="test").page("inbox")


def test_a_mail_whose_file_is_gone_is_not_there(owner, mail):
    content.delete(mail.path)
    assert owner.get(f"inbox/{mail.pk}").status_code == 404
    assert owner.get(f"inbox/{mail.pk}/source").status_code == 404
