"""The audit log: who changed what of an account, as its owner reads it, and as commands write it."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from sendarix.accounts import audit, keys
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account, ApiKey
from tests import builders
from tests.api_client import Api

pytestmark = pytest.mark.django_db


def run(*words):
    out = StringIO()
    call_command(*words, "--json", stdout=out)
    return json.loads(out.getvalue())


def done(account, action="domain.added", subject="dom_1", actor="key_1", **rest):
    audit.record(Actor(account.id, actor, "203.0.113.7", "req_00000000000000000000000000"), action, subject, **rest)


def listed(api, **query):
    answer = api.get("/v1/audit-log", query)
    assert answer.status == 200, answer.json
    return answer.json["data"]


def subjects(api, **query):
    return [entry["subject"] for entry in listed(api, **query)]


def test_an_entry_tells_who_what_from_where_and_what_it_was_before(acme, api):
    done(acme, "domain.updated", before={"status": "pending"}, after={"status": "verified"})
    (entry,) = listed(api)
    assert entry["id"].startswith("aud_")
    assert (entry["actor"], entry["action"], entry["subject"]) == ("key_1", "domain.updated", "dom_1")
    assert (entry["source"], entry["request_id"]) == ("203.0.113.7", "req_00000000000000000000000000")
    assert (entry["before"], entry["after"]) == ({"status": "pending"}, {"status": "verified"})


def test_what_an_operator_did_has_no_source(acme, api):
    audit.record(audit.operator(acme), "account.updated", "acme")
    (entry,) = listed(api)
    assert (entry["actor"], entry["source"], entry["request_id"]) == ("operator", None, None)


def test_the_newest_come_first_in_pages_that_new_entries_do_not_shift(acme, api):
    for number in range(5):
        done(acme, subject=f"dom_{number}")
    first = api.get("/v1/audit-log?limit=2").json
    done(acme, subject="dom_new")
    second = api.get("/v1/audit-log", {"limit": 2, "cursor": first["next_cursor"]}).json
    last = api.get("/v1/audit-log", {"limit": 2, "cursor": second["next_cursor"]}).json
    shown = [[entry["subject"] for entry in page["data"]] for page in (first, second, last)]
    assert shown == [["dom_4", "dom_3"], ["dom_2", "dom_1"], ["dom_0"]]
    assert (last["has_more"], last["next_cursor"]) == (False, None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"action": "domain.added"}, ["dom_1"]),
        ({"subject": "dom_2"}, ["dom_2"]),
        ({"actor": "key_2"}, ["dom_2"]),
        ({"actor": "key_2", "action": "domain.added"}, []),
        ({"created_after": "2000-01-01T00:00:00Z"}, ["dom_2", "dom_1"]),
        ({"created_before": "2000-01-01T00:00:00Z"}, []),
    ],
)
def test_filters_narrow_together(acme, api, query, found):
    done(acme)
    done(acme, "domain.removed", "dom_2", "key_2")
    assert subjects(api, **query) == found


@pytest.mark.parametrize("query", ["cursor=x", "cursor=LTE", "cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk", "cursor=MR8y"])
def test_a_cursor_that_is_none_is_400(api, query):
    answer = api.get(f"/v1/audit-log?{query}")
    assert (answer.status, answer.code) == (400, "bad_cursor")


@pytest.mark.parametrize("query", ["action=", "created_after=yesterday", "limit=0", "who=me"])
def test_a_query_that_is_wrong_is_422_and_names_the_field(api, query):
    answer = api.get(f"/v1/audit-log?{query}")
    assert answer.status == 422
    assert list(answer.faults) == [query.partition("=")[0]]


def test_nothing_of_another_account_or_of_the_platform_is_shown(acme, api):
    done(builders.account("globex"))
    audit.record(Actor(None, "operator"), "route.added", "rte_1")
    assert listed(api) == []


def test_the_log_needs_its_scope(acme):
    api = Api(builders.api_key(acme, scopes=set(keys.SCOPES) - {"audit:read"}))
    assert api.get("/v1/audit-log").status == 403


def test_a_new_account_begins_with_its_opening_and_its_keys(settings):
    settings.SENDER_POLICY = "verified"
    made = run("create_account", "Acme Corp")
    entries = listed(Api(made["live_key"]))[::-1]
    assert [entry["action"] for entry in entries] == ["account.created", "api_key.created", "api_key.created"]
    assert {entry["actor"] for entry in entries} == {"operator"}
    assert entries[0]["after"]["sender_policy"] == "verified"
    assert [entry["after"]["livemode"] for entry in entries[1:]] == [True, False]


@pytest.mark.parametrize("policy", ["verified", "registered"])
def test_a_new_account_has_the_policy_of_the_settings(settings, policy):
    settings.SENDER_POLICY = policy
    run("create_account", "Acme")
    assert Account.objects.get().sender_policy == policy


def test_keys_made_and_taken_back_are_in_the_log_and_their_tokens_are_not(acme, api):
    made = run("create_api_key", "acme", "--environment", "test", "--scopes", "messages:read", "--name", "CI")
    run("revoke_api_key", made["id"])
    revoked, created = listed(api)
    assert (created["action"], created["subject"]) == ("api_key.created", made["id"])
    assert created["after"]["scopes"] == ["messages:read"]
    assert (revoked["action"], revoked["before"]["revoked_at"]) == ("api_key.revoked", None)
    assert revoked["after"]["revoked_at"].endswith("Z")
    key = ApiKey.objects.get(pk=made["id"])
    assert not {made["key"], key.digest} & set(json.dumps([revoked, created]).split('"'))


def test_revoking_twice_is_one_entry(acme, api):
    made = run("create_api_key", "acme", "--environment", "live")
    run("revoke_api_key", made["id"])
    run("revoke_api_key", made["id"])
    assert len(listed(api, action="api_key.revoked")) == 1


def test_an_operator_changes_an_account_and_the_log_holds_what_differs(acme, api):
    shown = run(
        *("set_account", "acme", "--sender-policy", "registered", "--redact-after", "36h", "--plan", "enterprise"),
        *("--rate-limit", "5000", "--default-sender", acme.default_sender),
    )
    assert shown["redact_after"] == 36 * 3600
    acme.refresh_from_db()
    assert (acme.plan, acme.rate_limit, acme.sender_policy) == ("enterprise", 5000, "registered")
    (entry,) = listed(api)
    assert entry["before"] == {
        "plan": "standard", "rate_limit": 1_000_000, "sender_policy": "verified", "redact_after": 86_400,
    }  # fmt: skip
    assert entry["after"] == {
        "plan": "enterprise", "rate_limit": 5000, "sender_policy": "registered", "redact_after": 129_600,
    }  # fmt: skip


def test_a_rate_limit_can_be_the_plans_again_and_a_sender_be_taken_away(acme):
    run("set_account", "acme", "--rate-limit", "plan", "--default-sender", "")
    acme.refresh_from_db()
    assert (acme.rate_limit, acme.default_sender) == (None, "")


def test_without_a_change_nothing_is_logged(acme, api):
    assert run("set_account", "acme")["account"] == "acme"
    run("set_account", "acme", "--plan", "standard")
    assert listed(api) == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nobody"], "no account"),
        (["acme", "--plan", "free"], "plan"),
        (["acme", "--sender-policy", "any"], "sender-policy"),
        (["acme", "--default-sender", "nobody"], "sender"),
        (["acme", "--redact-after", "soon"], "24h"),
        (["acme", "--redact-after", "999999999d"], "ten years"),
        (["acme", "--rate-limit", "0"], "requests a minute"),
        (["acme", "--rate-limit", "99999999999"], "requests a minute"),
    ],
)
def test_a_change_that_cant_be_is_refused_clearly(acme, api, words, why):
    with pytest.raises(CommandError, match=why):
        run("set_account", *words)
    assert listed(api) == []
