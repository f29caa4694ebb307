"""Signatures, held against the vector of the specification and against the published package."""

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from webhooks import signing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'


def signed(keys: list[bytes], body: bytes = BODY) -> dict[str, str]:
    return dict(signing.headers(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", int(datetime.now(UTC).timestamp()), body))


def test_the_vector_of_the_specification() -> None:
    headers = signing.headers([signing.key(SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_published_package_makes_the_same_signature() -> None:
    at = datetime(2026, 4, 19, 14, 30, tzinfo=UTC)
    body = '{"name": "한빛"}'
    theirs = Webhook(SECRET).sign("evt_1", at, body)
    ours = signing.headers([signing.key(SECRET)], "evt_1", int(at.timestamp()), body.encode())
    assert ours["webhook-signature"] == theirs


def test_the_published_package_takes_ours_and_no_altered_body() -> None:
    key = signing.new_key()
    headers = signed([key])
    assert Webhook(signing.secret(key)).verify(BODY, headers) == {"test": 2432232314}
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.secret(key)).verify(BODY + b" ", headers)


def test_during_a_rotation_either_secret_verifies() -> None:
    new, old, other = (signing.new_key() for _ in range(3))
    headers = signed([new, old])
    assert headers["webhook-signature"].count("v1,") == 2
    for key in (new, old):
        Webhook(signing.secret(key)).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.secret(other)).verify(BODY, headers)


def test_a_secret_is_read_back_and_new_ones_differ() -> None:
    first, second = signing.new_key(), signing.new_key()
    assert first != second
    assert len(first) == 32
    assert signing.key(signing.secret(first)) == first


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", "whsec_short", "whsec_!!!!", base64.b64encode(bytes(32)).decode(), "whsec_" + "A" * 88 + "A="],
)
def test_what_is_no_secret_is_refused(text: str) -> None:
    with pytest.raises(signing.SecretError, match="expected whsec_"):
        signing.key(text)
