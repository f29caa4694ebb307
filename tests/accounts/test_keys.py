"""What a key opens, and that its token stays a secret."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from sendarix.accounts import api as door
from sendarix.accounts import keys
from sendarix.accounts.models import ApiKey
from tests import builders
from tests.api_client import Api

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.probe")]

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def test_a_token_names_its_environment_and_has_forty_characters_of_chance(acme):
    live, test = builders.api_key(acme), builders.api_key(acme, livemode=False)
    assert (live[:8], test[:8]) == ("sk_live_", "sk_test_")
    assert len(live) == len(test) == 48
    assert live[8:].isalnum()
    assert live[8:] != test[8:]


def test_the_database_never_holds_a_token(acme):
    token = builders.api_key(acme)
    row = ApiKey.objects.values().get()
    assert token not in str(row)
    assert row["digest"] == keys.digest(token)
    assert row["last4"] == token[-4:]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer sk_live_short",
        "Basic c2s6",
        "Bearer sk_live_" + "a" * 40,
        "Bearer sk_live_" + "é" * 40,
    ],
)
def test_whoever_shows_no_known_key_is_told_how(db, header):
    answer = Api(None).get("/v1/letters", headers={"Authorization": header} if header is not None else None)
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_wrong_token_is_never_echoed_or_logged(acme, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = "sk_live_" + "Zq9" * 14
    answer = Api(wrong).get("/v1/letters")
    seen = caplog.text + answer.body.decode() + str(answer.headers)
    assert answer.status == 401
    assert "Zq9" not in seen


def test_a_right_token_is_never_logged_even_when_the_handler_breaks(acme, caplog):
    caplog.set_level(logging.DEBUG)
    token = builders.api_key(acme)
    answer = Api(token).get("/v1/broken/value")
    assert answer.status == 500
    assert token[8:] not in caplog.text + answer.body.decode()


def test_a_revoked_key_is_refused_at_once(acme):
    token = builders.api_key(acme)
    assert Api(token).get("/v1/letters").status == 200
    keys.revoke(ApiKey.objects.get())
    answer = Api(token).get("/v1/letters")
    assert answer.status == 401
    assert "revoked" in answer.json["error"]["message"]


def test_an_expired_key_is_refused(acme):
    answer = Api(builders.api_key(acme, expires_at=YESTERDAY)).get("/v1/letters")
    assert answer.status == 401
    assert "expired" in answer.json["error"]["message"]


def test_a_missing_scope_is_named(acme):
    answer = Api(builders.api_key(acme, scopes=["messages:read"])).post("/v1/letters", {"from": "x"})
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert "messages:send" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("allowed", "address", "status"),
    [
        (["203.0.113.7"], "203.0.113.7", 200),
        (["203.0.113.7"], "203.0.113.8", 403),
        (["203.0.113.0/24", "2001:db8::/32"], "2001:db8::1", 200),
        (["203.0.113.0/24"], "::ffff:203.0.113.9", 200),
        (["203.0.113.0/24"], "", 403),
    ],
)
def test_a_key_with_a_source_list_works_from_there_only(acme, allowed, address, status):
    answer = Api(builders.api_key(acme, source_ips=allowed), address).get("/v1/letters")
    assert answer.status == status
    assert status == 200 or answer.code == "source_ip_not_allowed"


def test_a_stolen_key_used_elsewhere_does_not_use_up_the_account(acme):
    token = builders.api_key(acme, source_ips=["203.0.113.7"])
    assert Api(token, "198.51.100.1").get("/v1/letters").headers["X-RateLimit-Limit"] == "300"
    assert Api(token, "203.0.113.7").get("/v1/letters").headers["X-RateLimit-Remaining"] == "999999"


def test_the_last_use_is_noted_once_a_minute(acme):
    token = builders.api_key(acme)
    Api(token).get("/v1/letters")
    first = ApiKey.objects.get().last_used_at
    Api(token).get("/v1/letters")
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    Api(token).get("/v1/letters")
    assert ApiKey.objects.get().last_used_at >= first


@pytest.mark.parametrize(
    "wrong",
    [{"scopes": ["messages:burn"]}, {"scopes": []}, {"source_ips": ["10.0.0.1/8"]}, {"sender_domains": ["a b"]}],
)
def test_a_key_that_could_not_work_is_not_made(acme, wrong):
    with pytest.raises(keys.KeyFault):
        keys.make(acme, livemode=True, **wrong)
    assert not ApiKey.objects.exists()


def test_a_caller_sends_from_its_keys_address_before_its_accounts(acme, rf):
    token = builders.api_key(acme, default_sender="key@acme.example", sender_domains=["Bücher.example"])
    caller = door.look(rf.get("/", headers={"Authorization": f"Bearer {token}"})).caller
    assert (caller.account_id, caller.account_slug, caller.livemode) == (acme.id, "acme", True)
    assert caller.default_sender == "key@acme.example"
    assert caller.sender_domains == ("xn--bcher-kva.example",)
