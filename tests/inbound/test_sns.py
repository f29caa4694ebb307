"""Amazon's events: its own bounces, topics and passwords, and confirmations that must lead to Amazon only."""

import base64

import pytest

from messaging.inbound import sns
from suppressions.models import Suppression
from tests.api_client import Answer
from tests.inbound.test_provider_events import STRANGER, TOPIC, Sent, fake, notice, taken
from tests.webhooks.receiver import Receiver, Reply
from tests.world import status

__all__ = ["fake", "taken"]


@pytest.fixture
def amazon(monkeypatch):
    """Where confirmations are asked for, on loopback."""
    with Receiver() as receiver:
        real = sns._confirm
        monkeypatch.setattr(sns, "_confirm", lambda url, question: real(receiver.origin + "/", question, True))
        yield receiver


def confirming(sent: Sent, **changes: str) -> Answer:
    fields = {"Token": "2336412f37fb687f5d51e6e241d09c80", "SubscribeURL": "http://127.0.0.1/", "Message": "You chose"}
    return sent.post(notice("SubscriptionConfirmation") | fields | changes)


@pytest.mark.parametrize(
    ("kind", "becomes", "suppressed"),
    [("absent", "delivered", []), ("listed", "bounced", []), ("no such", "bounced", ["hard_bounce"])],
)
def test_bounces_of_amazons_own_kinds(acme, taken, kind, becomes, suppressed):
    sent = taken("amazon_ses")
    assert sent.tell(kind).status == 200
    assert status(acme.live, sent.number) == becomes
    assert [row.reason for row in Suppression.objects.all()] == suppressed


def test_a_topic_is_confirmed_with_amazon_and_not_at_the_url_given(taken, amazon):
    assert confirming(taken("amazon_ses")).status == 200
    [request] = amazon.requests
    assert request.method == "POST"
    assert b"Action=ConfirmSubscription&TopicArn=arn%3Aaws%3Asns%3Aap-northeast-2" in request.body


def test_a_confirmation_that_fails_is_asked_for_again(taken, amazon):
    amazon.default = Reply(500)
    assert confirming(taken("amazon_ses")).status == 503


@pytest.mark.parametrize(
    "changes",
    [
        {"TopicArn": "arn:aws:sns:evil.example/?:123456789012:x"},
        {"TopicArn": "arn:aws:sns:localhost:123456789012:x"},
        {"TopicArn": "arn:aws:sqs:eu-west-1:123456789012:x"},
        {"TopicArn": TOPIC + "\r\nHost: x"},
        {"Token": "a&Action=Publish"},
        {"Token": ""},
    ],
)
def test_nothing_leads_a_confirmation_elsewhere(taken, amazon, changes):
    assert confirming(taken("amazon_ses"), **changes).status == 400
    assert amazon.requests == []


def test_the_address_asked_is_made_of_the_topics_region():
    url, question = sns._question({"TopicArn": TOPIC, "Token": "2336", "SubscribeURL": "http://169.254.169.254/"})
    assert (url, question["Token"]) == ("https://sns.ap-northeast-2.amazonaws.com/", "2336")


def test_a_route_that_names_its_topic_hears_no_other(acme, taken, amazon):
    sent = taken("amazon_ses", topic_arn=TOPIC)
    other = TOPIC.replace("123456789012", "210987654321")
    assert confirming(sent, TopicArn=other).status == 403
    assert sent.tell("hard", TopicArn=other).status == 403
    assert (status(acme.live, sent.number), amazon.requests) == ("delivered", [])
    assert sent.tell("hard").status == 200


def test_amazon_is_asked_for_the_password_it_shows_only_then(taken):
    sent = taken("amazon_ses", webhook_secret="user:long-secret")
    asked = sent.tell("hard")
    assert (asked.status, asked.headers["WWW-Authenticate"]) == (401, 'Basic realm="Sendarix"')
    right, wrong = (f"Basic {base64.b64encode(f'user:{word}'.encode()).decode()}" for word in ("long-secret", "no"))
    test = notice("Notification", Message="Successfully validated SNS topic for Amazon SES event publishing.")
    told = sent.post(test, Authorization=wrong), sent.post(test, Authorization=right)
    assert [answer.status for answer in told] == [403, 200]


@pytest.mark.parametrize("body", [[], {}, {"Type": "Notification"}, {"Type": 1, "MessageId": {}}])
def test_what_is_no_notice_is_refused(taken, body):
    assert STRANGER.post(taken("amazon_ses").path, body).status in (400, 403)
