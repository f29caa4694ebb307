"""/v1/suppressions: one record per address, in any spelling, for one account and environment."""

import pytest
from django.db import transaction

from sendarix.accounts.models import AuditEntry
from sendarix.core import addresses
from suppressions import services
from suppressions.models import Reason
from tests import world
from tests.world import from_now

KIM = "kim@hanbit.example"


def add(api, recipient=KIM, reason="manual", **fields):
    return api.post("/v1/suppressions", {"recipient": recipient, "reason": reason, **fields})


def observed(company, reason: Reason, recipient=KIM, **options):
    """As when a message shows it: a bounce, a complaint, a click."""
    key = addresses.parse(recipient).key
    return services.suppress(company.account.id, True, recipient, key, reason, **options)


def get(api, recipient=KIM):
    return api.get(f"/v1/suppressions/{recipient}")


def check(api, *recipients):
    return api.get("/v1/suppressions/check", {"recipient": recipients}).json["data"]


def audited() -> list[tuple]:
    return list(AuditEntry.objects.order_by("id").values_list("actor", "action", "subject", "before", "after"))


def test_a_new_recipient_is_201_with_who_added_it(acme):
    answer = add(acme.live, "Kim <Kim@hanbit.example>", note="Asked by telephone")
    assert answer.status == 201
    shown = answer.json
    assert (shown["recipient"], shown["reason"], shown["note"]) == (
        "Kim@hanbit.example",
        "manual",
        "Asked by telephone",
    )
    assert (shown["expires_at"], shown["message_id"], shown["livemode"]) == (None, None, True)
    assert world.sql("SELECT id FROM api_keys WHERE id = %s", shown["actor"])
    assert get(acme.live).json == shown


def test_a_second_time_is_200_with_the_first_reason(api):
    first = add(api, note="first").json
    again = add(api, "KIM@HANBIT.example", "spam_complaint", note="second")
    assert (again.status, again.json) == (200, first)


def test_case_and_idn_spelling_do_not_count(api):
    add(api, "kim@한빛.example")
    puny = "kim@한빛.example".partition("@")[2].encode("idna").decode()
    for spelling in ("KIM@한빛.EXAMPLE", f"kim@{puny}", f"Kim%40{puny}"):
        assert get(api, spelling).json["recipient"] == "kim@한빛.example"
    assert api.delete(f"/v1/suppressions/Kim@{puny}").status == 200
    assert get(api, "kim@한빛.example").status == 404


@pytest.mark.parametrize(
    "recipient", ["a/b@hanbit.example", "a+b@hanbit.example", "50%@hanbit.example", "a?b@hanbit.example"]
)
def test_an_address_with_signs_of_urls_is_reached_percent_encoded(api, recipient):
    assert add(api, recipient).status == 201
    encoded = (
        recipient.replace("%", "%25").replace("/", "%2F").replace("+", "%2B").replace("?", "%3F").replace("@", "%40")
    )
    assert get(api, encoded).json["recipient"] == recipient
    assert api.delete(f"/v1/suppressions/{encoded}").status == 200


@pytest.mark.parametrize("place", ["nobody@hanbit.example", "no-address", "import/x", "%F0%9F%98%80"])
def test_what_is_not_on_the_list_is_404(api, place):
    assert get(api, place).status == api.delete(f"/v1/suppressions/{place}").status == 404


def test_every_fault_is_told_at_once(api):
    answer = add(api, "kim", "bored", note="x" * 1001, expires_at=from_now(hours=-1), colour="red")
    assert answer.status == 422
    assert answer.faults == {
        "recipient": "invalid_value", "reason": "invalid_value", "note": "too_long", "expires_at": "out_of_range",
        "colour": "unknown_field",
    }  # fmt: skip
    assert api.post("/v1/suppressions", {}).faults == {"recipient": "required", "reason": "required"}


def test_taking_a_recipient_off_is_audited_with_what_was_there(acme):
    shown = add(acme.live, note="Asked by telephone").json
    answer = acme.live.delete(f"/v1/suppressions/{KIM}")
    assert (answer.status, answer.json) == (200, shown)
    assert acme.live.delete(f"/v1/suppressions/{KIM}").status == 404
    assert audited() == [(shown["actor"], "suppression.removed", KIM, shown, None)]


def test_of_two_who_take_it_off_one_is_told_so(acme):
    add(acme.live)
    answers = world.together([lambda: acme.live.delete(f"/v1/suppressions/{KIM}").status] * 4)
    assert sorted(answers) == [200, 404, 404, 404]
    assert len(audited()) == 1


def test_a_complaint_that_comes_while_a_record_is_taken_off_stays(acme):
    add(acme.live, reason="user_unsubscribed")
    with transaction.atomic():
        observed(acme, Reason.SPAM_COMPLAINT)
        removal = world.in_background(acme.live.delete, f"/v1/suppressions/{KIM}")
        world.until(lambda: world.sql("SELECT 1 FROM pg_locks WHERE NOT granted"))
    assert (removal.result().status, removal.result().code) == (409, "conflict")
    assert get(acme.live).json["reason"] == "spam_complaint"
    assert audited() == []


