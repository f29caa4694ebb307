"""Which events become deliveries, and that they are written in the event's own transaction."""

import pytest
from django.db import transaction

from messaging.models import Event
from sendarix.core import events
from tests.webhooks.engine import deliveries, jobs_waiting, subscribe, types
from tests.world import drain, send, sql, suppress
from webhooks.models import WebhookEndpoint

URL = "http://127.0.0.1:9/hook"


def test_an_accepted_message_is_to_be_told_at_once(acme, api):
    endpoint = subscribe(acme, URL)
    message_id = send(api)
    (delivery,) = deliveries(endpoint)
    assert (delivery.type, delivery.message_id, delivery.status) == ("message.queued", message_id, "waiting")
    assert delivery.event_number == Event.objects.get(message_id=message_id).id
    assert delivery.due_at is not None
    assert delivery.attempt == 0


def test_each_event_of_a_message_comes_once_and_in_order(acme, api, sink):
    endpoint = subscribe(acme, URL)
    send(api)
    drain()
    assert types(endpoint) == ["message.queued", "message.accepted", "message.delivered"]
    numbers = [delivery.event_number for delivery in deliveries(endpoint)]
    assert numbers == sorted(numbers)


def test_an_endpoint_gets_only_the_types_it_asked_for(acme, api, sink):
    some, none, every = (
        subscribe(acme, URL, *asked) for asked in (["message.delivered", "domain.broken"], ["message.bounced"], [])
    )
    send(api)
    drain()
    assert types(some) == ["message.delivered"]
    assert types(none) == []
    assert len(types(every)) == 3


def test_nobody_gets_what_is_another_accounts_or_environments(acme, globex, api):
    theirs, test_mode = subscribe(globex, URL), subscribe(acme, URL, livemode=False)
    send(api)
    assert types(theirs) == types(test_mode) == []
    send(acme.test)
    assert types(test_mode) == ["message.queued"]
    assert types(theirs) == []


@pytest.mark.parametrize("why", WebhookEndpoint.Disabled.values)
def test_a_disabled_endpoint_gets_nothing(acme, api, why):
    endpoint = subscribe(acme, URL, disabled=why)
    send(api)
    assert types(endpoint) == []


def test_an_event_without_a_message_is_told_too(acme):
    endpoint = subscribe(acme, URL)
    with transaction.atomic():
        events.note(acme.account.id, True, "domain.broken", domain="hanbit.example")
    (delivery,) = deliveries(endpoint)
    assert (delivery.type, delivery.message_id) == ("domain.broken", None)


def test_what_is_rolled_back_is_told_to_nobody(acme):
    endpoint = subscribe(acme, URL)
    with transaction.atomic():
        events.note(acme.account.id, True, "domain.broken")
        transaction.set_rollback(True)
    assert types(endpoint) == []
    assert jobs_waiting() == 0


def test_many_events_wake_one_drain_and_no_endpoint_wakes_none(acme, api, globex):
    send(api)
    assert jobs_waiting() == 0
    subscribe(acme, URL)
    for _ in range(5):
        send(api)
    assert jobs_waiting() == 1


def test_nobody_is_woken_while_a_drain_has_promised_to_look(acme, api):
    endpoint = subscribe(acme, URL)
    sql("INSERT INTO webhook_workers VALUES ('busy', now(), now() + interval '1 hour')")
    send(api)
    assert len(deliveries(endpoint)) == 1
    assert jobs_waiting() == 0


def test_a_waiting_webhook_job_does_not_keep_delivery_from_being_woken(acme, api):
    subscribe(acme, URL)
    send(api)
    keys = [row[0] for row in sql("SELECT key FROM django_q_ormq ORDER BY key")]
    assert keys == ["delivery", "webhooks"]


def test_one_statement_tells_many_events_in_order(acme, api, sink):
    endpoint = subscribe(acme, URL, "message.suppressed")
    suppress(acme, "kim@hanbit.example", "manual")
    ids = [send(api) for _ in range(20)]
    drain()
    assert [delivery.message_id for delivery in deliveries(endpoint)] == ids


def test_the_outbox_alone_hears_of_events():
    """Acceptance spares accounts without endpoints the bus: another receiver would miss their first events."""
    assert [key[0] for key, *_ in events.recorded.receivers] == ["webhooks"]
