"""Exports of searches: begun from the list, shown with their progress, fetched when done."""

import csv
import io

import pytest

from messaging import exports
from messaging.models import Export
from sendarix.accounts.models import Role
from tests import builders
from tests.api_client import Api
from tests.world import domain, send


@pytest.fixture
def api(acme):
    domain(acme, "acme.example")
    return Api(builders.api_key(acme))


def test_a_search_is_exported_with_progress_and_fetched(owner, api):
    send(api, recipient="kim@naver.com", subject="=HYPERLINK(1)")
    send(api, recipient="lee@gmail.com")
    assert 'value="domain:naver.com"' in owner.page("messages", q="domain:naver.com")
    page = owner.sent("exports", {"q": "domain:naver.com"})
    assert "domain:naver.com" in page
    assert 'hx-trigger="every 2s"' in page
    assert exports.work()
    part = owner.client.get(owner.url("exports"), headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "hx-get" not in part
    answer = owner.get(f"exports/{Export.objects.get().pk}")
    assert "attachment" in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert [row["recipient"] for row in rows] == ["kim@naver.com"]
    assert not rows[0]["subject"].startswith("=")


def test_a_day_is_one_of_the_account_s_zone(owner, api, acme):
    acme.timezone = "Asia/Seoul"
    acme.save()
    owner.sent("exports", {"q": "after:2026-04-19"})
    assert Export.objects.get().query == "after:2026-04-18T15:00:00.000Z"


def test_a_search_that_cannot_be_read_is_not_exported(owner):
    answer = owner.client.post(owner.url("exports"), {"q": "stauts:x"}, follow=True)
    assert "Did you mean status:" in answer.content.decode()
    assert not Export.objects.exists()


def test_one_that_is_not_done_has_no_file(owner, api):
    owner.sent("exports", {"q": ""})
    assert owner.get(f"exports/{Export.objects.get().pk}").status_code == 302


def test_support_whose_addresses_are_masked_exports_nothing(member, api):
    visitor = member(Role.SUPPORT)
    assert "Export as CSV" not in visitor.page("messages")
    assert visitor.post("exports", {"q": ""}).status_code == 403


def test_another_account_s_export_is_not_there(owner, member, globex, api):
    owner.sent("exports", {"q": ""})
    stranger = type(owner)(builders.member(globex, Role.OWNER), globex)
    number = Export.objects.get().pk
    assert stranger.get(f"exports/{number}").status_code == 404
    assert number not in stranger.page("exports")
    assert owner.at(environment="test").get(f"exports/{number}").status_code == 404