def test_two_adds_at_the_same_moment_make_one_record(acme):
    answers = world.together([lambda: add(acme.live) for _ in range(6)])
    assert sorted(answer.status for answer in answers) == [200] * 5 + [201]
    assert len({answer.json["id"] for answer in answers}) == 1


def test_live_test_and_other_accounts_are_lists_of_their_own(acme, globex):
    add(acme.live)
    for stranger in (acme.test, globex.live):
        assert get(stranger).status == stranger.delete(f"/v1/suppressions/{KIM}").status == 404
        assert stranger.get("/v1/suppressions").json["data"] == []
        assert check(stranger, KIM)[0]["suppressed"] is False
        assert stranger.get("/v1/suppressions/export").body.count(b"\r\n") == 1
    assert add(globex.live, reason="hard_bounce").status == add(acme.test).status == 201
    assert get(acme.live).json["reason"] == "manual"


def test_the_list_is_newest_first_in_pages(api):
    ids = [add(api, f"kim{n}@hanbit.example").json["id"] for n in range(5)]
    first = api.get("/v1/suppressions", {"limit": 3}).json
    add(api, "late@hanbit.example")
    second = api.get("/v1/suppressions", {"limit": 3, "cursor": first["next_cursor"]}).json
    assert [row["id"] for row in first["data"] + second["data"]] == ids[::-1]
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)


def test_the_list_is_narrowed_by_recipient_reason_and_time(api):
    add(api)
    add(api, "lee@hanbit.example", "hard_bounce")
    add(api, "park@hanbit.example", "spam_complaint")
    world.sql("UPDATE suppressions SET created_at = '2026-01-01T00:00:00Z' WHERE recipient_key LIKE 'lee%%'")

    def found(**query):
        rows = api.get("/v1/suppressions", query).json["data"]
        return [row["recipient"].partition("@")[0] for row in rows]

    assert found(recipient="Kim <KIM@hanbit.example>") == ["kim"]
    assert found(recipient="no address") == []
    assert found(reason=["hard_bounce", "spam_complaint"]) == ["park", "lee"]
    assert found(created_before="2026-01-01T00:00:00.001Z") == ["lee"]
    assert found(created_after="2026-01-02T00:00:00Z") == ["park", "kim"]
    assert api.get("/v1/suppressions", {"reason": "bored"}).faults == {"reason.0": "invalid_value"}


def test_a_check_answers_for_each_recipient_in_order(acme):
    message_id = world.send(acme.live)
    observed(acme, Reason.HARD_BOUNCE, message_id=message_id)
    free, bounced = check(acme.live, "lee@hanbit.example", "Kim <KIM@hanbit.example>")
    assert free == {
        "recipient": "lee@hanbit.example", "suppressed": False, "reason": None, "since": None, "expires_at": None,
        "message_id": None,
    }  # fmt: skip
    assert (bounced["suppressed"], bounced["reason"], bounced["message_id"]) == (True, "hard_bounce", message_id)
    assert bounced["since"] == get(acme.live).json["created_at"]


def test_a_check_takes_a_hundred_recipients_and_no_more(api):
    assert len(check(api, *[f"kim{n}@hanbit.example" for n in range(100)])) == 100
    too_many = api.get("/v1/suppressions/check", {"recipient": [KIM] * 101})
    assert too_many.faults == {"recipient": "too_long"}
    assert api.get("/v1/suppressions/check").faults == {"recipient": "required"}
    assert api.get("/v1/suppressions/check", {"recipient": [KIM, "kim"]}).faults == {"recipient.1": "invalid_value"}


def test_a_graver_cause_that_was_observed_replaces_a_lesser_one(acme):
    first = add(acme.live, reason="user_unsubscribed", note="by letter").json
    message_id = world.send(acme.live)
    _, new = observed(acme, Reason.HARD_BOUNCE, message_id=message_id)
    shown = get(acme.live).json
    assert not new
    assert (shown["id"], shown["created_at"]) == (first["id"], first["created_at"])
    assert (shown["reason"], shown["message_id"], shown["actor"]) == ("hard_bounce", message_id, "delivery")
    assert shown["note"] == "by letter; was user_unsubscribed before"


def test_a_lesser_cause_leaves_a_graver_one_but_may_prolong_it(acme):
    add(acme.live, reason="spam_complaint", expires_at=from_now(days=1))
    observed(acme, Reason.USER_UNSUBSCRIBED)
    shown = get(acme.live).json
    assert (shown["reason"], shown["expires_at"]) == ("spam_complaint", None)


def test_adding_never_brings_an_end_nearer(api):
    add(api)
    assert add(api, expires_at=from_now(days=1)).json["expires_at"] is None
