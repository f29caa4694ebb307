"""Webhook endpoints by API: made, read, changed, taken away."""

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from messaging import acceptance
from messaging.models import Status
from messaging.preparation import prepare
from sendarix.accounts.keys import Caller
from sendarix.core.events import TYPES
from sendarix.core.turns import outside
from tests.delivery.dns_server import DnsServer
from tests.world import MAIL, send, sql, together
from webhooks import endpoints

URL = "http://127.0.0.1:9/hooks"


def make(api, **fields):
    answer = api.post("/v1/webhooks", {"url": URL} | fields)
    assert answer.status == 201, answer.json
    return answer.json


def read(api, webhook_id):
    answer = api.get(f"/v1/webhooks/{webhook_id}")
    assert answer.status == 200, answer.json
    return answer.json


def change(api, webhook_id, **changes):
    answer = api.patch(f"/v1/webhooks/{webhook_id}", changes)
    assert answer.status == 200, answer.json
    return answer.json


def log(api, **query):
    return api.get("/v1/audit-log", query).json["data"]


def deliveries(webhook_id):
    return sql("SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = %s", webhook_id)[0][0]


def test_a_new_endpoint_takes_everything_and_shows_its_secret_this_once(api):
    made = make(api)
    assert made["secret"].startswith("whsec_")
    assert (made["url"], made["event_types"], made["enabled"], made["livemode"]) == (URL, [], True, True)
    shown = {name: value for name, value in made.items() if name != "secret"}
    assert read(api, made["id"]) == shown
    assert api.get("/v1/webhooks").json["data"] == [shown]


def test_the_secret_is_nowhere_in_clear(api):
    secret = make(api)["secret"].removeprefix("whsec_")
    kept = sql(
        "SELECT row_to_json(e)::text FROM webhook_endpoints e UNION ALL SELECT row_to_json(a)::text FROM audit_log a"
    )
    assert len(kept) == 2
    assert not [row for row in kept if secret in row[0] or secret[:20] in row[0]]


def test_it_takes_the_types_it_names_and_no_type_twice(api):
    made = make(api, event_types=["message.bounced", "message.queued", "message.bounced"])
    other = make(api, event_types=["message.delivered"])
    send(api)
    assert made["event_types"] == ["message.bounced", "message.queued"]
    assert (deliveries(made["id"]), deliveries(other["id"])) == (1, 0)


def test_every_status_of_a_message_can_be_asked_for(api):
    wanted = [f"message.{status}" for status in Status]
    assert make(api, event_types=wanted)["event_types"] == wanted
    assert {name for name in TYPES if name.startswith("message.")} == set(wanted)


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({}, {"url": "required"}),
        ({"url": 7, "enabled": "yes"}, {"url": "invalid_type", "enabled": "invalid_type"}),
        ({"url": ""}, {"url": "too_short"}),
        ({"url": "https://acme.example/" + "x" * 3000}, {"url": "too_long"}),
        ({"url": "ftp://acme.example/"}, {"url": "invalid_value"}),
        ({"url": "https://kim:secret@acme.example/"}, {"url": "invalid_value"}),
        ({"url": URL, "event_types": ["message.lost", 3, "message.*"]},
         {"event_types.0": "invalid_value", "event_types.1": "invalid_type", "event_types.2": "invalid_value"}),
        ({"url": URL, "event_types": "message.queued"}, {"event_types": "invalid_type"}),
        ({"url": URL, "event_types": ["message.queued"] * 100}, {"event_types": "too_long"}),
        ({"url": URL, "description": "x" * 201}, {"description": "too_long"}),
        ({"url": URL, "secret": "whsec_mine"}, {"secret": "unknown_field"}),
    ],
)  # fmt: skip
def test_every_fault_of_a_new_endpoint_is_told(api, fields, faults):
    answer = api.post("/v1/webhooks", fields)
    assert (answer.status, answer.faults) == (422, faults)
    assert api.get("/v1/webhooks").json["data"] == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.7", "192.168.1.1", "169.254.169.254", "[fe80::1]", "100.64.0.1"]
)
def test_an_address_of_the_inside_is_refused(api, settings, host):
    settings.WEBHOOK_ALLOW_LOOPBACK = False
    answer = api.post("/v1/webhooks", {"url": f"https://{host}/hooks"})
    assert (answer.status, answer.faults) == (422, {"url": "url_not_allowed"})


def test_in_development_loopback_is_allowed_and_nothing_else_of_the_inside(api, settings):
    settings.WEBHOOK_ALLOW_LOOPBACK = True
    assert api.post("/v1/webhooks", {"url": URL}).status == 201
    assert api.post("/v1/webhooks", {"url": "http://169.254.169.254/latest"}).faults == {"url": "url_not_allowed"}


