"""What providers tell of mail they took: payloads as their public documentation has them, brought onto the right message."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import OperationalError, connection

from messaging.models import Attempt, DeadLetter, Event, Message, PathHealth, Route
from suppressions.models import Suppression
from tests import world
from tests.api_client import Answer, Api
from tests.delivery.fake_providers import SETTINGS, FakeProviders, reply
from tests.webhooks.receiver import Drop
from tests.world import bring_due, drain, send, status, story

PROVIDERS = list(SETTINGS)
SIGNING_KEY = "mailgun-signing-key"
UNKNOWN_USER = "550 5.1.1 <kim@hanbit.example>: Recipient address rejected: User unknown"
STRANGER = Api(None)


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that a provider took, and the hook of its route."""

    provider: str
    number: str
    reference: str
    path: str

    def post(self, *payloads: object, **headers: str) -> Answer:
        """The payloads as the provider sends them: SendGrid many at a time, the others one."""
        if self.provider == "amazon_ses":
            [notice] = payloads
            said = {"X-Amz-Sns-Message-Type": notice["Type"], "X-Amz-Sns-Message-Id": notice["MessageId"]}
            return STRANGER.post(self.path, notice, said | headers)
        if self.provider == "sendgrid":
            return STRANGER.post(self.path, list(payloads), headers)
        [payload] = payloads
        return STRANGER.post(self.path, payload, headers)

    def tell(self, kind: str, **changes: object) -> Answer:
        return self.post(payload(self, kind) | changes)


def payload(sent: Sent, kind: str) -> dict:
    payloads = {"postmark": postmark, "sendgrid": sendgrid, "mailgun": mailgun, "brevo": brevo, "amazon_ses": amazon}
    return payloads[sent.provider](sent, kind)


def postmark(sent: Sent, kind: str) -> dict:
    """https://postmarkapp.com/developer/webhooks/webhooks-overview"""
    common = {"MessageID": sent.reference, "Metadata": {"sendarix_id": sent.number}, "Tag": "", "ServerID": 23}
    bounce = {"RecordType": "Bounce", "ID": 42, "Email": "kim@hanbit.example", "BouncedAt": _now(), "Inactive": True}
    return common | {
        "delivered": {"RecordType": "Delivery", "Recipient": "kim@hanbit.example", "DeliveredAt": _now()},
        "deferred": bounce | {"Type": "Transient", "TypeCode": 2, "Details": "smtp;450 4.2.0 greylisted"},
        "hard": bounce | {"Type": "HardBounce", "TypeCode": 1, "Details": f"smtp;{UNKNOWN_USER}"},
        "soft": bounce | {"Type": "SoftBounce", "TypeCode": 4096, "Details": "smtp;552 5.2.2 mailbox full"},
        "complained": {
            "RecordType": "SpamComplaint", "ID": 43, "Type": "SpamComplaint", "TypeCode": 512,
            "Email": "kim@hanbit.example", "BouncedAt": _now(),
        },
        "unsubscribed": {
            "RecordType": "SubscriptionChange", "ChangedAt": _now(), "Recipient": "kim@hanbit.example",
            "Origin": "Recipient", "SuppressSending": True, "SuppressionReason": "ManualSuppression",
        },
        "opened": {"RecordType": "Open", "FirstOpen": True, "Recipient": "kim@hanbit.example", "ReceivedAt": _now()},
    }[kind]  # fmt: skip


