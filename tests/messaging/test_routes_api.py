"""/v1/routes: each kind's closed options, secrets that never come back, changes that leave a trace, and a test call."""

import json
import socket
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command

from messaging.delivery import routebook
from messaging.models import PathChange, PathHealth, Route
from sendarix.accounts.models import AuditEntry
from tests.delivery.dns_server import DnsServer
from tests.delivery.smtp_sink import SmtpSink
from tests.world import drain, forget_routes, send, status

SMARTHOST = {
    "name": "backup",
    "kind": "smtp",
    "options": {"host": "127.0.0.1", "port": 2525, "tls": "none", "username": "acme", "password": "hush-hush"},
}
PROVIDER = {
    "name": "postmark",
    "kind": "provider",
    "options": {"backend": "postmark", "settings": {"server_token": "hush-hush"}},
}


@pytest.fixture(autouse=True)
def _fresh():
    forget_routes()
    yield
    forget_routes()


def add(api, **fields):
    answer = api.post("/v1/routes", SMARTHOST | fields)
    assert answer.status == 201, answer.json
    return answer.json


def platform_route(**fields) -> str:
    call_command("add_route", json.dumps(SMARTHOST | {"name": "shared"} | fields))
    return Route.objects.get(account=None).id


def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.mark.parametrize("body", [SMARTHOST, PROVIDER])
def test_a_secret_is_sealed_and_never_comes_back(api, body):
    made = add(api, **body)
    everything = [made, api.get(f"/v1/routes/{made['id']}").json, api.get("/v1/routes").json]
    assert "hush" not in json.dumps(everything)
    row = Route.objects.get(id=made["id"])
    assert "hush" not in json.dumps([row.options, row.secrets])
    assert "hush" not in str(list(AuditEntry.objects.values_list("before", "after")))


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"kind": "pigeon"}, "kind", "invalid_value"),
        ({"weight": 1001}, "weight", "out_of_range"),
        ({"connections": 0}, "connections", "out_of_range"),
        ({"tiers": ["urgent"]}, "tiers.0", "invalid_value"),
        ({"name": "two\nlines"}, "name", "invalid_value"),
        ({"colour": "red"}, "colour", "unknown_field"),
        ({"options": {}}, "options.host", "required"),
        ({"options": {"host": "mail.example", "helo": "a b"}}, "options.helo", "invalid_value"),
        ({"options": {"host": "mail.example", "username": "acme"}}, "options", "required"),
        ({"options": {"host": "mail.example", "backend": "ses"}}, "options.backend", "unknown_field"),
        ({"kind": "inbox"}, "options.host", "unknown_field"),
        ({"kind": "mx", "options": {"source_address": "127.0.0.2"}}, "options.source_address", "invalid_value"),
        ({"kind": "provider", "options": {"backend": "x", "settings": {"a": "b"}}}, "options.backend", "invalid_value"),
        ({"warmup": {"starts_on": "2026-02-30", "daily": [1]}}, "warmup.starts_on", "invalid_value"),
        ({"warmup": {"starts_on": "2026-02-20", "daily": []}}, "warmup.daily", "too_short"),
    ],
)
def test_what_is_wrong_is_named(api, body, field, code):
    answer = api.post("/v1/routes", SMARTHOST | body)
    assert (answer.status, answer.faults[field]) == (422, code)


def test_faults_of_the_route_and_of_its_options_are_told_together(api):
    answer = api.post("/v1/routes", {"name": "", "kind": "smtp", "options": {"port": 0}})
    assert set(answer.faults) == {"name", "options.host", "options.port"}


def test_a_name_is_taken_once_in_an_account(acme, globex):
    add(acme.live)
    assert acme.live.post("/v1/routes", SMARTHOST).code == "conflict"
    assert globex.live.post("/v1/routes", SMARTHOST).status == 201