def test_names_are_looked_up_and_refused_when_they_lead_inside_or_nowhere(api, settings):
    zones = {
        "inside.acme.example": {"A": ["10.1.2.3"]},
        "half.acme.example": {"A": ["193.0.6.139"], "AAAA": ["fd00::7"]},
        "hooks.acme.example": {"A": ["193.0.6.139"]},
    }
    with DnsServer(zones) as dns:
        settings.DNS_SERVERS = [urlsplit("//{}:{}".format(*dns.address))]
        found = {name: api.post("/v1/webhooks", {"url": f"https://{name}/"}) for name in [*zones, "gone.acme.example"]}
    assert {name: answer.status for name, answer in found.items()} == {
        "inside.acme.example": 422, "half.acme.example": 422, "hooks.acme.example": 201, "gone.acme.example": 422,
    }  # fmt: skip
    assert "10.1.2.3" not in found["inside.acme.example"].body.decode()
    assert found["gone.acme.example"].faults == {"url": "invalid_value"}


def test_only_so_many_names_are_looked_up_at_once(api, settings):
    with DnsServer({"slow.acme.example": "SILENT"}) as dns:
        settings.DNS_SERVERS = [urlsplit("//{}:{}".format(*dns.address))]
        calls = [lambda: api.post("/v1/webhooks", {"url": "https://slow.acme.example/"})] * (outside.each + 1)
        answers = together(calls)
    assert sorted(answer.status for answer in answers) == [422] * outside.each + [503]
    assert [answer.code for answer in answers if answer.status == 503] == ["busy"]
    assert api.post("/v1/webhooks", {"url": URL}).status == 201


def test_an_address_is_taken_while_no_name_can_be_looked_up(api, acme):
    with ExitStack() as stack:
        for _ in range(outside.each):
            stack.enter_context(outside.turn(acme.account.id))
        assert api.post("/v1/webhooks", {"url": "https://hooks.acme.example/"}).code == "busy"
        assert api.post("/v1/webhooks", {"url": URL}).status == 201


def test_another_url_is_looked_at_too_and_a_refused_one_changes_nothing(api):
    made = make(api)
    answer = api.patch(f"/v1/webhooks/{made['id']}", {"url": "https://10.0.0.7/", "description": "new"})
    assert answer.faults == {"url": "url_not_allowed"}
    assert (read(api, made["id"])["url"], read(api, made["id"])["description"]) == (URL, "")


def test_a_change_leaves_alone_what_it_does_not_name(api):
    made = make(api, event_types=["message.queued"], description="orders")
    changed = change(api, made["id"], description="all orders")
    assert (changed["description"], changed["event_types"], changed["enabled"]) == (
        "all orders",
        ["message.queued"],
        True,
    )
    assert change(api, made["id"], event_types=[])["event_types"] == []


@pytest.mark.parametrize(
    "fields", [{"url": None}, {"url": ""}, {"enabled": None}, {"event_types": None}, {"livemode": False}]
)
def test_a_change_that_cant_be_is_refused(api, fields):
    made = make(api)
    answer = api.patch(f"/v1/webhooks/{made['id']}", fields)
    assert (answer.status, list(answer.faults)) == (422, list(fields))


def test_a_disabled_endpoint_is_told_nothing_and_says_since_when(api):
    made = make(api)
    disabled = change(api, made["id"], enabled=False)["disabled"]
    send(api)
    assert disabled["reason"] == "customer"
    assert disabled["since"] > made["created_at"]
    assert deliveries(made["id"]) == 0
    assert change(api, made["id"], enabled=False)["disabled"] == disabled


def test_enabling_forgets_past_failures_and_what_waits_is_tried_at_once(api):
    made = make(api)
    send(api)
    sql(
        "UPDATE webhook_endpoints SET disabled = 'failing', disabled_at = now(), failing_since = now() - interval '5 days',"
        " failures = 7, paused_until = now() + interval '1 hour'"
    )
    sql("DELETE FROM django_q_ormq; DELETE FROM webhook_workers")
    assert read(api, made["id"])["disabled"]["reason"] == "failing"
    shown = change(api, made["id"], enabled=True)
    assert (shown["enabled"], shown["disabled"], shown["failing_since"]) == (True, None, None)
    assert shown["waiting"]["count"] == 1
    assert sql("SELECT failures, paused_until FROM webhook_endpoints") == [(0, None)]
    assert sql("SELECT count(*) FROM django_q_ormq") == [(1,)]


def test_a_change_of_something_else_keeps_the_record_of_failures(api):
    made = make(api)
    sql("UPDATE webhook_endpoints SET failing_since = now(), failures = 7")
    assert change(api, made["id"], description="orders", enabled=True)["failing_since"]
    assert change(api, made["id"], url=f"{URL}/new")["failing_since"] is None


def test_a_removed_endpoint_is_gone_with_its_deliveries(api):
    made, other = make(api), make(api)
    send(api)
    answer = api.delete(f"/v1/webhooks/{made['id']}")
    assert (answer.status, answer.json) == (200, {"id": made["id"], "deleted": True})
    assert api.get(f"/v1/webhooks/{made['id']}").status == api.delete(f"/v1/webhooks/{made['id']}").status == 404
    assert (deliveries(made["id"]), deliveries(other["id"])) == (0, 1)


