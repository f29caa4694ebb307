"""Adding, reading, verifying and removing sender domains."""

import json

import pytest

from messaging.domains import conclusions, looking, registry, schedule
from messaging.models import DkimKey
from sendarix.accounts.models import AuditEntry
from sendarix.core import vault
from tests import world
from tests.messaging.domain_zone import add, at, of, publish, put, verify


def events_of(api) -> list[tuple[str, dict]]:
    return [(event["type"], event["data"]) for event in api.get("/v1/events", {"limit": 100}).json["data"]]


# adding


def test_a_new_domain_comes_with_every_record_to_publish(api):
    domain = add(api)
    assert (domain["status"], domain["owned"], domain["trusted"]) == ("pending", True, False)
    assert [(one["purpose"], one["type"], one["host"]) for one in domain["records"]] == [
        ("ownership", "TXT", "_sendarix.hanbit.example"),
        ("dkim", "TXT", "sx1._domainkey.hanbit.example"),
        ("dkim", "TXT", "sx1e._domainkey.hanbit.example"),
        ("spf", "TXT", "hanbit.example"),
        ("return_path", "CNAME", "bounces.hanbit.example"),
        ("dmarc", "TXT", "_dmarc.hanbit.example"),
    ]
    assert [one["host"] for one in domain["records"] if one["required"]] == ["sx1._domainkey.hanbit.example"]
    assert {one["verdict"] for one in domain["records"]} == {"unchecked"}


def test_private_keys_are_sealed_and_shown_nowhere(api):
    shown = json.dumps(add(api))
    for key in DkimKey.objects.all():
        assert key.private_key.startswith("v1.")
        assert vault.reveal(key.private_key, "dkim") and key.private_key not in shown  # noqa: PT018


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("Hanbit.Example", "hanbit.example"),
        (" hanbit.example. ", "hanbit.example"),
        ("한빛.example", "xn--xx3br43b.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("mail.hanbit.co.kr", "mail.hanbit.co.kr"),
    ],
)
def test_a_domain_is_stored_in_lower_case_and_a_labels(api, written, stored):
    assert add(api, written)["domain"] == stored


@pytest.mark.parametrize(
    "text",
    ["localhost", "com", "co.uk", "github.io", "한국", "192.0.2.1", "[192.0.2.1]", "2001:db8::1", "hanbit", "a@hanbit.example",
     "https://hanbit.example", "hanbit..example", "-hanbit.example", "*.hanbit.example", "_dmarc.hanbit.example",
     "hanbit.example\x00",     "x" * 64 + ".example", "", " ", "\ud800.example", "xn--a.example", "a." * 120 + "example"],
)  # fmt: skip
def test_what_is_no_domain_to_send_from_is_refused_with_a_reason(api, text):
    answer = api.call("POST", "/v1/domains", body=json.dumps({"domain": text}).encode())
    assert answer.status in (400, 422)
    assert answer.status == 400 or set(answer.faults) == {"domain"}


def test_a_domain_is_added_once(api):
    add(api)
    assert api.post("/v1/domains", {"domain": "HANBIT.example"}).code == "conflict"


# reading and removing


def test_it_is_read_by_id_and_by_name_in_any_spelling(api):
    domain = add(api, "bücher.example")
    for text in (domain["id"], "xn--bcher-kva.example", "Bücher.example"):
        assert api.get(f"/v1/domains/{text}").json == domain


def test_the_list_goes_in_pages_newest_first(api):
    added = [add(api, f"{name}.example")["id"] for name in ("one", "two")]
    first = api.get("/v1/domains", {"limit": 1}).json
    rest = api.get("/v1/domains", {"cursor": first["next_cursor"]}).json
    ids = [row["id"] for row in first["data"] + rest["data"]]
    assert ids[:2] == added[::-1]
    assert rest["has_more"] is False


def test_the_list_holds_nothing_of_another_customer_and_the_same_for_test_keys(acme, globex):
    add(globex.live)
    for key in (acme.live, acme.test):
        assert [row["domain"] for row in key.get("/v1/domains").json["data"]] == ["acme.example"]


def test_a_removed_domain_is_gone_with_its_keys(api):
    domain = add(api)
    assert api.delete("/v1/domains/hanbit.example").json["deleted"] is True
    assert api.get(f"/v1/domains/{domain['id']}").status == 404
    assert DkimKey.objects.count() == 0


def test_what_was_done_is_in_the_audit_log_with_the_key_that_did_it(api):
    add(api)
    api.delete("/v1/domains/hanbit.example")
    entries = list(AuditEntry.objects.order_by("id").values_list("action", "subject"))
    assert entries == [("domain.added", "hanbit.example"), ("domain.removed", "hanbit.example")]
    assert all(entry.actor.startswith("key_") and entry.source == "127.0.0.1" for entry in AuditEntry.objects.all())


# verifying