def test_what_is_not_given_stays(api):
    made = add(api, per_minute=600)
    answer = api.patch(
        f"/v1/routes/{made['id']}", {"weight": 7, "tiers": ["critical"], "options": {"helo": "out.acme.example"}}
    )
    options = made["options"] | {"helo": "out.acme.example"}
    assert {**answer.json, "updated_at": ""} == {
        **made,
        "weight": 7,
        "tiers": ["critical"],
        "options": options,
        "updated_at": "",
    }
    assert api.patch(f"/v1/routes/{made['id']}", {"per_minute": None}).json["per_minute"] is None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"host": None}, "options.host"),
        ({"host": ["mail.example"], "password": "x"}, "options.host"),
        ({"password": 5}, "options.password"),
        ({"username": None}, "options"),
        ({"settings": {}}, "options.settings"),
    ],
)
def test_a_change_is_held_against_the_shape_of_its_kind(api, options, field):
    made = add(api)
    answer = api.patch(f"/v1/routes/{made['id']}", {"options": options})
    assert (answer.status, field in answer.faults) == (422, True)
    assert api.get(f"/v1/routes/{made['id']}").json == made


@pytest.mark.parametrize("elsewhere", [{"host": "mail.evil.example"}, {"port": 25}, {"tls": "opportunistic"}])
def test_a_secret_is_said_again_before_it_goes_elsewhere(api, elsewhere):
    made = add(api)
    answer = api.patch(f"/v1/routes/{made['id']}", {"options": elsewhere})
    assert answer.faults == {"options.password": "required"}
    assert api.patch(f"/v1/routes/{made['id']}", {"options": {**elsewhere, "password": "new"}}).status == 200


def test_a_providers_settings_do_not_follow_to_another_provider(api):
    made = add(api, **PROVIDER)
    answer = api.patch(f"/v1/routes/{made['id']}", {"options": {"backend": "sendgrid"}})
    assert answer.faults == {"options.settings": "required"}


def test_each_change_is_in_the_audit_log_with_what_changed(api):
    made = add(api)
    api.patch(f"/v1/routes/{made['id']}", {"weight": 7})
    api.patch(f"/v1/routes/{made['id']}", {"weight": 7})
    api.patch(f"/v1/routes/{made['id']}", {"options": {"password": "another"}})
    api.delete(f"/v1/routes/{made['id']}")
    entries = list(
        AuditEntry.objects.filter(subject=made["id"]).order_by("id").values_list("action", "before", "after")
    )
    assert [action for action, *_ in entries] == ["route.created", "route.updated", "route.updated", "route.removed"]
    assert entries[1][1:] == ({"weight": 100}, {"weight": 7})
    assert entries[2][1:] == ({}, {"secrets": "replaced"})


def test_a_change_is_in_force_at_once(api, take_route):
    take_route("inbox:")
    routebook.snapshot()
    with SmtpSink() as mail:
        made = add(api, options={"host": "127.0.0.1", "port": mail.port, "tls": "none"})
        first = send(api)
        drain()
        api.patch(f"/v1/routes/{made['id']}", {"enabled": False})
        second = send(api)
        drain()
        assert len(mail.transactions) == 1
    assert (status(api, first), status(api, second)) == ("delivered", "queued")


def test_a_route_that_published_rules_name_is_not_removed(api):
    made = add(api)
    rules = [{"name": "all", "then": {"routes": [{"route": made["id"]}]}}]
    assert api.put("/v1/routing-rules", {"rules": rules}).status == 200
    answer = api.delete(f"/v1/routes/{made['id']}")
    assert (answer.status, "all" in answer.json["error"]["message"]) == (409, True)
    api.put("/v1/routing-rules", {"rules": []})
    assert api.delete(f"/v1/routes/{made['id']}").json == {"id": made["id"], "deleted": True}
    assert api.get(f"/v1/routes/{made['id']}").status == 404


