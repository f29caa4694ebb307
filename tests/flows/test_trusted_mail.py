"""A shop moves its mail to us: its domain proven, a template of its own, webhooks to its servers, and a reader who has had
enough. Everything over sockets: a DNS server, a mail server, two HTTP receivers."""

import email
import email.policy
import json
import re
from urllib.parse import urlsplit

import dkim
import dns.resolver
import pytest
from django.test import Client
from standardwebhooks import Webhook

from tests import world
from tests.messaging.domain_zone import add, publish, verify
from tests.webhooks import engine
from tests.webhooks.receiver import Receiver, Reply
from tests.world import drain, message, story

ORDER = {
    "subject": "Order {{ order.number }} is on its way",
    "html": "<style>p { color: #333 }</style><p>Dear {{ name }},</p>{% for item in order.items %}<p>{{ item }}</p>{% endfor %}",
    "from": "Hanbit <shop@hanbit.example>",
}


@pytest.fixture
def books():
    """The shop's own server, which keeps its books by our events."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def crm():
    """Its marketing department's, which is not well at first."""
    with Receiver() as receiver:
        receiver.script = [Reply(500), Reply(500)]
        yield receiver


def keys_in_the_dns(zone):
    """How dkimpy looks up keys: a real question to the server."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [zone.address[0]], zone.address[1]

    def txt(name: bytes, timeout: int = 5) -> bytes:
        return b"".join(resolver.resolve(name.decode(), "TXT")[0].strings)

    return txt


def subscribe(api, receiver) -> str:
    answer = api.post("/v1/webhooks", {"url": receiver.url})
    assert answer.status == 201, answer.json
    return answer.json["secret"]


def received(receiver, secret: str) -> list[dict]:
    """The events a receiver took, in order of arrival, each with a signature that the published package takes."""
    for request in receiver.requests:
        Webhook(secret).verify(request.body, request.headers)
    return [json.loads(request.body) for request in receiver.requests]


def test_a_domain_is_proven_mail_is_signed_events_arrive_and_an_unsubscription_holds(acme, sink, zone, books, crm):
    shop = acme.live

    # The domain is added, its records published as told, and found right.
    publish(zone, add(shop, "hanbit.example"))
    domain = verify(shop, "hanbit.example")
    assert (domain["status"], domain["return_path_ready"]) == ("verified", True)

    # A template is written and published, and two servers want to hear of everything.
    assert shop.post("/v1/templates", {"key": "order-sent", **ORDER, "publish": True}).status == 201
    secrets = [subscribe(shop, receiver) for receiver in (books, crm)]

    # An order is sent, twice by mistake.
    order = {
        "recipient": "Kim <kim@customer.example>",
        "template": "order-sent",
        "template_data": {"name": "Kim", "order": {"number": 4711, "items": ["bread", "milk"]}},
        "unsubscribe": True,
    }
    answers = [shop.post("/v1/messages", order, {"Idempotency-Key": "order-4711"}) for _ in range(2)]
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    message_id = answers[0].json["message_id"]
    drain()

    # One mail arrives, signed by both keys, from a bounce address of ours.
    (taken,) = sink.accepted
    assert taken.sender.endswith("@bounces.hanbit.example")
    verifier = dkim.DKIM(taken.content)
    assert [verifier.verify(idx=number, dnsfunc=keys_in_the_dns(zone)) for number in (0, 1)] == [True, True]
    mail = email.message_from_bytes(taken.content, policy=email.policy.default)
    assert mail["Subject"] == "Order 4711 is on its way"
    assert "color: #333" in mail.get_body(("html",)).get_content()
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    # The books hear of it at once and in order; the other server after two refusals, with the same ids.
    for _ in range(3):
        engine.deliver()
        engine.bring_due()
    heard = received(books, secrets[0])
    assert [event["type"] for event in heard] == ["message.queued", "message.accepted", "message.delivered"]
    assert heard == shop.get("/v1/events", {"after": ""}).json["data"][-3:]
    assert {event["id"] for event in received(crm, secrets[1])} == {event["id"] for event in heard}
    refused, again = (crm.requests[0], [r for r in crm.requests if r.headers["webhook-id"] == heard[0]["id"]])
    assert refused.headers["webhook-id"] == heard[0]["id"]
    assert len(again) >= 2

    # Kim's mail program unsubscribes with one click.
    link = re.fullmatch(r"<(\S{1,80})>", mail["List-Unsubscribe"])[1]
    assert Client().post(urlsplit(link).path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert message(shop, message_id)["status"] == "unsubscribed"

    # The next order is not sent to Kim, and says why.
    second = shop.post("/v1/messages", order, {"Idempotency-Key": "order-4712"}).json["message_id"]
    drain()
    assert story(shop, second) == ["queued", "suppressed"]
    assert (message(shop, second)["reason"], sink.dots) == ("user_unsubscribed", 1)
    world.until(lambda: engine.deliver() or len(books.requests) >= 6)
    types = [event["type"].removeprefix("message.") for event in received(books, secrets[0])]
    assert types[3:] == ["unsubscribed", "queued", "suppressed"]