def sendgrid(sent: Sent, kind: str) -> dict:
    """https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event"""
    common = {
        "email": "kim@hanbit.example", "timestamp": int(time.time()), "smtp-id": f"<{sent.number}@acme.example>",
        "sg_event_id": f"event-{kind}", "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001", "category": ["orders"],
        "sendarix_id": sent.number, "anymail_id": sent.reference,
    }  # fmt: skip
    return (
        common
        | {
            "delivered": {"event": "delivered", "response": "250 OK"},
            "deferred": {"event": "deferred", "response": "450 4.2.0 try again later", "attempt": "5"},
            "hard": {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": UNKNOWN_USER},
            "soft": {"event": "bounce", "type": "blocked", "status": "5.7.1", "reason": "550 5.7.1 blocked by policy"},
            "complained": {"event": "spamreport"},
            "unsubscribed": {"event": "unsubscribe"},
            "opened": {"event": "open", "useragent": "Mozilla/4.0"},
        }[kind]
    )


def mailgun(sent: Sent, kind: str) -> dict:
    """https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads"""
    at, token = str(int(time.time())), "f0e1d2c3b4a5968778695a4b3c2d1e0f"
    signature = hmac.new(SIGNING_KEY.encode(), f"{at}{token}".encode(), hashlib.sha256).hexdigest()
    permanent = {"event": "failed", "severity": "permanent", "reason": "bounce"}
    event = {
        "delivered": {"event": "delivered", "delivery-status": {"code": 250, "message": "OK"}},
        "deferred": {
            "event": "failed", "severity": "temporary", "reason": "generic",
            "delivery-status": {"code": 450, "message": "450 4.2.0 greylisted", "attempt-no": 1},
        },
        "hard": permanent | {"delivery-status": {"code": 550, "message": UNKNOWN_USER, "description": ""}},
        "soft": permanent | {"delivery-status": {"code": 552, "message": "552 5.2.2 mailbox full"}},
        "complained": {"event": "complained"},
        "unsubscribed": {"event": "unsubscribed"},
        "opened": {"event": "opened"},
    }[kind]  # fmt: skip
    event |= {
        "id": f"event-{kind}", "timestamp": time.time(), "recipient": "kim@hanbit.example", "tags": [],
        "message": {"headers": {"message-id": f"{sent.number}@acme.example", "to": "kim@hanbit.example"}},
        "user-variables": {"sendarix_id": sent.number},
    }  # fmt: skip
    return {"signature": {"timestamp": at, "token": token, "signature": signature}, "event-data": event}


def brevo(sent: Sent, kind: str) -> dict:
    """https://developers.brevo.com/docs/transactional-webhooks"""
    common = {
        "id": 26224, "email": "kim@hanbit.example", "message-id": sent.reference, "ts_epoch": int(time.time() * 1000),
        "X-Mailin-custom": json.dumps({"sendarix_id": sent.number}), "tags": [], "sending_ip": "192.0.2.7",
    }  # fmt: skip
    return (
        common
        | {
            "delivered": {"event": "delivered"},
            "deferred": {"event": "deferred", "reason": "450 4.2.0 greylisted"},
            "hard": {"event": "hard_bounce", "reason": UNKNOWN_USER},
            "soft": {"event": "soft_bounce", "reason": "552 5.2.2 mailbox full"},
            "complained": {"event": "spam"},
            "unsubscribed": {"event": "unsubscribe"},
            "opened": {"event": "unique_opened"},
        }[kind]
    )


TOPIC = "arn:aws:sns:ap-northeast-2:123456789012:ses-events"


def amazon(sent: Sent, kind: str) -> dict:
    """https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-examples.html"""
    kim = {"emailAddress": "kim@hanbit.example"}
    event = {
        "delivered": {"eventType": "Delivery", "delivery": {"recipients": [*kim.values()], "smtpResponse": "250 OK"}},
        "deferred": {
            "eventType": "DeliveryDelay",
            "deliveryDelay": {
                "delayType": "TransientCommunicationFailure", "delayedRecipients": [kim | {"status": "4.4.1"}],
            },
        },
        "hard": amazon_bounce("Permanent", "General", f"smtp; {UNKNOWN_USER}"),
        "soft": amazon_bounce("Transient", "MailboxFull", "smtp; 552 5.2.2 mailbox full"),
        "absent": amazon_bounce("Transient", "General"),
        "listed": amazon_bounce("Permanent", "OnAccountSuppressionList", "Amazon SES did not send the message"),
        "no such": amazon_bounce("Permanent", "NoEmail"),
        "complained": {
            "eventType": "Complaint", "complaint": {"complainedRecipients": [kim], "complaintFeedbackType": "abuse"},
        },
        "unsubscribed": {
            "eventType": "Subscription", "subscription": {"contactList": "all", "newTopicPreferences": {"unsubscribeAll": True}},
        },
        "opened": {"eventType": "Open", "open": {"ipAddress": "192.0.2.1", "userAgent": "Mozilla/4.0"}},
    }[kind]  # fmt: skip
    headers = [{"name": "X-Metadata", "value": json.dumps({"sendarix_id": sent.number})}]
    mail = {"messageId": sent.reference, "destination": [*kim.values()], "headers": headers}
    return notice("Notification", Message=json.dumps(event | {"mail": mail}))


def amazon_bounce(kind: str, subtype: str, diagnostic: str | None = None) -> dict:
    recipient = {"emailAddress": "kim@hanbit.example"} | ({"diagnosticCode": diagnostic} if diagnostic else {})
    bounce = {"bounceType": kind, "bounceSubType": subtype, "bouncedRecipients": [recipient], "timestamp": _now()}
    return {"eventType": "Bounce", "bounce": bounce}


def notice(kind: str, **fields: str) -> dict:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html"""
    return {"Type": kind, "MessageId": "22b80b92-fdea", "TopicArn": TOPIC, "Timestamp": _now(), **fields}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@pytest.fixture
def fake(take_route):
    with FakeProviders() as found:
        yield found


def hook(owner, fake, provider: str, **settings: str) -> str:
    """The path of the hook of a new route."""
    given = SETTINGS[provider] | {"api_url": fake.url(provider)} | settings
    if provider == "mailgun":
        given |= {"webhook_signing_key": SIGNING_KEY}
    body = {"name": provider, "kind": "provider", "options": {"backend": provider, "settings": given}}
    return urlsplit(owner.live.post("/v1/routes", body).json["hook_url"]).path


@pytest.fixture
def taken(acme, fake):
    """Has a provider take a mail of Acme's."""

    def take(provider: str = "postmark", **settings: str) -> Sent:
        path = hook(acme, fake, provider, **settings)
        number = send(acme.live)
        drain()
        assert status(acme.live, number) == "delivered"
        return Sent(provider, number, fake.mails[-1].reference, path)

    return take


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("kind", "becomes", "suppressed"),
    [
        ("delivered", "delivered", None),
        ("deferred", "delivered", None),
        ("opened", "delivered", None),
        ("hard", "bounced", "hard_bounce"),
        ("soft", "bounced", None),
        ("complained", "complained", "spam_complaint"),
        ("unsubscribed", "unsubscribed", "user_unsubscribed"),
    ],
)
def test_news_of_a_mail_move_it_and_suppress_its_recipient(acme, taken, provider, kind, becomes, suppressed):
    sent = taken(provider)
    assert sent.tell(kind).status == 200
    assert status(acme.live, sent.number) == becomes
    assert [row.reason for row in Suppression.objects.all()] == ([suppressed] if suppressed else [])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_bounce_says_why_and_leaves_a_dead_letter(acme, taken, provider):
    sent = taken(provider)
    sent.tell("hard")
    data = Event.objects.filter(message_id=sent.number).latest("sequence").data
    assert (data["reason"], data["provider"]) == ("mailbox_unknown", provider)
    assert "User unknown" in data["detail"]
    assert DeadLetter.objects.get().message_id == sent.number


