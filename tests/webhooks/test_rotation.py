"""A new secret for an endpoint: shown once, and beside the one before it for a while."""

import base64

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.webhooks.receiver import Receiver
from tests.world import send, sql
from webhooks import dispatch


@pytest.fixture
def receiver():
    with Receiver() as server:
        yield server


@pytest.fixture
def made(api, receiver):
    return api.post("/v1/webhooks", {"url": receiver.url}).json


def rotate(api, webhook_id, asked=None):
    answer = api.post(f"/v1/webhooks/{webhook_id}/rotate-secret", asked)
    assert answer.status == 200, answer.json
    return answer.json


def told(api, receiver):
    """The request that tells of a new message."""
    seen = len(receiver.requests)
    send(api)
    dispatch.drain(linger=0)
    (request,) = receiver.wait(seen + 1)[seen:]
    return request


def verifies(secret, request):
    try:
        Webhook(secret).verify(request.body, request.headers)
    except WebhookVerificationError:
        return False
    return True


def test_the_new_secret_is_another_one_and_shown_this_once(api, made):
    rotated = rotate(api, made["id"], {})
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != made["secret"]
    assert len(base64.b64decode(rotated["secret"].removeprefix("whsec_"))) >= 24
    assert "secret" not in api.get(f"/v1/webhooks/{made['id']}").json


def test_both_secrets_sign_during_the_overlap(api, made, receiver):
    rotated = rotate(api, made["id"])
    request = told(api, receiver)
    assert len(request.headers["webhook-signature"].split()) == 2
    assert verifies(made["secret"], request)
    assert verifies(rotated["secret"], request)


def test_after_the_overlap_only_the_new_one_signs(api, made, receiver):
    rotated = rotate(api, made["id"], {"overlap_seconds": 60})
    sql("UPDATE webhook_endpoints SET previous_secret_until = now() - interval '1 second'")
    request = told(api, receiver)
    assert verifies(rotated["secret"], request)
    assert not verifies(made["secret"], request)


def test_without_overlap_the_old_one_is_over_at_once(api, made, receiver):
    rotated = rotate(api, made["id"], {"overlap_seconds": 0})
    request = told(api, receiver)
    assert rotated["previous_secret_until"] is None
    assert verifies(rotated["secret"], request)
    assert not verifies(made["secret"], request)
    assert sql("SELECT previous_secret FROM webhook_endpoints") == [(None,)]


def test_of_three_secrets_the_two_newest_sign(api, made, receiver):
    second, third = rotate(api, made["id"]), rotate(api, made["id"])
    request = told(api, receiver)
    assert [verifies(each["secret"], request) for each in (made, second, third)] == [False, True, True]


@pytest.mark.parametrize(("asked", "seconds"), [(None, 86_400), ({}, 86_400), ({"overlap_seconds": 604_800}, 604_800)])
def test_the_overlap_is_a_day_unless_told(api, made, asked, seconds):
    rotate(api, made["id"], asked)
    left = sql("SELECT extract(epoch FROM previous_secret_until - now())::float FROM webhook_endpoints")[0][0]
    assert seconds - 60 < left <= seconds


@pytest.mark.parametrize(
    ("asked", "faults"),
    [
        ({"overlap_seconds": -1}, {"overlap_seconds": "out_of_range"}),
        ({"overlap_seconds": 604_801}, {"overlap_seconds": "out_of_range"}),
        ({"overlap_seconds": "1"}, {"overlap_seconds": "invalid_type"}),
        ({"overlap": 1}, {"overlap": "unknown_field"}),
    ],
)
def test_an_overlap_that_cant_be_changes_nothing(api, made, asked, faults):
    answer = api.post(f"/v1/webhooks/{made['id']}/rotate-secret", asked)
    assert (answer.status, answer.faults) == (422, faults)
    assert api.get(f"/v1/webhooks/{made['id']}").json["previous_secret_until"] is None


def test_it_is_in_the_audit_log_without_any_secret(api, made):
    rotated = rotate(api, made["id"])
    answer = api.get("/v1/audit-log", {"action": "webhook_endpoint.secret_rotated"})
    (entry,) = answer.json["data"]
    assert (entry["subject"], entry["after"]["previous_secret_until"]) == (made["id"], rotated["previous_secret_until"])
    text = answer.body.decode()
    assert not [each for each in (made, rotated) if each["secret"].removeprefix("whsec_")[:20] in text]
