"""The rate limit: who shares a window, how it is told, and that no request slips by or is counted twice."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F

from sendarix.accounts import keys, rate
from sendarix.accounts.models import RateWindow
from tests import builders
from tests.api_client import Api

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.probe")]


def limits(answer):
    return [int(answer.headers[f"X-RateLimit-{name}"]) for name in ("Limit", "Remaining", "Reset")]


def test_every_answer_counts_down(api, calm_minute):
    first, second = limits(api.get("/v1/letters")), limits(api.get("/v1/nowhere"))
    assert first[:2] == [1_000_000, 999_999]
    assert second[:2] == [1_000_000, 999_998]
    assert first[2] == second[2]
    assert first[2] % 60 == 0


def test_beyond_the_limit_is_429_with_the_seconds_to_wait(calm_minute):
    api = Api(builders.api_key(builders.account("globex", rate_limit=2)))
    assert [api.get("/v1/letters").status for _ in range(3)] == [200, 200, 429]
    answer = api.get("/v1/letters")
    assert answer.code == "rate_limited"
    assert limits(answer)[:2] == [2, 0]
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_an_account_shares_one_window_over_its_keys_and_environments(acme, calm_minute):
    live, test = Api(builders.api_key(acme)), Api(builders.api_key(acme, livemode=False))
    assert limits(live.get("/v1/letters"))[1] == 999_999
    assert limits(test.get("/v1/letters"))[1] == 999_998


@pytest.mark.parametrize(
    ("plan", "own", "limit"), [("standard", None, 1000), ("enterprise", None, 60000), ("standard", 7, 7)]
)
def test_the_limit_is_the_plans_unless_the_account_has_its_own(db, plan, own, limit):
    api = Api(builders.api_key(builders.account("initech", plan=plan, rate_limit=own)))
    assert limits(api.get("/v1/letters"))[0] == limit


def test_callers_without_a_key_are_limited_by_address(calm_minute, settings):
    settings.RATE_LIMIT_UNKNOWN = 2
    here = [Api(None, "198.51.100.1").get("/v1/letters").status for _ in range(3)]
    assert here == [401, 401, 429]
    assert Api(None, "198.51.100.2").get("/v1/letters").status == 401


def test_an_ipv6_host_is_its_whole_64(calm_minute, settings):
    settings.RATE_LIMIT_UNKNOWN = 1
    assert Api(None, "2001:db8::1").get("/v1/letters").status == 401
    assert Api(None, "2001:db8::2").get("/v1/letters").status == 429
    assert Api(None, "2001:db8:0:1::1").get("/v1/letters").status == 401


def test_guessing_keys_does_not_lock_a_customer_behind_the_same_address_out(api, calm_minute, settings):
    settings.RATE_LIMIT_UNKNOWN = 0
    assert Api("sk_live_" + "x" * 40).get("/v1/letters").status == 429
    assert api.get("/v1/letters").status == 200


@pytest.mark.django_db(transaction=True)
def test_concurrent_requests_are_counted_exactly():
    digest = keys.digest(builders.api_key(builders.account()))

    def work(_):
        try:
            return [rate.admit(digest, None).window for _ in range(25)]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        seen = [window for windows in pool.map(work, range(8)) for window in windows]
    sizes = Counter(window.ends_at for window in seen)
    assert sum(sizes.values()) == 200
    for ends_at, size in sizes.items():
        assert sorted(window.used for window in seen if window.ends_at == ends_at) == list(range(1, size + 1))


@pytest.mark.parametrize(("shift", "remaining"), [(-1, 999_999), (1, 999_998), (60, 999_999)])
def test_a_window_of_another_minute_is_left_behind(api, calm_minute, shift, remaining):
    """A minute ago: anew. A minute ahead: this request waited for the row. An hour ahead: the clock was set back."""
    api.get("/v1/letters")
    RateWindow.objects.update(starts_at=F("starts_at") + timedelta(minutes=shift))
    assert limits(api.get("/v1/letters"))[1] == remaining


def test_counting_is_unlogged_and_old_counters_can_be_forgotten(api):
    api.get("/v1/letters")
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'rate_windows'")
        assert cursor.fetchone() == ("u",)
    assert rate.forget() == 0
    RateWindow.objects.update(starts_at=F("starts_at") - timedelta(hours=2))
    assert rate.forget() == 1


def test_admission_works_behind_a_transaction_pooler_too(api, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    assert api.get("/v1/letters").status == 200