def test_the_platforms_routes_are_seen_and_left_alone(acme):
    shared = platform_route()
    seen = acme.live.get(f"/v1/routes/{shared}").json
    assert (seen["platform"], seen["options"]["username"], seen["options"]["has_password"]) == (True, None, True)
    path = f"/v1/routes/{shared}"
    refused = [acme.live.patch(path, {"weight": 1}), acme.live.delete(path), acme.live.post(f"{path}/check")]
    assert [(answer.status, answer.code) for answer in refused] == [(403, "forbidden")] * 3


def test_an_operator_may_choose_the_source_address_and_is_told_of_faults(transactional_db):
    platform_route(kind="mx", options={"source_address": "127.0.0.9"})
    assert Route.objects.get().options == {"source_address": "127.0.0.9"}
    with pytest.raises(CommandError, match=r"options\.host: This field is required"):
        call_command("add_route", '{"name": "x", "kind": "smtp"}')
    with pytest.raises(CommandError, match="Not JSON"):
        call_command("add_route", "{")


NAMES = {
    "inner.example": {"A": ["10.0.0.5"]},
    "both.example": {"A": ["8.8.8.8"], "AAAA": ["fd00::1"]},
    "mail.example": {"A": ["8.8.8.8"]},
    "ill.example": "SERVFAIL",
}


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("inner.example", 422),
        ("both.example", 422),
        ("nowhere.example", 422),
        ("ill.example", 422),
        ("mail.example", 201),
    ],
)
def test_a_customers_host_is_looked_up_when_it_is_saved(api, settings, host, code):
    settings.ROUTE_ALLOW_PRIVATE = False
    with DnsServer(NAMES) as server:
        settings.DNS_SERVERS = [urlsplit("//{}:{}".format(*server.address))]
        assert api.post("/v1/routes", SMARTHOST | {"options": {"host": host}}).status == code


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
def test_a_customers_route_leads_to_no_inner_address(api, settings, host):
    settings.ROUTE_ALLOW_PRIVATE = False
    options = {"host": host, "tls": "none"}
    answer = api.post("/v1/routes", SMARTHOST | {"options": options})
    assert answer.faults == {"options.host": "invalid_value"}
    made = api.post("/v1/routes", SMARTHOST | {"options": options | {"host": "8.8.8.8"}}).json["id"]
    assert api.patch(f"/v1/routes/{made}", {"options": {"host": host}}).faults == {"options.host": "invalid_value"}


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "http://8.8.8.8/", "https://[fd00:ec2::254]/latest"])
def test_a_providers_url_leads_to_no_inner_address(api, settings, url):
    settings.ROUTE_ALLOW_PRIVATE = False
    options = {"backend": "postal", "settings": {"api_key": "k", "api_url": url}}
    answer = api.post("/v1/routes", PROVIDER | {"options": options})
    assert answer.faults == {"options.settings.api_url": "invalid_value"}


def test_what_was_saved_before_is_refused_again_at_the_connection(api, settings):
    with SmtpSink() as mail:
        made = add(api, options={"host": "127.0.0.1", "port": mail.port, "tls": "none"})
        settings.ROUTE_ALLOW_PRIVATE = False
        routebook.forget()
        found = api.post(f"/v1/routes/{made['id']}/check").json
        waiting = send(api)
        drain()
        assert (found["ok"], found["phase"], mail.sessions) == (False, "resolving", [])
    assert status(api, waiting) == "bounced"


def test_a_test_call_logs_in_and_sends_nothing(api):
    with SmtpSink(login=("acme", "hush-hush")) as mail:
        made = add(api, options=SMARTHOST["options"] | {"port": mail.port})
        found = api.post(f"/v1/routes/{made['id']}/check").json
    assert (found["ok"], found["phase"], found["address"]) == (True, "done", "127.0.0.1")
    assert (mail.sessions[0].logins, mail.transactions) == ([("acme", "hush-hush")], [])


