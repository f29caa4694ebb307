"""GET /v1/messages: newest first, narrowed by filters, stable while new ones arrive."""

import pytest

from tests import world
from tests.world import MAIL, send


def found(api, **query) -> list[str]:
    answer = api.get("/v1/messages", {name.replace("__", ""): value for name, value in query.items()})
    assert answer.status == 200, answer.json
    return [message["message_id"] for message in answer.json["data"]]


def pages(api, **query):
    cursor: dict[str, str] = {}
    while True:
        answer = api.get("/v1/messages", query | cursor)
        yield [message["message_id"] for message in answer.json["data"]]
        if not answer.json["has_more"]:
            assert answer.json["next_cursor"] is None
            return
        cursor = {"cursor": answer.json["next_cursor"]}


def test_messages_come_newest_first_25_a_page(api):
    ids = [send(api) for _ in range(27)]
    assert list(pages(api)) == [ids[:1:-1], ids[1::-1]]


def test_a_page_stays_what_it_was_while_new_messages_arrive(api):
    ids = [send(api) for _ in range(6)]
    seen = []
    for page in pages(api, limit=2):
        seen += page
        send(api)
    assert seen == ids[::-1]


def test_a_list_shows_the_message_without_its_content(api):
    send(api, html="<p>secret</p>")
    shown = api.get("/v1/messages").json["data"][0]
    assert {"message_id", "status", "recipient", "from", "subject", "created_at", "tags", "metadata"} <= shown.keys()
    assert not {"html", "text", "events"} & shown.keys()


def test_status_narrows_and_may_be_repeated_or_hold_commas(acme, sink):
    queued, canceled, scheduled = (send(acme.live) for _ in range(3))
    acme.live.delete(f"/v1/messages/{canceled}")
    world.sql("UPDATE messages SET status = 'scheduled' WHERE id = %s", scheduled)
    assert found(acme.live, status="canceled") == [canceled]
    assert found(acme.live, status=["queued", "canceled"]) == [canceled, queued]
    assert found(acme.live, status="queued,scheduled") == [scheduled, queued]


def test_a_recipient_is_found_in_any_spelling(api):
    kim, _ = send(api, recipient="Kim <Kim@한빛.example>"), send(api)
    puny = "kim@한빛.example".partition("@")[2].encode("idna").decode()
    for spelling in ("kim@한빛.example", f"KIM@{puny}", "Somebody <kim@한빛.example>"):
        assert found(api, recipient=spelling) == [kim]
    assert found(api, recipient="not an address") == []


def test_a_time_range_includes_its_start_and_not_its_end(api):
    first = world.created(send(api), "2026-01-01T00:00:00Z")
    second = world.created(send(api), "2026-01-02T00:00:00Z")
    assert found(api, created_after="2026-01-01T00:00:00Z", created_before="2026-01-02T00:00:00Z") == [first]
    assert found(api, created_after="2026-01-01T09:00:01+09:00") == [second]


def test_tag_template_and_metadata_narrow(acme):
    acme.template()
    data = {"template": "otp-code", "template_data": {"code": "1", "expires_in": "1 minute"}}
    tagged = send(acme.live, tags=["bill", "eu"])
    templated = send(acme.live, **data)
    about = send(acme.live, metadata={"order id": "7", "shop": "한빛"})
    assert found(acme.live, tag="eu") == [tagged]
    assert found(acme.live, template="otp-code") == [templated]
    assert found(acme.live, **{"metadata[order id]": "7", "metadata[shop]": "한빛"}) == [about]
    assert found(acme.live, **{"metadata[shop]": "7"}) == []


def test_words_are_looked_for_in_recipient_and_subject(api):
    bill = send(api, recipient="lee@other.example", subject="Your bill of 100% cotton")
    send(api)
    assert found(api, q="bill LEE@") == [bill]
    assert found(api, q="100%") == [bill]
    assert found(api, q="100_") == []


def test_filters_are_met_together(api):
    both = send(api, tags=["a"], recipient="lee@other.example")
    send(api, tags=["a"])
    assert found(api, tag="a", recipient="lee@other.example", status="queued") == [both]


@pytest.mark.parametrize(
    ("query", "faults"),
    [
        ({"limit": "0"}, {"limit": "out_of_range"}),
        ({"limit": "101"}, {"limit": "out_of_range"}),
        ({"limit": "ten"}, {"limit": "invalid_type"}),
        ({"status": "sent"}, {"status": "invalid_value"}),
        ({"status": "queued,"}, {"status": "invalid_value"}),
        ({"created_after": "2026-01-01T00:00:00"}, {"created_after": "invalid_value"}),
        ({"recipient": "", "tag": ""}, {"recipient": "too_short", "tag": "too_short"}),
        ({"metadata": "7"}, {"metadata": "invalid_type"}),
        ({"from": "x", "page": "2"}, {"from": "unknown_field", "page": "unknown_field"}),
    ],
)
def test_a_parameter_that_is_wrong_or_unknown_is_a_fault(api, query, faults):
    answer = api.get("/v1/messages", query)
    assert (answer.status, answer.faults) == (422, faults)


def test_limit_is_1_to_100(api):
    for _ in range(2):
        send(api)
    assert len(found(api, limit=1)) == 1
    assert len(found(api, limit=100)) == 2


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/dead-letters", "/v1/events"])
@pytest.mark.parametrize("cursor", ["x", "%2F%2F", "AAAA", "bm90IGEgY3Vyc29yH3g", "é"])
def test_a_cursor_we_did_not_give_is_400(api, path, cursor):
    name = "after" if path == "/v1/events" else "cursor"
    answer = api.get(f"{path}?{name}={cursor}")
    assert (answer.status, answer.code) == (400, "bad_cursor")


def test_a_page_takes_as_many_statements_however_many_rows(api, django_assert_num_queries):
    api.post("/v1/messages/batch", {"messages": [MAIL] * 100})
    for limit in (1, 100):
        with django_assert_num_queries(6):
            found(api, limit=limit)
