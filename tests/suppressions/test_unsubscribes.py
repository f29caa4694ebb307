"""/v1/unsubscribes: those of the suppressions whose recipient asked for it."""

from tests.suppressions.test_records import KIM, add, get
from tests.world import from_now


def test_an_unsubscribe_is_a_suppression(api):
    answer = api.post("/v1/unsubscribes", {"recipient": KIM, "note": "by letter"})
    assert (answer.status, answer.json["reason"]) == (201, "user_unsubscribed")
    assert answer.json == get(api).json == api.get(f"/v1/unsubscribes/{KIM}").json
    assert api.post("/v1/unsubscribes", {"recipient": KIM}).status == 200


def test_the_list_holds_no_other_reasons(api):
    add(api, "lee@hanbit.example")
    api.post("/v1/unsubscribes", {"recipient": KIM, "expires_at": from_now(days=9)})
    assert [row["recipient"] for row in api.get("/v1/unsubscribes").json["data"]] == [KIM]
    assert api.get("/v1/unsubscribes/lee@hanbit.example").status == 404
    assert api.get("/v1/unsubscribes", {"reason": "manual"}).faults == {"reason": "unknown_field"}


def test_taking_it_back_leaves_other_reasons_alone(api):
    add(api, "lee@hanbit.example")
    api.post("/v1/unsubscribes", {"recipient": KIM})
    assert api.delete(f"/v1/unsubscribes/{KIM}").json["recipient"] == KIM
    assert api.delete("/v1/unsubscribes/lee@hanbit.example").status == 404
    assert get(api).status == 404
    assert get(api, "lee@hanbit.example").status == 200


def test_a_manual_suppression_and_a_complaint_stay_what_they_are(api):
    manual = add(api).json
    add(api, "lee@hanbit.example", "spam_complaint")
    answer = api.post("/v1/unsubscribes", {"recipient": KIM})
    assert (answer.status, answer.json) == (200, manual)
    assert api.post("/v1/unsubscribes", {"recipient": "lee@hanbit.example"}).json["reason"] == "spam_complaint"
    assert api.delete(f"/v1/unsubscribes/{KIM}").status == 404
    assert get(api).json == manual
