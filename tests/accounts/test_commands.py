"""manage.py create_account, create_api_key, revoke_api_key."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from sendarix.accounts.models import Account, ApiKey
from tests import builders
from tests.api_client import Api

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.probe")]


def run(*words):
    out = StringIO()
    call_command(*words, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_a_new_account_comes_with_two_working_keys():
    made = run("create_account", "Acme Corp", "--plan", "enterprise", "--default-sender", "Acme <hello@acme.example>")
    assert made.keys() == {"account", "live_key", "test_key"}
    assert made["account"] == "acme-corp"
    assert Account.objects.get().plan == "enterprise"
    assert [Api(made[name]).get("/v1/letters").status for name in ("live_key", "test_key")] == [200, 200]
    assert sorted(ApiKey.objects.values_list("livemode", flat=True)) == [False, True]


def test_a_name_in_hangul_makes_an_account():
    assert run("create_account", "한빛 상사")["account"] == "한빛-상사"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["Acme"], "already"),
        (["!!"], "letter"),
        (["Globex", "--default-sender", "nobody"], "sender"),
        (["Globex", "--plan", "free"], "plan"),
    ],
)
def test_an_account_that_cant_be_is_refused_clearly(acme, words, why):
    with pytest.raises(CommandError, match=why):
        run("create_account", *words)
    assert Account.objects.count() == 1
    assert not ApiKey.objects.exists()


def test_a_key_is_made_with_its_limits(acme):
    made = run(
        *("create_api_key", "acme", "--environment", "test", "--scopes", "messages:read", "--name", "CI"),
        *("--expires", "2090-01-01T00:00:00+01:00", "--source-ip", "127.0.0.0/8", "--sender-domain", "acme.example"),
    )
    key = ApiKey.objects.get(pk=made["id"])
    assert made["key"].startswith("sk_test_")
    assert (key.livemode, key.name, key.scopes) == (False, "CI", ["messages:read"])
    assert (key.source_ips, key.sender_domains) == (["127.0.0.0/8"], ["acme.example"])
    assert key.expires_at.isoformat() == "2089-12-31T23:00:00+00:00"
    assert Api(made["key"]).get("/v1/letters").status == 200


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nobody", "--environment", "live"], "no account"),
        (["acme", "--environment", "moon"], "environment"),
        (["acme", "--environment", "live", "--scopes", "a:b"], "scope"),
        (["acme", "--environment", "live", "--source-ip", "10.0.0.1/8"], "network"),
        (["acme", "--environment", "live", "--sender-domain", "a b"], "domain"),
        (["acme", "--environment", "live", "--expires", "2090-01-01"], "offset"),
    ],
)
def test_a_key_that_cant_be_is_refused_clearly(acme, words, why):
    with pytest.raises(CommandError, match=why):
        run("create_api_key", *words)
    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_by_its_id_or_its_last_characters(acme):
    one, two = builders.api_key(acme), builders.api_key(acme)
    first, second = (ApiKey.objects.get(last4=token[-4:]) for token in (one, two))
    assert run("revoke_api_key", first.id, second.last4) == {"revoked": [first.id, second.id]}
    assert [Api(token).get("/v1/letters").status for token in (one, two)] == [401, 401]


def test_nothing_is_revoked_when_one_is_not_known(acme):
    token = builders.api_key(acme)
    with pytest.raises(CommandError, match="no API key"):
        run("revoke_api_key", token[-4:], "key_nope")
    assert Api(token).get("/v1/letters").status == 200


def test_an_ambiguous_ending_revokes_nothing(acme):
    builders.api_key(acme), builders.api_key(acme)
    ApiKey.objects.update(last4="same")
    with pytest.raises(CommandError, match="More than one"):
        run("revoke_api_key", "same")
    assert ApiKey.objects.filter(revoked_at=None).count() == 2