def test_of_very_many_deliveries_the_sweep_removes_the_rest_with_their_attempts(api, monkeypatch):
    monkeypatch.setattr(endpoints, "BATCH", 2)
    monkeypatch.setattr(endpoints, "AT_ONCE", 1)
    made, other = make(api), make(api)
    for _ in range(5):
        send(api)
    sql("INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms, succeeded, detail, request_headers,"
        " reply_headers, reply) SELECT id, 1, now(), 5, true, '', '{}', '{}', '' FROM webhook_deliveries")  # fmt: skip
    api.delete(f"/v1/webhooks/{made['id']}")
    assert deliveries(made["id"]) == 3
    assert endpoints.sweep() == 3
    assert (deliveries(made["id"]), deliveries(other["id"])) == (0, 5)
    assert sql("SELECT count(*) FROM webhook_attempts") == [(5,)]
    assert endpoints.sweep() == 0


def test_an_environment_has_fifty_endpoints_at_most(api, acme):
    make(api)
    sql(
        "INSERT INTO webhook_endpoints (id, account_id, livemode, url, description, event_types, secret, failures)"
        " SELECT 'whk_' || lpad(n::text, 26, '0'), account_id, livemode, url, '', '{}', secret, 0"
        " FROM webhook_endpoints, generate_series(1, 47) n"
    )
    answers = together([lambda: api.post("/v1/webhooks", {"url": URL})] * 4)
    assert sorted(answer.status for answer in answers) == [201, 201, 409, 409]
    assert {answer.code for answer in answers if answer.status == 409} == {"conflict"}
    assert make(acme.test)["livemode"] is False


def test_from_the_first_endpoint_on_the_next_message_is_told(api):
    send(api)
    made = make(api)
    assert deliveries(made["id"]) == 0
    send(api)
    assert deliveries(made["id"]) == 1


def test_a_caller_looked_up_before_the_first_endpoint_was_made_has_its_message_told(api, acme):
    """A session of the relay keeps what it knows of its key for some seconds."""
    caller = Caller(acme.account.pk, "acme", "key_1", True, frozenset(), (), "hello@acme.example", listened=False)
    made = make(api)
    acceptance.accept(caller, [prepare(MAIL, caller, datetime.now(UTC))], None, "req_1")
    assert deliveries(made["id"]) == 1


def test_the_list_comes_in_pages_newest_first(api):
    made = [make(api)["id"] for _ in range(3)]
    first = api.get("/v1/webhooks?limit=2").json
    second = api.get("/v1/webhooks", {"limit": 2, "cursor": first["next_cursor"]}).json
    assert [[row["id"] for row in page["data"]] for page in (first, second)] == [made[:0:-1], made[:1]]
    assert not second["has_more"]


def test_live_and_test_endpoints_are_told_of_their_own_environment_only(acme):
    live, test = make(acme.live), make(acme.test)
    send(acme.test)
    assert (deliveries(live["id"]), deliveries(test["id"])) == (0, 1)
    assert [row["id"] for row in acme.test.get("/v1/webhooks").json["data"]] == [test["id"]]


def test_every_change_is_in_the_audit_log(api):
    made = make(api, description="orders")
    change(api, made["id"], description="all orders", enabled=False)
    change(api, made["id"], description="all orders")
    api.delete(f"/v1/webhooks/{made['id']}")
    removed, updated, created = log(api, subject=made["id"])
    assert [entry["action"] for entry in (created, updated, removed)] == [
        "webhook_endpoint.created", "webhook_endpoint.updated", "webhook_endpoint.removed",
    ]  # fmt: skip
    assert (created["before"], created["after"]["url"]) == (None, URL)
    assert updated["before"] == {"description": "orders", "disabled": None}
    assert updated["after"] == {"description": "all orders", "disabled": "customer"}
    assert (removed["before"]["description"], removed["after"]) == ("all orders", None)
    assert created["actor"].startswith("key_")
    assert created["source"] == "127.0.0.1"
    assert json.dumps([created, updated, removed]).count("whsec_") == 0


def test_the_audit_log_shows_urls_without_their_query(api):
    made = make(api, url=f"{URL}?token=hush")
    changed = change(api, made["id"], url=f"{URL}?token=whisper")
    api.delete(f"/v1/webhooks/{made['id']}")
    entries = log(api, subject=made["id"])
    assert changed["url"] == f"{URL}?token=whisper"
    assert [entry["action"].rpartition(".")[2] for entry in entries] == ["removed", "updated", "created"]
    assert entries[1]["before"] == entries[1]["after"] == {"url": URL}
    assert "token" not in json.dumps(entries)


def test_two_changes_at_the_same_moment_are_both_kept(api):
    made = make(api)
    path = f"/v1/webhooks/{made['id']}"
    answers = together(
        [lambda: api.patch(path, {"description": "orders"}), lambda: api.patch(path, {"enabled": False})]
    )
    assert [answer.status for answer in answers] == [200, 200]
    assert (read(api, made["id"])["description"], read(api, made["id"])["enabled"]) == ("orders", False)