def test_a_test_call_tells_how_far_it_came(api):
    with SmtpSink({"auth": "535 5.7.8 no such user"}, login=("acme", "x")) as mail:
        made = add(api, options=SMARTHOST["options"] | {"port": mail.port})
        found = api.post(f"/v1/routes/{made['id']}/check", {}).json
    assert (found["ok"], found["phase"], "5.7.8" in found["detail"] or "no such user" in found["detail"]) == (
        False,
        "auth",
        True,
    )
    dead = add(api, name="dead", options={"host": "127.0.0.1", "port": closed_port()})
    assert api.post(f"/v1/routes/{dead['id']}/check").json["phase"] == "connecting"


def test_a_test_call_by_mx_needs_a_domain(api):
    made = add(api, kind="mx", options={})
    assert api.post(f"/v1/routes/{made['id']}/check").faults == {"domain": "required"}


def test_a_test_call_by_mx_asks_the_dns(api, settings):
    with DnsServer({"null.example": {"MX": ["0 ."]}}) as server:
        settings.DNS_SERVERS = [urlsplit("//{}:{}".format(*server.address))]
        made = add(api, kind="mx", options={})
        found = api.post(f"/v1/routes/{made['id']}/check", {"domain": "null.example"}).json
    assert (found["ok"], found["phase"], "null MX" in found["detail"]) == (False, "resolving", True)


def test_a_test_call_of_a_provider_looks_at_its_settings(api):
    whole = add(api, **PROVIDER)
    lacking = add(
        api,
        **PROVIDER | {"name": "lacking", "options": {"backend": "postmark", "settings": {"message_stream": "hush"}}},
    )
    assert api.post(f"/v1/routes/{whole['id']}/check").json["ok"] is True
    found = api.post(f"/v1/routes/{lacking['id']}/check").json
    assert (found["ok"], found["detail"]) == (False, "The setting server_token is missing.")


def seen_path(route_id: str, destination: str, **figures) -> None:
    PathHealth.objects.create(route_id=route_id, destination=destination, updated_at=datetime.now(UTC), **figures)


def test_health_tells_rates_by_destination_and_the_use_of_today(api):
    today = datetime.now(UTC).date()
    warmup = {"starts_on": (today - timedelta(days=1)).isoformat(), "daily": [10, 20]}
    made = add(api, per_day=500, warmup=warmup)
    seen_path(made["id"], "gmail", delivered=80, deferred=20, milliseconds=250, breaker="half_open")
    seen_path(made["id"], "hanbit.example", delivered=1)
    first = api.get(f"/v1/routes/{made['id']}/health", {"limit": 1}).json
    assert first["today"] == {"date": today.isoformat(), "used": 0, "cap": 20, "warmup_day": 2}
    (gmail,) = first["data"]
    assert (gmail["delivery_rate"], gmail["deferral_rate"], gmail["latency_ms"]) == (0.8, 0.2, 250)
    assert (gmail["breaker"], gmail["success"] < 1, gmail["reputation"]) == ("half_open", True, 1.0)
    rest = api.get(f"/v1/routes/{made['id']}/health", {"cursor": first["next_cursor"]}).json
    assert [path["destination"] for path in rest["data"]] == ["hanbit.example"]


def test_history_is_newest_first_in_pages(api):
    made = add(api)
    for after in ("open", "half_open", "closed"):
        PathChange.objects.create(route_id=made["id"], destination="gmail", before="x", after=after, reason="deferrals")
    first = api.get(f"/v1/routes/{made['id']}/history", {"limit": 2}).json
    rest = api.get(f"/v1/routes/{made['id']}/history", {"cursor": first["next_cursor"]}).json
    assert [change["after"] for page in (first, rest) for change in page["data"]] == ["closed", "half_open", "open"]


def test_of_the_platforms_routes_nobody_learns_whom_others_write_to(acme):
    shared = platform_route()
    for destination in ("gmail", "*", "rival.example"):
        seen_path(shared, destination, delivered=1)
        PathChange.objects.create(route_id=shared, destination=destination, before="closed", after="open", reason="x")
    for page in ("health", "history"):
        found = acme.live.get(f"/v1/routes/{shared}/{page}").json["data"]
        assert {row["destination"] for row in found} == {"gmail", "*"}
