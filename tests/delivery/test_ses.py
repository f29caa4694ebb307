"""Amazon SES: the signature, what its faults mean, and the mail as it is given."""

import email
import email.policy
from datetime import UTC, datetime

import pytest

from messaging.delivery import provider_verdicts, ses
from messaging.delivery.outcomes import Cause, Verdict
from tests import world
from tests.delivery.fake_providers import SETTINGS, FakeProviders, reply


def test_a_request_is_signed_as_botocore_signs_it():
    url, at = "https://email.eu-west-1.amazonaws.com/v2/email/outbound-emails", datetime(2026, 11, 28, 6, tzinfo=UTC)
    headers = ses.signature(url, '{"a": "주문"}'.encode(), at, "eu-west-1", "AKID", "sEcReT/+x")
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKID/20261128/eu-west-1/ses/aws4_request,"
        " SignedHeaders=content-type;host;x-amz-date,"
        " Signature=9bb200957f3b47faa563a5f75157402115babe31fba2fa75a139cd9e3be077da"
    )  # botocore 1.44.8's


@pytest.mark.parametrize(
    ("kind", "verdict", "cause"),
    [
        ("SendingPausedException", Verdict.DEFERRED, Cause.AUTH),
        ("AccountSuspendedException", Verdict.DEFERRED, Cause.AUTH),
        ("LimitExceededException", Verdict.DEFERRED, Cause.RATE_LIMITED),
        ("MessageRejected", Verdict.BOUNCED, Cause.POLICY),
        ("BadRequestException", Verdict.BOUNCED, Cause.POLICY),
    ],
)
def test_a_fault_of_the_account_does_not_bounce_the_mail(kind, verdict, cause):
    said = '{"message": "Email address is not verified."}'
    assert provider_verdicts.of_status(400, said, kind)[:2] == (verdict, cause)


@pytest.fixture
def fake(take_route):
    with FakeProviders() as found:
        yield found


def route(acme, fake, **settings: str):
    given = SETTINGS["amazon_ses"] | {"api_url": fake.url("amazon_ses")} | settings
    body = {"name": "ses", "kind": "provider", "options": {"backend": "amazon_ses", "settings": given}}
    return acme.live.post("/v1/routes", body)


def test_the_whole_mail_reaches_amazon_in_seven_bits(acme, fake):
    assert route(acme, fake, configuration_set_name="events").status == 201
    file = {"filename": "주문서.txt", "content_type": "text/plain", "content": "7KO866y4"}
    world.send(acme.live, subject="주문", text="배송", html="<p>배송</p>", attachments=[file], tags=["a", "b"])
    world.drain()
    [taken] = fake.mails
    got = email.message_from_string(taken.fields["raw"], policy=email.policy.default)
    assert (got["Subject"], got["To"], got.get_all("X-Tag")) == ("주문", "kim@hanbit.example", ["a", "b"])
    assert got.get_body(("html",)).get_content().strip() == "<p>배송</p>"
    assert [one.get_filename() for one in got.iter_attachments()] == ["주문서.txt"]
    assert taken.fields["ConfigurationSetName"] == "events"
    assert taken.fields["Destination"] == {"ToAddresses": ["kim@hanbit.example"]}


def test_a_paused_account_keeps_its_mail(acme, fake):
    route(acme, fake)
    fake.always = reply(400, {"message": "Sending paused."}, x_amzn_ErrorType="SendingPausedException:http://x/")
    number = world.send(acme.live)
    world.drain()
    assert world.status(acme.live, number) == "deferred"


@pytest.mark.parametrize("region", ["", "eu-west-1.evil.example/#", "eu-west-1\r\nx", "EU-WEST-1", "localhost"])
def test_a_region_is_a_region(acme, fake, region):
    answer = route(acme, fake, region=region)
    assert (answer.status, set(answer.faults) <= {"options", "options.settings.region"}) == (422, True)


def test_regions_have_their_own_hosts():
    assert ses.origin("email", "ap-northeast-2") == "https://email.ap-northeast-2.amazonaws.com/"
    assert ses.origin("email", "cn-north-1") == "https://email.cn-north-1.amazonaws.com.cn/"