@pytest.mark.parametrize("provider", PROVIDERS)
def test_repetition_and_disorder_change_nothing(acme, taken, provider):
    sent = taken(provider)
    for kind in ("complained", "delivered", "complained", "deferred", "hard", "delivered", "complained"):
        assert sent.tell(kind).status == 200
    assert story(acme.live, sent.number) == ["queued", "accepted", "delivered", "complained"]
    assert Suppression.objects.get().reason == "spam_complaint"


def test_a_repetition_does_not_suppress_again_who_was_taken_off_the_list(acme, taken):
    sent = taken()
    sent.tell("complained")
    Suppression.objects.all().delete()
    sent.tell("complained")
    assert not Suppression.objects.exists()


def test_bounces_and_complaints_count_against_the_route(acme, taken):
    taken("brevo").tell("complained")
    assert PathHealth.objects.get(destination="hanbit.example").complained == 1


def test_an_uncertain_mail_that_the_provider_has_is_not_sent_again(acme, fake):
    path = hook(acme, fake, "postmark")
    number = send(acme.live)
    fake.steps = [Drop()]
    drain()
    assert status(acme.live, number) == "deferred"
    sent = Sent("postmark", number, "b7bc2f4a", path)
    assert sent.tell("deferred").status == 200
    bring_due()
    drain()
    assert story(acme.live, number) == ["queued", "accepted", "deferred", "delivered"]
    assert len(fake.requests) == 1


