"""What a drain does with replies, over real sockets."""

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.db import transaction
from django.test import override_settings

from sendarix.core import events
from tests.webhooks.engine import attempts, bring_due, deliver, deliveries, read, secret_of, subscribe, types
from tests.webhooks.receiver import Drip, Never, Receiver, Reply, Reset
from tests.world import cut_connections, drain, in_background, send, sql, until
from webhooks import dispatch, signing
from webhooks.models import WebhookEndpoint


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def ladder(settings):
    """Waits that nobody sits out: `bring_due` does."""
    settings.WEBHOOK_LADDER = (100.0, 200.0, 300.0)


def told(owner, count: int = 1) -> None:
    """So many events that are about no message."""
    with transaction.atomic():
        for number in range(count):
            events.note(owner.account.id, True, "domain.broken", number=number)


def test_a_delivered_message_is_told_signed_and_in_order(acme, api, sink, receiver):
    endpoint = subscribe(acme, receiver.url)
    message_id = send(api, metadata={"order": "4711"})
    drain()
    assert deliver() == 3
    bodies = [read(request, endpoint) for request in receiver.requests]
    assert [body["data"]["status"] for body in bodies] == ["queued", "accepted", "delivered"]
    assert [body["data"]["sequence"] for body in bodies] == [1, 2, 3]
    assert [body["data"]["previous_status"] for body in bodies] == [None, "queued", "accepted"]
    assert {body["data"]["message_id"] for body in bodies} == {message_id}
    assert {delivery.status for delivery in deliveries(endpoint)} == {"succeeded"}


def test_the_body_is_the_object_of_the_event_feed_and_the_id_is_its_id(acme, api, sink, receiver):
    subscribe(acme, receiver.url)
    send(api)
    drain()
    deliver()
    feed = api.get("/v1/events").json["data"]
    assert [json.loads(request.body) for request in receiver.requests] == feed
    assert [request.headers["webhook-id"] for request in receiver.requests] == [event["id"] for event in feed]


