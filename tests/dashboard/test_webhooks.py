"""The pages of webhooks: endpoints and their secrets, deliveries with request and reply, and delivering again."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from sendarix.accounts.models import Role
from sendarix.dashboard.pages import visiting
from tests import builders
from tests.dashboard.visitors import Visitor
from webhooks import endpoints, queries, recovery
from webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint

HOOK = {"url": "http://127.0.0.1:9/hook?token=t0k3n", "description": "Orders", "event_types": ["message.delivered"]}
HOSTILE = "</pre><script>alert(1)</script>\u202e" + "x" * 500


@pytest.fixture
def endpoint(owner) -> WebhookEndpoint:
    return made(owner)


def made(visitor: Visitor, **fields) -> WebhookEndpoint:
    request = visitor.get("webhooks").wsgi_request
    visit = visiting(request, visitor.account.slug, visitor.environment)
    return endpoints.create(visit.caller, visit.actor, HOOK | fields)[0]


def tried(endpoint: WebhookEndpoint, **fields) -> WebhookDelivery:
    """A delivery with one attempt that got a 500."""
    delivery = recovery.test(endpoint)
    failed = {
        "number": 1, "started_at": datetime.now(UTC), "duration_ms": 41, "succeeded": False, "cause": "status",
        "detail": "HTTP 500", "code": 500, "reply_headers": {"server": HOSTILE}, "reply": HOSTILE,
    }  # fmt: skip
    WebhookAttempt.objects.create(delivery=delivery, **failed | fields)
    WebhookDelivery.objects.filter(pk=delivery.pk).update(status="failed", due_at=None, ended_at=datetime.now(UTC))
    return delivery


def path(delivery: WebhookDelivery, rest: str = "") -> str:
    return f"webhooks/{delivery.endpoint_id}/deliveries/{queries.public_id(delivery)}{rest}"


def test_an_endpoint_is_added_and_its_secret_shown_once(owner):
    answer = owner.post("webhooks/new", HOOK)
    secret = re.search(r"whsec_[A-Za-z0-9+/]+=*", answer.content.decode())[0]
    assert answer["Cache-Control"] == "no-store"
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.event_types == ["message.delivered"]
    for page in ("webhooks", f"webhooks/{endpoint.pk}", f"webhooks/{endpoint.pk}/edit"):
        assert secret not in owner.page(page)
    assert "t0k3n" not in owner.page("webhooks")


def test_what_is_wrong_with_an_endpoint_stands_at_its_field(owner):
    for url in ("ftp://acme.example", "https://10.0.0.1/hook", "http://[::1", "\x00"):
        answer = owner.post("webhooks/new", HOOK | {"url": url})
        assert (answer.status_code, 'id="id_url-errors"' in answer.content.decode()) == (422, True)
    assert owner.post("webhooks/new", HOOK | {"event_types": ["message.eaten"]}).status_code == 422
    assert not WebhookEndpoint.objects.exists()


def test_an_endpoint_is_changed_disabled_and_enabled(owner, endpoint):
    owner.sent(f"webhooks/{endpoint.pk}/edit", {"url": HOOK["url"], "event_types": ["message.bounced"]})
    page = owner.sent(f"webhooks/{endpoint.pk}/enabled", {"enabled": "0"})
    assert "Somebody disabled it." in page
    endpoint.refresh_from_db()
    assert (endpoint.event_types, endpoint.disabled) == (["message.bounced"], "customer")
    assert "The endpoint is disabled" in owner.sent(f"webhooks/{endpoint.pk}/test")
    owner.sent(f"webhooks/{endpoint.pk}/enabled", {"enabled": "1"})
    endpoint.refresh_from_db()
    assert endpoint.disabled is None


def test_a_new_secret_is_shown_once_and_the_old_one_signs_on(owner, endpoint):
    answer = owner.post(f"webhooks/{endpoint.pk}/rotate", {"overlap": "24"})
    assert b"whsec_" in answer.content
    assert b"Requests carry a signature by the old secret too until:" in answer.content
    endpoint.refresh_from_db()
    assert endpoint.previous_secret_until > datetime.now(UTC) + timedelta(hours=23)
    assert "Choose when" in owner.sent(f"webhooks/{endpoint.pk}/rotate", {"overlap": "soon"})


def test_a_test_event_leads_to_its_delivery_and_a_replay_makes_it_due(owner, endpoint):
    page = owner.sent(f"webhooks/{endpoint.pk}/test")
    assert "Not tried yet" in page
    assert 'hx-trigger="every 3s"' in page
    delivery = tried(endpoint)
    assert "every 3s" not in owner.page(path(delivery))
    assert "delivered again now" in owner.sent(path(delivery, "/replay"))
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt) == ("waiting", 0)


def test_a_delivery_shows_request_and_reply_and_hostile_ones_are_text(owner, endpoint):
    page = owner.page(path(tried(endpoint)))
    assert "HTTP 500" in page
    assert "<script>alert" not in page
    assert page.count("&lt;/pre&gt;&lt;script&gt;") == 2
    assert f"&quot;endpoint_id&quot;: &quot;{endpoint.pk}&quot;" in page


def test_who_sees_addresses_masked_sees_no_bodies(member, owner, endpoint):
    delivery = tried(endpoint, reply="Thanks, kim@hanbit.example", reply_headers={})
    for role in (Role.SUPPORT, Role.READ_ONLY):
        page = member(role).page(path(delivery))
        assert "kim@hanbit.example" not in page
        assert "&quot;endpoint_id&quot;" not in page
    assert "kim@hanbit.example" in member(Role.DEVELOPER).page(path(delivery))


def test_deliveries_are_filtered_and_paged(owner, endpoint):
    for _ in range(26):
        recovery.test(endpoint)
    tried(endpoint)
    first = owner.page(f"webhooks/{endpoint.pk}")
    cursor = re.search(r"cursor=(\w+)", first)[1]
    second = owner.page(f"webhooks/{endpoint.pk}", cursor=cursor)
    assert (first.count("<code>msg_"), first.count('class="link"'), second.count('class="link"')) == (0, 25, 2)
    assert owner.page(f"webhooks/{endpoint.pk}", status="failed").count('class="link"') == 1
    assert "Nothing fits" in owner.page(f"webhooks/{endpoint.pk}", message_id="msg_nothing")
    assert owner.page(f"webhooks/{endpoint.pk}", status="eaten").count('class="link"') == 25
    assert owner.get(f"webhooks/{endpoint.pk}", cursor="nonsense").status_code == 404


def test_a_time_is_recovered(owner, endpoint):
    now = datetime.now(UTC)
    told = owner.sent(f"webhooks/{endpoint.pk}/recover", {"since": f"{now - timedelta(days=1):%Y-%m-%dT%H:%M}"})
    assert "0 events are delivered again." in told
    for fields in (
        {},
        {"since": "yesterday"},
        {"since": "2020-01-01T00:00"},
        {"since": f"{now + timedelta(days=2):%Y-%m-%dT%H:%M}"},
    ):
        assert owner.post(f"webhooks/{endpoint.pk}/recover", fields).status_code == 422
    day = f"{now - timedelta(days=1):%Y-%m-%dT%H:%M}"
    assert owner.post(f"webhooks/{endpoint.pk}/recover", {"since": day, "until": day}).status_code == 422


def test_endpoints_of_another_account_and_environment_are_not_there(owner, member, globex):
    foreign = made(Visitor(builders.member(globex, Role.OWNER), globex))
    delivery = recovery.test(foreign)
    pages = [f"webhooks/{foreign.pk}", f"webhooks/{foreign.pk}/edit", path(delivery)]
    assert [owner.get(page).status_code for page in pages] == [404, 404, 404]
    posts = ("enabled", "rotate", "test", "remove", "recover", "edit")
    assert {owner.post(f"webhooks/{foreign.pk}/{post}", {"overlap": "0"}).status_code for post in posts} == {404}
    assert owner.post(path(delivery, "/replay")).status_code == 404
    own = made(owner)
    assert owner.at(environment="test").get(f"webhooks/{own.pk}").status_code == 404


def test_an_endpoint_is_removed(owner, endpoint):
    assert "The endpoint is removed." in owner.sent(f"webhooks/{endpoint.pk}/remove")
    assert not WebhookEndpoint.objects.exists()