def test_a_complaint_about_an_uncertain_mail_tells_that_it_arrived(acme, fake):
    path = hook(acme, fake, "postmark")
    number = send(acme.live)
    fake.steps = [Drop()]
    drain()
    Sent("postmark", number, "b7bc2f4a", path).tell("complained")
    assert story(acme.live, number) == ["queued", "accepted", "deferred", "delivered", "complained"]


def test_the_message_id_names_the_message_where_metadata_does_not(acme, taken):
    sent = taken("sendgrid")
    payload_of = sendgrid(sent, "hard")
    del payload_of["sendarix_id"], payload_of["anymail_id"]
    sent.post(payload_of)
    assert status(acme.live, sent.number) == "bounced"


def test_the_providers_own_id_names_the_message_where_nothing_else_does(acme, taken):
    sent = taken("postmark")
    sent.tell("hard", Metadata={})
    assert status(acme.live, sent.number) == "bounced"
    assert Attempt.objects.get().explanation["reference"] == sent.reference


def test_a_hook_moves_no_other_accounts_mail(acme, globex, fake, taken):
    sent = taken("postmark")
    theirs = hook(globex, fake, "postmark")
    for metadata in ({"sendarix_id": sent.number}, {}):
        answer = STRANGER.post(theirs, postmark(sent, "hard") | {"Metadata": metadata})
        assert answer.status == 200
    assert status(acme.live, sent.number) == "delivered"
    assert not Suppression.objects.exists()


def test_a_hook_of_the_platforms_moves_only_what_went_by_it(acme, fake, taken):
    sent = taken("postmark")
    token = "platform-token-of-enough-length1"
    options = {"backend": "postmark"}
    shared = Route.objects.create(id="rte_shared", name="shared", kind="provider", options=options, hook_token=token)
    there = Sent("postmark", sent.number, sent.reference, f"/hooks/postmark/{token}")
    assert there.tell("hard").status == 200
    assert status(acme.live, sent.number) == "delivered"
    Attempt.objects.update(route=shared.name)
    there.tell("hard")
    assert status(acme.live, sent.number) == "bounced"


def test_many_events_in_one_request_are_each_brought_home(acme, fake, taken):
    first = taken("sendgrid")
    other = send(acme.live, recipient="lee@hanbit.example")
    drain()
    second = Sent("sendgrid", other, fake.mails[-1].reference, first.path)
    first.post(sendgrid(first, "hard"), sendgrid(second, "opened"), sendgrid(second, "complained"), {"event": "?"})
    assert (status(acme.live, first.number), status(acme.live, other)) == ("bounced", "complained")


UNKNOWN = [
    "postmark/nobody",
    "elsewhere/{token}",
    "sendgrid/{token}",
    "postmark/%00",
    "%00/{token}",
    "postmark/%F0%9F%98%80",
]


@pytest.mark.parametrize("path", UNKNOWN)
def test_an_unknown_hook_is_not_found(taken, path):
    token = taken().path.rpartition("/")[2]
    assert STRANGER.post("/hooks/" + path.replace("{token}", token), {}).status == 404


def test_a_wrong_signature_changes_nothing(acme, taken):
    sent = taken("mailgun")
    forged = mailgun(sent, "hard")
    forged["signature"]["token"] = "another"
    assert sent.post(forged).status == 403
    assert status(acme.live, sent.number) == "delivered"


def test_a_password_that_the_route_has_is_asked_for(acme, taken):
    sent = taken("postmark", webhook_secret="acme:open-sesame")
    assert sent.tell("hard").status == 403
    header = f"Basic {base64.b64encode(b'acme:open-sesame').decode()}"
    assert sent.post(postmark(sent, "hard"), Authorization=header).status == 200
    assert status(acme.live, sent.number) == "bounced"


def test_sendgrids_signature_is_checked(acme, taken):
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()
    sent = taken("sendgrid", tracking_webhook_verification_key=public)
    body = json.dumps([sendgrid(sent, "hard")]).encode()
    signature = base64.b64encode(key.sign(b"1600112502" + body, ec.ECDSA(hashes.SHA256()))).decode()
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": signature,
        "X-Twilio-Email-Event-Webhook-Timestamp": "1600112502",
    }
    assert STRANGER.call("POST", sent.path, body=body + b" ", headers=headers).status == 403
    assert STRANGER.call("POST", sent.path, body=body, headers=headers).status == 200
    assert status(acme.live, sent.number) == "bounced"


