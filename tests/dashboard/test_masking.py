"""Who sees addresses masked must not learn them otherwise: not by guessing part after part, not from what stands beside them."""

from datetime import UTC, datetime
from html import unescape

import pytest

from analytics.dimensions import Dimension
from analytics.models import HourCount
from messaging import content
from messaging.models import CapturedMail
from sendarix.accounts.models import Account, Role
from sendarix.dashboard.masking import masked_text
from suppressions import services
from suppressions.models import Reason
from tests import builders
from tests.api_client import Api
from tests.dashboard.visitors import Visitor
from tests.world import domain, send

ADDRESS = "kim.minji@hanbit.example"


@pytest.fixture
def support(member) -> Visitor:
    return member(Role.SUPPORT)


@pytest.fixture
def message(acme: Account) -> str:
    domain(acme, "acme.example")
    return send(Api(builders.api_key(acme)), recipient=ADDRESS, subject="Welcome")


@pytest.mark.parametrize("part", ["kim.m", "kim.minji@hanbit", '"minji@hanbit.example"', "inji@hanbit.example"])
def test_a_search_finds_no_part_of_a_masked_address(support, owner, message, part):
    assert message in owner.page("messages", q=part)
    assert message not in support.page("messages", q=part)
    assert message not in support.get("messages", q=f"to:{part}").content.decode()


def test_a_masked_address_is_not_to_be_guessed_by_what_is_left_out(support, message):
    answer = support.get("messages", q="-to:kim.m")
    assert answer.status_code == 422
    assert "give the whole address" in answer.content.decode()

    assert message in support.page("messages", q="-kim.m")
    assert message in support.page("messages", q="-hanbit")
    assert message not in support.page("messages", q="-welcome")


@pytest.mark.parametrize("word", ["", "subject:"])
def test_a_search_finds_no_part_of_an_address_inside_a_subject(support, owner, acme, word):
    domain(acme, "acme.example")
    subject = f"Re: <{ADDRESS}>,hi@kim@x.example and @team, no.one＠x.example u=no.one%40x.example"
    made = send(Api(builders.api_key(acme)), recipient="lee@naver.com", subject=subject)
    assert masked_text(subject) in unescape(support.page("messages"))
    for part in ("kim.m", "minji@", ADDRESS, "i@kim", "kim@x", "o.one＠", "o.one%40"):
        assert made in owner.page("messages", q=f'{word}"{part}"'), part
        assert made not in support.page("messages", q=f'{word}"{part}"'), part
        assert made in support.page("messages", q=f'-{word}"{part}"'), part
    for part in ("@hanbit.example", "re: <k", "@x.example and", "hanbit", "%40x"):
        assert made in support.page("messages", q=f'{word}"{part}"'), part


def test_whole_addresses_and_subjects_are_found_although_masked(support, message):
    for text in (ADDRESS, f"to:{ADDRESS}", "Kim.Minji@HANBIT.example", "welc", message, "domain:hanbit.example"):
        page = support.page("messages", q=text)
        assert message in page, text
        assert "k•••@hanbit.example" in page


def test_the_suppressions_of_who_sees_them_masked_are_found_by_whole_addresses(support, owner, acme):
    services.suppress(acme.pk, True, ADDRESS, ADDRESS, Reason.MANUAL, actor="user:x", note=f"Asked by {ADDRESS}")
    assert "k•••@hanbit.example" in support.page("suppressions", q=ADDRESS)
    assert "Nobody fits" in support.page("suppressions", q="kim.m")
    assert ADDRESS in owner.page("suppressions", q="kim.m")
    assert "kim.minji" not in support.page("suppressions")
    record = services.Suppression.objects.get()
    assert "kim.minji" not in support.page(f"suppressions/{record.pk}")


def test_captured_mail_of_who_sees_it_masked_is_found_by_what_is_shown(support, owner, acme, message):
    CapturedMail.objects.create(
        message_id=message, account=acme, livemode=True, sender="a@acme.example", recipient=ADDRESS, size=1,
        subject="Welcome 847291", path=content.store(b"x"), at="2026-04-19T05:00:00Z",
    )  # fmt: skip
    for find, seen in ((ADDRESS, True), ("welc", True), ("8472", False), ("kim.m", False)):
        assert ("k•••@hanbit.example" in support.page("inbox", find=find)) == seen, find
    assert ADDRESS in owner.page("inbox", find="8472")


def test_captured_mail_is_not_found_by_a_part_of_an_address_inside_its_subject(support, owner, acme):
    domain(acme, "acme.example")
    subject = f"Re: {ADDRESS}"
    made = send(Api(builders.api_key(acme)), recipient="lee@naver.com", subject=subject)
    CapturedMail.objects.create(
        message_id=made, account=acme, livemode=True, sender="a@acme.example", recipient="lee@naver.com", size=1,
        subject=subject, path=content.store(b"x"), at="2026-04-19T05:00:00Z",
    )  # fmt: skip
    for find, seen in (("kim.m", False), (ADDRESS, False), ("re: k", True), ("@HANBIT", True)):
        assert "lee@naver.com" in owner.page("inbox", find=find), find
        assert ("l•••@naver.com" in support.page("inbox", find=find)) == seen, find


@pytest.mark.parametrize("role", [Role.READ_ONLY, Role.SUPPORT])
def test_no_page_of_a_message_names_its_recipient_to_who_sees_it_masked(member, message, role):
    visitor = member(role)
    for path in ("messages", "messages/tail", f"messages/{message}", f"messages/{message}/recipient", "", "requests"):
        answer = visitor.get(path)
        assert "kim.minji" not in answer.content.decode(), path
        assert answer.status_code == (403 if (path, role) == ("requests", Role.READ_ONLY) else 200)
    for path in ("body", "source", "files/0"):
        assert visitor.get(f"messages/{message}/{path}").status_code == 403


def test_tags_and_names_beside_a_message_are_masked_and_the_copied_summary_names_nobody(support, owner, acme):
    domain(acme, "acme.example")
    api = Api(builders.api_key(acme))
    made = send(api, recipient=f"Minji Kim <{ADDRESS}>", tags=[f"to:{ADDRESS}"], metadata={f"of {ADDRESS}": "x"})
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    HourCount.objects.create(
        account=acme, livemode=True, dimension=Dimension.TAG, at=hour, value=f"to:{ADDRESS}", received=1
    )
    page = support.page(f"messages/{made}")
    assert "kim.minji" not in page
    assert "Minji Kim" not in page
    assert f"of {ADDRESS}" in owner.page(f"messages/{made}")
    assert f"To: Minji Kim &lt;{ADDRESS}&gt;" in owner.page(f"messages/{made}")
    for wanted in ({"group": "tag"}, {"group": "tag", "format": "csv"}):
        told = body(support.get("analytics", **wanted))
        assert "kim.minji" not in told
        assert "•••@hanbit.example" in told
        assert f"to:{ADDRESS}" in body(owner.get("analytics", **wanted))


def body(answer) -> str:
    return (b"".join(answer.streaming_content) if answer.streaming else answer.content).decode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("kim.minji＠hanbit.example", "k•••＠hanbit.example"),
        ("https://x.example/?e=kim.minji%40hanbit.example", "https:/•••%40hanbit.example"),
        ("The part after the @-sign is invalid", "The part after the @-sign is invalid"),
    ],
)
def test_an_address_is_masked_however_its_sign_is_written_and_a_sign_alone_is_not(text, shown):
    assert masked_text(text) == shown