def test_a_domain_with_all_records_is_verified_and_its_keys_sign(api, zone):
    publish(zone, add(api))
    domain = verify(api)
    assert {one["host"]: (one["verdict"], one["reason"]) for one in domain["records"] if one["verdict"] != "ok"} == {}
    assert (domain["status"], domain["return_path_ready"]) == ("verified", True)
    assert {key.status for key in DkimKey.objects.all()} == {"active"}
    assert events_of(api)[-1][0] == "domain.verified"


def test_a_look_that_was_asked_for_is_the_act_of_the_key_and_any_other_the_systems(acme, zone):
    key_id = acme.account.api_keys.get(livemode=True).pk
    publish(zone, add(acme.live))
    asked = acme.live.post("/v1/domains/hanbit.example/verify")
    entry = AuditEntry.objects.get(action="domain.verified")
    assert (entry.actor, entry.source) == (key_id, "127.0.0.1")
    assert entry.request_id == asked.headers["X-Request-Id"]
    del zone.zones["sx1._domainkey.hanbit.example"]
    world.sql("UPDATE sender_domains SET next_check_at = now() WHERE domain = 'hanbit.example'")
    schedule.recheck_due()
    assert AuditEntry.objects.get(action="domain.broken").actor == "domain-check"


def test_the_rsa_record_alone_verifies_and_the_other_key_waits(api, zone):
    domain = add(api)
    publish(zone, {"records": [domain["records"][1]]})
    assert verify(api)["status"] == "verified"
    assert dict(DkimKey.objects.values_list("algorithm", "status")) == {"rsa": "active", "ed25519": "pending"}


def test_nothing_published_leaves_it_pending_and_says_what_is_missing(api, zone):
    add(api)
    domain = verify(api)
    assert domain["status"] == "pending"
    assert {one["verdict"] for one in domain["records"]} == {"missing"}
    assert of(domain, "dkim")["reason"].startswith("The name sx1._domainkey.hanbit.example does not exist.")


def test_a_record_that_goes_missing_breaks_a_verified_domain_and_the_account_hears_of_it(api, zone):
    publish(zone, add(api))
    verify(api)
    del zone.zones["sx1._domainkey.hanbit.example"]
    assert verify(api)["status"] == "broken"
    kind, data = events_of(api)[-1]
    assert (kind, data["record"]) == ("domain.broken", "sx1._domainkey.hanbit.example")
    assert "does not exist" in data["reason"]


def test_a_broken_domain_comes_back(api, zone):
    domain = add(api)
    publish(zone, domain)
    verify(api)
    zone.zones.pop("sx1._domainkey.hanbit.example")
    verify(api)
    publish(zone, {"records": [domain["records"][1]]})
    assert verify(api)["status"] == "verified"
    kinds = [kind for kind, _ in events_of(api) if kind.startswith("domain.")]
    assert kinds == ["domain.verified", "domain.broken", "domain.verified"]


def test_an_ed25519_record_that_goes_missing_only_ends_that_signature(api, zone):
    publish(zone, add(api))
    verify(api)
    del zone.zones["sx1e._domainkey.hanbit.example"]
    assert verify(api)["status"] == "verified"
    assert DkimKey.objects.get(algorithm="ed25519").status == "pending"


@pytest.mark.parametrize("failure", ["SERVFAIL", "REFUSED"])
def test_silence_breaks_a_verified_domain_only_the_third_time(api, zone, failure):
    publish(zone, add(api))
    verify(api)
    zone.zones["sx1._domainkey.hanbit.example"] = failure
    seen = [verify(api) for _ in range(3)]
    assert [one["status"] for one in seen] == ["verified", "verified", "broken"]
    assert at(seen[0], "sx1._domainkey.hanbit.example")["verdict"] == "unchecked"


def test_our_own_resolver_being_away_breaks_nothing(api, zone):
    published = add(api)
    publish(zone, published)
    verify(api)
    zone.zones = {record["host"]: "SERVFAIL" for record in published["records"]} | {"": "SERVFAIL"}
    domain = [verify(api) for _ in range(3)][-1]
    assert domain["status"] == "verified"
    assert {one["verdict"] for one in domain["records"]} == {"unchecked"}
    assert domain["return_path_ready"] is True


def test_a_trusted_domain_is_looked_at_but_stays_verified(acme, zone):
    domain = verify(acme.live, "acme.example")
    assert (domain["status"], domain["next_check_at"]) == ("verified", None)
    assert of(domain, "dmarc")["verdict"] == "missing"


def test_an_older_look_does_not_overwrite_a_later_one(api, zone):

    publish(zone, add(api))
    account_id = world.sql("SELECT account_id FROM sender_domains WHERE domain = 'hanbit.example'")[0][0]
    (before,) = looking.look([registry.one(account_id, "hanbit.example")])
    put(zone, "sx1._domainkey.hanbit.example", "v=DKIM1; p=")
    assert verify(api)["status"] == "pending"
    conclusions.conclude(before)
    assert api.get("/v1/domains/hanbit.example").json["status"] == "pending"