def test_resends_signature_is_checked(acme, taken):
    sent = taken("postmark")
    secret = base64.b64encode(b"resend-secret").decode()
    body = {"name": "r", "kind": "provider"}
    options = {"backend": "resend", "settings": {"api_key": "re_1", "signing_secret": f"whsec_{secret}"}}
    path = urlsplit(acme.live.post("/v1/routes", body | {"options": options}).json["hook_url"]).path
    event = {"type": "email.complained", "created_at": _now(), "data": {
        "email_id": "56761188", "to": ["kim@hanbit.example"], "created_at": _now(), "subject": "Your order",
        "headers": [{"name": "X-Metadata", "value": json.dumps({"sendarix_id": sent.number})}],
    }}  # fmt: skip
    content, at = json.dumps(event).encode(), str(int(time.time()))
    signed = base64.b64encode(
        hmac.new(b"resend-secret", f"m1.{at}.".encode() + content, hashlib.sha256).digest()
    ).decode()
    headers = {"svix-id": "m1", "svix-timestamp": at, "svix-signature": f"v1,{signed}"}
    assert STRANGER.call("POST", path, body=content + b" ", headers=headers).status == 403
    assert STRANGER.call("POST", path, body=content, headers=headers).status == 200
    assert status(acme.live, sent.number) == "complained"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"RecordType": ["Bounce"]}',
        b'{"RecordType": "Bounce", "Type": {}, "Metadata": 7}', b'{"RecordType": "Inbound"}',
        b'{"RecordType": "Delivery", "DeliveredAt": "yesterday"}',
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_and_changes_nothing(acme, taken, body):
    sent = taken()
    assert STRANGER.call("POST", sent.path, body=body).status in (200, 400)
    assert status(acme.live, sent.number) == "delivered"


def test_hostile_fields_are_stored_harmlessly(acme, taken):
    sent = taken()
    answer = sent.tell("soft", Details="\x00\ud800" + "x" * 5_000, MessageID={"a": 1}, Tag=7, Email=None)
    assert answer.status == 200
    data = Event.objects.filter(message_id=sent.number).latest("sequence").data
    assert len(data["detail"]) <= 1_000


def test_a_body_over_a_megabyte_is_refused(taken):
    sent = taken()
    assert STRANGER.call("POST", sent.path, body=b" " * (1024 * 1024 + 1)).status == 413


def test_a_look_at_the_hook_finds_somebody_there(taken):
    sent = taken()
    assert (STRANGER.call("HEAD", sent.path).status, STRANGER.call("PUT", sent.path).status) == (200, 405)


def test_news_of_a_mail_on_its_way_have_to_come_again(acme, taken):
    sent = taken()
    row = Message.objects.get(id=sent.number)
    world.sql("UPDATE messages SET worker = 'busy', status = 'accepted' WHERE id = %s", sent.number)
    answer = sent.tell("hard")
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    world.sql("UPDATE messages SET worker = NULL, status = 'delivered' WHERE id = %s", sent.number)
    assert sent.tell("hard").status == 200
    assert Message.objects.get(id=sent.number).fence == row.fence


def test_while_the_database_is_away_the_provider_is_asked_to_come_again(taken):
    sent = taken()
    with connection.execute_wrapper(_away):
        answer = sent.tell("hard")
    assert answer.status == 503
    assert sent.tell("hard").status == 200


def _away(execute, sql, params, many, context):
    raise OperationalError("the server closed the connection unexpectedly")


def test_a_bounce_of_an_earlier_try_does_not_undo_a_redriven_mail(acme, fake, taken):
    sent = taken("brevo")
    old = brevo(sent, "soft")
    sent.post(old)
    assert acme.live.post(f"/v1/messages/{sent.number}/retry", {}).status in (200, 202)
    drain()
    assert status(acme.live, sent.number) == "delivered"
    sent.post(old)
    assert status(acme.live, sent.number) == "delivered"


def test_events_of_a_bounced_answer_are_told_by_the_provider_of_the_second_try(acme, fake):
    path = hook(acme, fake, "brevo")
    number = send(acme.live)
    fake.steps = [reply(503, {"message": "busy"})]
    drain()
    bring_due()
    drain()
    Sent("brevo", number, fake.mails[-1].reference, path).tell("hard")
    assert story(acme.live, number) == ["queued", "accepted", "deferred", "delivered", "bounced"]
