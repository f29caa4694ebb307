"""What Amazon's notification service adds to the events of SES: topics that have to be confirmed, and bounces of several kinds.
Confirming asks Amazon and nobody else, whatever URL the request names."""

import asyncio
import re
import threading
from typing import Any
from urllib.parse import urlsplit

import requests
from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.signals import EventType
from anymail.webhooks.amazon_ses import AmazonSESTrackingWebhookView
from anymail.webhooks.base import AnymailBaseWebhookView
from django.http import HttpRequest

from messaging.delivery import dns, ses
from messaging.delivery.outcomes import Outcome
from messaging.delivery.provider_wire import Call, Line, Session

DEADLINE = 10.0
"""Seconds for Amazon's answer; it waits 15 for ours."""

_topic = re.compile(r"arn:aws(?:-cn|-us-gov)?:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?").fullmatch
_token = re.compile(r"[0-9A-Za-z._-]{1,1024}").fullmatch


class Unasked(Exception):
    """Amazon shows the hook's password only when it is asked for one."""


class Unconfirmed(Exception):
    """Amazon could not be asked now."""


class TrackingView(AmazonSESTrackingWebhookView):
    """Anymail's, without boto3, which that needs for its own way of confirming only. `topic_arn`: the only topic heard."""

    def __init__(self, topic_arn: str | None = None, **options: Any) -> None:
        AnymailBaseWebhookView.__init__(self, **options)
        self.auto_confirm_enabled, self.topic = False, topic_arn

    def run_validators(self, request: HttpRequest) -> None:
        if self.basic_auth and not request.headers.get("Authorization"):
            raise Unasked
        super().run_validators(request)

    def validate_request(self, request: HttpRequest) -> None:
        super().validate_request(request)
        if self.topic is not None and self._parse_sns_message(request).get("TopicArn") != self.topic:
            raise AnymailWebhookValidationFailure("another topic")

    def parse_events(self, request: HttpRequest) -> list[Any]:
        """Without bounces that are none: absence notes come as transient ones, with no word of a mail server."""
        said = self._parse_sns_message(request)
        if said.get("Type") == "SubscriptionConfirmation":
            _confirm(*_question(said))
        events = [one for one in super().parse_events(request) if not _is_note(one)]
        for one in events:
            if _left(one.esp_event):
                one.event_type = EventType.UNSUBSCRIBED
        return events


def _is_note(event: Any) -> bool:
    kind = (event.esp_event.get("bounce") or {}).get("bounceType")
    return event.event_type == EventType.BOUNCED and kind != "Permanent" and not event.mta_response


def _left(raw: dict[str, Any]) -> bool:
    """Whether it is the event of one who wants no mail any more, which Anymail does not know."""
    wishes = raw.get("subscription", {}).get("newTopicPreferences", {})
    return raw.get("eventType") == "Subscription" and wishes.get("unsubscribeAll") is True


def is_hard(raw: dict[str, Any]) -> bool:
    """Whether an event of SES says that there is no such mailbox."""
    bounce = raw.get("bounce")
    if not isinstance(bounce, dict) or bounce.get("bounceType") != "Permanent":
        return False
    return bounce.get("bounceSubType") in ("General", "NoEmail")


def _question(said: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Where to ask and what: made of the topic and the token, never of the URL given."""
    arn, token = str(said.get("TopicArn", "")), str(said.get("Token", ""))
    found = _topic(arn)
    if found is None or not ses.is_region(found[1]) or not _token(token):
        raise ValueError("not a topic or token of Amazon's")
    return ses.origin("sns", found[1]), {"Action": "ConfirmSubscription", "TopicArn": arn, "Token": token}


def _confirm(url: str, question: dict[str, str], allow_private: bool = False) -> None:
    host = urlsplit(url).hostname or ""
    addresses = asyncio.run(dns.smarthost(host, allow_private=allow_private))
    if isinstance(addresses, Outcome):
        raise Unconfirmed
    line = Line(host, plain=allow_private)
    line.addresses, line.call = addresses, Call(lambda: True)
    clock = threading.Timer(DEADLINE, line.break_off)
    clock.start()
    try:
        with Session(line) as session:
            answer = session.post(url, data=question)
    except requests.RequestException as error:
        raise Unconfirmed from error
    finally:
        clock.cancel()
    if answer.status_code != 200:
        raise Unconfirmed
