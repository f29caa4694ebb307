"""What people have written stays as they wrote it on pages in Korean, also where it looks like a service's sentence."""

import pytest

from analytics.alerts import acting
from messaging.queues import pauses
from sendarix.accounts.audit import Actor
from tests import builders
from tests.api_client import Api
from tests.dashboard.test_korean_stories import acme_at_work, hold_back, inbox, look, reader
from tests.delivery.paths import policy
from tests.world import Company, drain, forget_routes, send

__all__ = ["acme_at_work", "reader"]


@pytest.fixture(autouse=True)
def _fresh():
    forget_routes()
    yield
    forget_routes()


@pytest.mark.parametrize("reason", ["Sent in 3, 4", "Moved to 5 messages", "Disabled", "alert me: disabled"])
def test_a_pause_keeps_the_reason_that_a_person_gave(reader, acme, reason):
    hold_back(acme, reason, destination="naver.com")
    assert f"<bdi>{reason}</bdi>" in reader.page("queues")


def test_the_reason_of_an_alert_is_told_in_korean(reader, acme):
    by = Actor(acme.pk, acting.ACTOR)
    reason = "alert Wild: 9 messages in 2 minutes, more than 5"
    pauses.pause(acme.pk, pauses.Conditions(destination="naver.com"), reason, None, by)
    assert "<bdi>Wild 알림: 2분 동안 메시지 9건, 5 초과</bdi>" in reader.page("queues")


def test_a_message_that_waits_shows_the_reason_of_the_pause_as_it_was_given(acme_at_work):
    inbox(acme_at_work, "Primary")
    hold_back(acme_at_work, "Disabled", destination="hanbit.example")
    message_id = send(Api(builders.api_key(acme_at_work)))
    drain()
    assert "일시 중지: Disabled" in look(acme_at_work).page(f"messages/{message_id}")


@pytest.mark.parametrize(("name", "shown"), [(None, "기본"), ("Default", "Default"), ("Disabled", "Disabled")])
def test_only_the_default_policy_is_named_in_korean(acme_at_work, name, shown):
    inbox(acme_at_work, "Primary")
    api = Api(builders.api_key(acme_at_work))
    if name:
        policy(name, Company(acme_at_work, api, api))
    forget_routes()
    message_id = send(api)
    drain()
    visitor = look(acme_at_work)
    page = visitor.page(f"messages/{message_id}")
    assert page.count(f"<dt>정책</dt><dd><bdi>{shown}</bdi></dd>") == 2  # of the message, and of its attempt
    simulated = visitor.page("routing/simulator", recipient="kim@hanbit.example", tier="normal", size="100")
    assert f"<p><bdi>{shown}</bdi></p>" in simulated


def test_a_policy_with_markup_in_its_name_is_shown_as_text(acme_at_work):
    api = Api(builders.api_key(acme_at_work))
    policy("<b>bold</b>", Company(acme_at_work, api, api))
    page = look(acme_at_work).page("routing/simulator", recipient="kim@hanbit.example", tier="normal", size="100")
    assert "<bdi>&lt;b&gt;bold&lt;/b&gt;</bdi>" in page