def test_the_request_says_what_it_is(acme, receiver):
    subscribe(acme, f"{receiver.url}?token=x")
    told(acme)
    deliver()
    (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", "/hook?token=x")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "Sendarix-Webhooks/1"


def test_during_a_rotation_both_secrets_sign_and_then_only_the_new_one(acme, receiver):
    endpoint = subscribe(acme, receiver.url)
    old = subscribe(acme, receiver.url, disabled="customer")
    endpoint.previous_secret, endpoint.previous_secret_until = old.secret, datetime.now(UTC) + timedelta(hours=1)
    endpoint.save()
    told(acme)
    deliver()
    sql("UPDATE webhook_endpoints SET previous_secret_until = now() - interval '1 second'")
    told(acme)
    deliver()
    first, second = receiver.requests
    read(first, old)
    read(first, endpoint)
    read(second, endpoint)
    assert second.headers["webhook-signature"].count("v1,") == 1
    assert signing.PREFIX not in str(first.headers) + secret_of(old).removeprefix(signing.PREFIX)


def test_two_failures_and_a_success_miss_nothing_and_keep_the_id(acme, receiver, ladder):
    endpoint = subscribe(acme, receiver.url)
    receiver.script = [Reply(500, body=b"oh dear"), Reply(500)]
    told(acme)
    for _ in range(3):
        deliver()
        bring_due()
    (delivery,) = deliveries(endpoint)
    assert (delivery.status, delivery.attempt, delivery.due_at) == ("succeeded", 3, None)
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert [(a.number, a.succeeded, a.code, a.cause) for a in attempts(endpoint)] == [
        (1, False, 500, "status"),
        (2, False, 500, "status"),
        (3, True, 200, None),
    ]


def test_an_attempt_keeps_the_request_and_the_reply(acme, receiver, ladder):
    endpoint = subscribe(acme, receiver.url)
    receiver.default = Reply(500, {"X-Trace": "t1"}, b"a\0b" + b"x" * 30_000)
    told(acme)
    deliver()
    (attempt,) = attempts(endpoint)
    assert attempt.request_headers["webhook-id"] == receiver.requests[0].headers["webhook-id"]
    assert attempt.request_headers["webhook-signature"] == receiver.requests[0].headers["webhook-signature"]
    assert attempt.reply_headers["x-trace"] == "t1"
    assert attempt.reply.startswith("a\ufffdbx")
    assert len(attempt.reply) == 20_000
    assert attempt.address == "127.0.0.1"


def test_after_the_last_try_of_the_ladder_a_delivery_has_failed(acme, receiver, ladder):
    endpoint = subscribe(acme, receiver.url)
    receiver.default = Reply(500)
    told(acme)
    for number, wait in enumerate([100, 200, 300], 1):
        deliver()
        (delivery,) = deliveries(endpoint)
        assert (delivery.status, delivery.attempt) == ("waiting", number)
        assert wait <= (delivery.due_at - attempts(endpoint)[-1].started_at).total_seconds() <= wait * 1.1 + 2
        bring_due()
    deliver()
    (delivery,) = deliveries(endpoint)
    assert (delivery.status, delivery.attempt, delivery.due_at) == ("failed", 4, None)
    assert delivery.ended_at is not None


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_the_earliest_next_try(acme, receiver, ladder, as_date):
    endpoint = subscribe(acme, receiver.url)
    wanted = format_datetime(datetime.now(UTC) + timedelta(seconds=900), usegmt=True) if as_date else "900"
    receiver.default = Reply(503, {"Retry-After": wanted})
    told(acme)
    deliver()
    waits = (deliveries(endpoint)[0].due_at - datetime.now(UTC)).total_seconds()
    assert 880 <= waits <= 901


def test_a_retry_after_that_is_no_time_is_a_failure_like_any_other(acme, receiver, ladder):
    endpoint = subscribe(acme, receiver.url)
    receiver.default = Reply(503, {"Retry-After": "Mon, 01 Jan 2024 00:00:00 +9999999999999999"})
    told(acme)
    assert in_background(deliver).result(20) == 1
    assert deliveries(endpoint)[0].attempt == 1
    assert attempts(endpoint)[0].code == 503


def test_an_endpoint_rests_as_long_as_it_asks_for_up_to_an_hour(acme, receiver, ladder):
    endpoint = subscribe(acme, receiver.url)
    receiver.default = Reply(503, {"Retry-After": "900"})
    told(acme)
    deliver()
    endpoint.refresh_from_db()
    assert 880 <= (endpoint.paused_until - datetime.now(UTC)).total_seconds() <= 901


def stands(endpoint) -> tuple:
    endpoint.refresh_from_db()
    return endpoint.failures, endpoint.failing_since, endpoint.disabled


@pytest.mark.parametrize(
    "fault", [{"ENCRYPTION_KEYS": {7: os.urandom(32)}}, {"WEBHOOK_TIMEOUT": "soon"}], ids=["key", "setting"]
)
def test_a_fault_of_ours_delays_and_counts_against_nobody(acme, receiver, ladder, caplog, fault):
    since = datetime.now(UTC) - timedelta(days=9)
    endpoint, fresh = subscribe(acme, receiver.url, failing_since=since, failures=2), subscribe(acme, receiver.url)
    told(acme, 3)
    with override_settings(**fault):
        in_background(deliver).result(20)
    assert (stands(endpoint), stands(fresh)) == ((2, since, None), (0, None, None))
    assert [delivery.attempt for delivery in deliveries(endpoint)] == [0, 0, 0]
    assert (attempts(endpoint), receiver.requests) == ([], [])
    assert endpoint.paused_until > datetime.now(UTC)
    assert "a fault of ours" in caplog.text
    bring_due()
    assert deliver() == 6
    assert {delivery.attempt for delivery in deliveries(endpoint)} == {1}


def test_one_that_asks_for_patience_is_asked_nothing_else_meanwhile(acme, receiver, ladder):
    endpoint = subscribe(acme, receiver.url)
    receiver.default = Reply(429, {"Retry-After": "60"})
    told(acme, 5)
    assert deliver() == 1
    assert [delivery.attempt for delivery in deliveries(endpoint)] == [1, 0, 0, 0, 0]
    receiver.default = Reply()
    bring_due()
    assert deliver() == 5


def test_a_redirect_is_not_followed(acme, receiver, ladder):
    endpoint = subscribe(acme, receiver.url)
    with Receiver() as other:
        receiver.default = Reply(301, {"Location": other.url})
        told(acme)
        deliver()
        assert other.requests == []
    assert "redirects are not followed" in attempts(endpoint)[0].detail
    assert deliveries(endpoint)[0].status == "waiting"


def test_410_disables_the_endpoint_tells_the_account_and_is_in_the_audit_log(acme, receiver):
    endpoint, other = (
        subscribe(acme, f"{receiver.url}/gone?token=hush"),
        subscribe(acme, receiver.url, "webhook.disabled"),
    )
    receiver.answer = lambda request: Reply(410 if "/gone" in request.path else 200)
    told(acme, 3)
    deliver()
    endpoint.refresh_from_db()
    assert endpoint.disabled == WebhookEndpoint.Disabled.GONE
    assert endpoint.disabled_at is not None
    assert [delivery.status for delivery in deliveries(endpoint)] == ["failed", "waiting", "waiting"]
    notice = read(receiver.requests[-1], other)
    assert notice["data"]["url"] == f"{receiver.url}/gone"
    assert notice["type"] == "webhook.disabled"
    assert (notice["data"]["endpoint_id"], notice["data"]["reason"]) == (endpoint.id, "gone")
    assert sql("SELECT action, actor, subject FROM audit_log") == [
        ("webhook_endpoint.disabled", "webhooks", endpoint.id)
    ]


def test_nothing_but_failures_for_five_days_disables_an_endpoint(acme, receiver, ladder):
    endpoint = subscribe(acme, receiver.url, failing_since=datetime.now(UTC) - timedelta(days=5, minutes=1))
    fresh = subscribe(acme, receiver.url, failing_since=datetime.now(UTC) - timedelta(days=4, hours=23))
    receiver.default = Reply(500)
    told(acme)
    deliver()
    endpoint.refresh_from_db()
    fresh.refresh_from_db()
    assert endpoint.disabled == WebhookEndpoint.Disabled.FAILING
    assert fresh.disabled is None
    assert types(fresh) == ["domain.broken", "webhook.disabled"]


def test_a_success_begins_the_count_of_failures_anew(acme, receiver, ladder):
    endpoint = subscribe(acme, receiver.url, failing_since=datetime.now(UTC) - timedelta(days=9), failures=2)
    told(acme)
    deliver()
    endpoint.refresh_from_db()
    assert (endpoint.failing_since, endpoint.failures, endpoint.disabled) == (None, 0, None)
    assert endpoint.last_success_at is not None
    receiver.default = Reply(500)
    told(acme)
    deliver()
    endpoint.refresh_from_db()
    assert (datetime.now(UTC) - endpoint.failing_since).total_seconds() < 60


def test_an_endpoint_where_nobody_is_is_left_alone_and_the_others_ladders_are_not_burnt(acme, receiver, ladder):
    endpoint = subscribe(acme, receiver.url)
    receiver.default = Reset()
    told(acme, 10)
    assert deliver() == 3
    assert [delivery.attempt for delivery in deliveries(endpoint)] == [1, 1, 1] + [0] * 7
    endpoint.refresh_from_db()
    assert endpoint.failures == 3
    assert endpoint.paused_until > datetime.now(UTC)
    sql("UPDATE webhook_endpoints SET paused_until = now()")
    assert deliver() == 1
    receiver.default = Reply()
    bring_due()
    assert deliver() == 10
    assert {delivery.status for delivery in deliveries(endpoint)} == {"succeeded"}


def test_a_reply_that_never_comes_ends_with_the_deadline(acme, receiver, ladder, settings):
    settings.WEBHOOK_TIMEOUT = 0.3
    endpoint = subscribe(acme, receiver.url)
    receiver.script = [Never(), Drip()]
    told(acme, 2)
    assert deliver() == 2
    assert [attempt.cause for attempt in attempts(endpoint)] == ["timeout", "timeout"]


def test_one_that_hangs_delays_no_other(acme, receiver, ladder):
    slow = subscribe(acme, f"{receiver.url}/slow")
    subscribe(acme, f"{receiver.url}/quick")
    receiver.answer = lambda request: Never() if request.path.endswith("slow") else Reply()
    told(acme, 30)
    delivering = in_background(deliver)
    until(lambda: sum(request.path.endswith("quick") for request in receiver.requests) == 30)
    assert attempts(slow) == []
    receiver.answer = lambda request: Reply()
    receiver.hang_up()
    delivering.result()


def test_events_of_one_message_go_out_one_after_another_even_when_many_are_under_way(acme, api, sink, receiver):
    subscribe(acme, receiver.url)
    receiver.default = Reply(delay=0.01)
    for _ in range(30):
        send(api)
    drain()
    assert deliver() == 90
    seen: dict[str, list[int]] = {}
    for request in receiver.requests:
        data = json.loads(request.body)["data"]
        seen.setdefault(data["message_id"], []).append(data["sequence"])
    assert set(map(tuple, seen.values())) == {(1, 2, 3)}
    assert receiver.connections > 1


def test_a_lone_delivery_goes_over_one_connection(acme, receiver):
    subscribe(acme, receiver.url)
    told(acme, 15)
    deliver()
    assert receiver.connections == 1
    numbers = [json.loads(request.body)["data"]["number"] for request in receiver.requests]
    assert numbers == list(range(15))


def test_an_endpoint_disabled_while_its_deliveries_go_out_gets_no_more(acme, receiver):
    endpoint = subscribe(acme, receiver.url)
    receiver.default = Reply(delay=0.4)
    told(acme, 20)
    delivering = in_background(deliver)
    receiver.wait(1)
    sql("UPDATE webhook_endpoints SET disabled = 'customer'")
    delivering.result()
    assert len(receiver.requests) < 12
    assert {delivery.status for delivery in deliveries(endpoint)} == {"succeeded", "waiting"}


def test_an_event_that_is_no_longer_kept_ends_its_delivery(acme, receiver):
    endpoint = subscribe(acme, receiver.url)
    told(acme)
    sql("DELETE FROM events")
    deliver()
    assert deliveries(endpoint)[0].status == "failed"
    assert attempts(endpoint)[0].cause == "event_gone"
    assert receiver.requests == []


def test_a_url_no_longer_allowed_is_refused_again_at_the_time_of_the_post(acme, receiver, ladder, settings):
    endpoint = subscribe(acme, receiver.url)
    settings.WEBHOOK_ALLOW_LOOPBACK = False
    told(acme)
    deliver()
    assert attempts(endpoint)[0].cause == "refused"
    assert receiver.requests == []
    assert deliveries(endpoint)[0].status == "waiting"


def test_a_drain_leaves_no_hold_behind(acme, receiver):
    subscribe(acme, receiver.url)
    told(acme)
    deliver()
    assert sql("SELECT worker FROM webhook_endpoints") == [(None,)]
    assert sql("SELECT * FROM webhook_workers") == []


def test_connections_to_the_database_that_are_cut_lose_no_delivery_and_repeat_none(acme, receiver):
    endpoint = subscribe(acme, receiver.url)
    for count in (1, 2, 3):
        told(acme)
        assert deliver() == 1
        assert len(receiver.requests) == count
        cut_connections()
    assert [delivery.status for delivery in deliveries(endpoint)] == ["succeeded"] * 3


def test_an_endpoint_that_another_drain_holds_is_left_to_it(acme, receiver):
    endpoint = subscribe(acme, receiver.url, worker="other")
    told(acme)
    assert deliver() == 0
    assert deliveries(endpoint)[0].attempt == 0


def test_two_drains_at_once_post_everything_once(acme, receiver):
    for number in range(8):
        subscribe(acme, f"{receiver.url}/{number}")
    told(acme, 10)
    first, second = in_background(deliver), in_background(deliver)
    assert first.result() + second.result() == 80
    assert len({(request.path, request.headers["webhook-id"]) for request in receiver.requests}) == 80


def test_events_that_come_while_a_drain_runs_are_delivered_by_it(acme, receiver):
    subscribe(acme, receiver.url)
    receiver.default = Reply(delay=0.3)
    told(acme)
    delivering = in_background(deliver)
    receiver.wait(1)
    told(acme)
    until(lambda: len(receiver.requests) == 2)
    assert delivering.result() == 2


def test_what_comes_at_the_last_moment_is_delivered_by_the_drain_that_was_about_to_end(acme, receiver):
    class Late(dispatch.Drain):
        late = 5

        async def _last_look(self) -> int:
            late, self.late = self.late, 0
            await self._in(self.threads.looks, told, acme, late)
            return await super()._last_look()

    subscribe(acme, receiver.url)
    receiver.default = Reply(delay=0.1)
    told(acme)
    running = in_background(lambda: asyncio.run(Late(dispatch.threads(), 0).run()))
    assert running.result() == 6
    assert [json.loads(request.body)["data"]["number"] for request in receiver.requests] == [0, 0, 1, 2, 3, 4]
