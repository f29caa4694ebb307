"""Overview and analytics: figures of the account's own mail, honest about what is not counted yet."""

import csv
import io
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics import rollup
from messaging.delivery import routebook
from messaging.models import PathHealth
from messaging.routes import registry
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Role
from tests import builders, world
from tests.analytics import traffic
from tests.dashboard.visitors import Visitor


@pytest.fixture
def shop(transactional_db) -> world.Company:
    return world.company("acme")


@pytest.fixture
def owner(shop) -> Visitor:
    return Visitor(builders.member(shop.account, Role.OWNER), shop.account)


def counted() -> None:
    rollup.run()


def test_an_account_without_mail_is_told_how_to_begin(owner):
    page = owner.page()
    assert "No mail in this time" in page
    assert "Every endpoint answers" in page


def test_the_overview_counts_mail_and_marks_a_bounce_rate_that_is_dangerous(shop, owner):
    for _ in range(18):
        traffic.message(shop)
    for _ in range(2):
        traffic.message(shop, ("queued", "accepted", "bounced"))
    counted()
    page = owner.page()
    assert '<span class="value">20</span>' in page
    assert '<span class="value bad">10.00%</span>' in page


def test_mail_of_the_running_hour_is_told_beside_the_whole_hours(shop, owner):
    began = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    since = f"since {began.astimezone(ZoneInfo(shop.account.timezone)):%H:%M}"
    assert "none, nor in the time before" in owner.page()
    traffic.message(shop, at=began)
    counted()
    page = owner.page()
    assert f"1 {since}, none in whole hours yet" in page
    assert "as before" not in page
    traffic.message(shop, at=began - timedelta(hours=2))
    counted()
    page = owner.page()
    assert "none in the time before" in page
    assert f"and 1 {since}" in page


def test_analytics_shows_groups_by_name_and_as_csv_with_cells_that_are_no_formulas(shop, owner):
    traffic.message(shop, tags=["=cmd()"])
    traffic.message(shop, tags=["orders"])
    counted()
    assert '<bdi class="clip">orders</bdi>' in owner.page("analytics", group="tag", period="24h")
    answer = owner.get("analytics", group="tag", period="24h", format="csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert {row["tag"] for row in rows} == {"'=cmd()", "orders"}


def test_odd_questions_get_the_usual_page(owner):
    page = owner.page("analytics", group="<script>", period="9999d", metric="\x00")
    assert "<script>" not in page.replace("<script src=", "").replace('<script id="analytics"', "")


def test_a_route_that_is_shut_off_is_told_as_routing_tells_it(shop, owner):
    made = registry.create(shop.account.pk, "inbox", {"name": "Relay"}, {}, Actor(shop.account.pk, "operator"))
    assert "breaker open" not in owner.page()
    now = datetime.now(UTC)
    until = now + timedelta(minutes=5)
    PathHealth.objects.create(route_id=made.pk, destination="naver", breaker="open", open_until=until, updated_at=now)
    routebook.forget()
    assert "breaker open" in owner.page()


def test_another_accounts_mail_is_not_counted(shop, owner):
    traffic.message(world.company("globex"))
    counted()
    assert "No mail in this time" in owner.page()


def test_times_are_those_of_the_accounts_zone(shop, owner):
    shop.account.timezone = "Asia/Seoul"
    shop.account.save()
    traffic.message(shop)
    counted()
    local = (traffic.NOON + timedelta(hours=9)).strftime("%m-%d %H:00")
    assert local in owner.page()
