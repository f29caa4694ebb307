"""What a search finds: each word by itself, several together, through pages, and only what is one's own."""

import pytest

from messaging import searching
from messaging.searching import pages
from tests import world
from tests.world import send


def found(owner, text: str, livemode: bool = True) -> list[str]:
    """Without counts beside it and with them, which is another way of looking."""
    scope, query = searching.Scope(owner.account.pk, livemode), searching.parse(text)
    alone, beside = searching.page(scope, query).messages, searching.look(scope, query)[0].messages
    assert [message.id for message in alone] == [message.id for message in beside]
    return [message.id for message in alone]


@pytest.fixture(params=["walking", "by index"])
def way(request, monkeypatch):
    """Every search both ways: among the newest, and as if what is looked for lay far behind them."""
    if request.param == "by index":
        monkeypatch.setattr(pages, "WALK", 1)
        monkeypatch.setattr(pages, "STRIDE", 2)
        monkeypatch.setattr(pages, "_COMMON", 1_000)


@pytest.fixture
def mails(acme, way) -> dict[str, str]:
    acme.template()
    data = {"template": "otp-code", "template_data": {"code": "1", "expires_in": "1 minute"}}
    return {
        "code": send(acme.live, recipient="Kim Minji <kim@한빛.example>", priority="critical", **data),
        "bill": send(acme.live, recipient="lee@other.example", subject="Your bill 100%", tags=["bill", "eu"]),
        "order": send(acme.live, metadata={"order id": "A-7", "shop": "한빛상점"}, subject="주문 결제 완료"),
        "file": send(acme.live, attachments=[{"filename": "a.txt", "content": "YQ==", "content_type": "text/plain"}]),
    }


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["file", "order", "bill", "code"]),
        ("other.example", ["bill"]),
        ("minji", ["code"]),
        ("bill LEE@", ["bill"]),
        ('"your bill"', ["bill"]),
        ("100%", ["bill"]),
        ("100_", []),
        ("결제", ["order"]),
        ("A-7", ["order"]),
        ("한빛상점", ["order"]),
        ("-bill -minji", ["file", "order"]),
        ("to:kim@한빛.example", ["code"]),
        ("to:lee@other.example to:kim@한빛.example", ["bill", "code"]),
        ("to:lee", ["bill"]),
        ("-to:lee@other.example", ["file", "order", "code"]),
        ("domain:한빛.example", ["code"]),
        ("domain:other.example domain:한빛.example", ["bill", "code"]),
        ("from:hello@acme.example", ["file", "order", "bill", "code"]),
        ("from:acme -from:hello@acme.example", []),
        ("subject:bill", ["bill"]),
        ("subject:lee", []),
        ("status:queued", ["file", "order", "bill", "code"]),
        ("-status:queued", []),
        ("template:otp-code", ["code"]),
        ("tag:eu tag:bill", ["bill"]),
        ("tag:eu tag:us", []),
        ("-tag:eu", ["file", "order", "code"]),
        ("tier:critical", ["code"]),
        ("tier:critical,low", ["code"]),
        ('meta."order id":A-7', ["order"]),
        ("meta.shop:A-7", []),
        ("has:attachment", ["file"]),
        ("is:waiting", ["file", "order", "bill", "code"]),
        ("-is:waiting", []),
        ("is:dead", []),
        ("is:stuck", []),
        ("slower:0s", []),
        ("before:1h", []),
        ("after:1h tag:eu", ["bill"]),
        ("-after:1h", []),
        ("is:live bill", ["bill"]),
    ],
)
def test_each_word_finds_what_it_says(acme, mails, text, names):
    assert found(acme, text) == [mails[name] for name in names]


def test_a_message_is_found_by_its_id_and_its_request(acme, way):
    answer = acme.live.post("/v1/messages", world.MAIL)
    other, mine = send(acme.live), answer.json["message_id"]
    assert found(acme, mine) == [mine]
    assert found(acme, f"-{mine}") == [other]
    assert found(acme, f"{mine} {other}") == []
    assert found(acme, answer.headers["X-Request-Id"]) == [mine]


def test_a_message_is_found_by_its_idempotency_key_and_its_api_key(acme, way):
    mine = acme.live.post("/v1/messages", world.MAIL, {"Idempotency-Key": "order-4711"}).json["message_id"]
    send(acme.live)
    key = world.sql("SELECT key_id FROM message_contents WHERE message_id = %s", mine)[0][0]
    assert found(acme, "order-4711") == [mine]
    assert mine in found(acme, f"key:{key}")
    assert found(acme, "key:key_other") == []


def test_a_message_is_found_by_its_route_and_what_the_server_said(acme, sink, way):
    good = send(acme.live)
    world.drain()
    sink.script["rcpt"] = "550 5.1.1 no such user"
    bad = send(acme.live)
    world.drain()
    assert found(acme, "code:550") == found(acme, "code:5.1.1") == found(acme, "code:mailbox_unknown") == [bad]
    route = world.attempts(acme.live, bad)[0]["route"]
    assert found(acme, f'route:"{route}" code:550') == [bad]
    assert set(found(acme, f'route:"{route}"')) == {good, bad}
    assert found(acme, "is:dead") == [bad]
    assert found(acme, "code:421") == []


def test_nobody_elses_messages_are_found(acme, globex, way):
    send(acme.live, recipient="kim@shared.example", metadata={"order": "A-7"}, tags=["x"])
    for text in ("", "kim", "to:kim@shared.example", "A-7", "tag:x", "status:queued", "domain:shared.example"):
        assert found(globex, text) == found(acme, text, livemode=False) == []


def test_pages_follow_each_other_without_a_gap_or_a_double(acme, way):
    ids = [send(acme.live, subject=f"bill {n}") for n in range(7)]
    scope, query = searching.Scope(acme.account.pk, True), searching.parse("bill")
    seen, cursor = [], None
    while True:
        page, counts = searching.look(scope, query, 3, cursor)
        assert (page, counts) == (searching.page(scope, query, 3, cursor), searching.count(scope, query))
        seen += [message.id for message in page.messages]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == ids[::-1]


def test_a_search_that_no_index_helps_ends_early_and_goes_on_from_there(acme, monkeypatch):
    monkeypatch.setattr(pages, "WALK", 2)
    monkeypatch.setattr(pages, "PATIENCE", 0.0)
    old = send(acme.live, subject="결제")
    newer = [send(acme.live) for _ in range(3)]
    scope, query = searching.Scope(acme.account.pk, True), searching.parse("결제")
    first = searching.page(scope, query)
    assert first.messages == []
    assert first.reached is not None
    second = searching.page(scope, query, cursor=first.next_cursor)
    assert [message.id for message in second.messages] == [old]
    assert old not in newer


def test_counts_are_by_status_whatever_status_is_asked_for(acme, way):
    ids = [send(acme.live, subject="bill") for _ in range(3)]
    send(acme.live)
    acme.live.delete(f"/v1/messages/{ids[0]}")
    scope = searching.Scope(acme.account.pk, True)
    for text in ("bill", "bill status:canceled"):
        assert searching.count(scope, searching.parse(text)).by_status == {"queued": 2, "canceled": 1}
    other = send(acme.live, recipient="lee@other.example")
    for text in ("to:lee@other.example", other):
        assert searching.count(scope, searching.parse(text)).by_status == {"queued": 1}
    acme.live.delete(f"/v1/messages/{other}")
    everything = searching.count(scope, searching.parse(""))
    assert (everything.total, everything.exact) == (5, True)


def test_more_than_can_be_counted_is_said_to_be_more(acme, monkeypatch, way):
    monkeypatch.setattr(pages, "COUNTED", 2)
    for _ in range(4):
        send(acme.live, tags=["x"])
    scope = searching.Scope(acme.account.pk, True)
    for text in ("", "tag:x"):
        assert not searching.count(scope, searching.parse(text)).exact


def test_a_page_does_not_rest_on_matches_of_which_not_all_were_collected(acme, monkeypatch, way):
    monkeypatch.setattr(pages, "COUNTED", 4)
    newest = [send(acme.live, subject=f"invoice {n}") for n in range(12)][-1]
    world.sql("UPDATE messages SET due_at = now() - interval '1 hour' WHERE id = %s", newest)
    assert found(acme, "invoice is:stuck") == [newest]


def test_a_page_is_shown_though_counting_takes_too_long(acme, monkeypatch):
    mine = send(acme.live)
    monkeypatch.setattr(pages._Search, "_all_counts", lambda self: self._rows("SELECT pg_sleep(9)", []))
    monkeypatch.setattr(pages, "BUDGET", "200ms")
    page, counts = searching.look(searching.Scope(acme.account.pk, True), searching.parse(""))
    assert ([message.id for message in page.messages], counts) == ([mine], None)


def test_a_search_over_its_budget_is_a_fault_that_says_what_to_do(acme, monkeypatch):
    monkeypatch.setattr(pages, "BUDGET", "1ms")
    monkeypatch.setattr(pages._Search, "newest", lambda self, *_: self._rows("SELECT pg_sleep(1)", []))
    with pytest.raises(searching.pages.ValidationFailed) as refused:
        found(acme, "bill")
    assert "after:" in refused.value.errors[0].message


def test_a_key_of_one_environment_does_not_search_the_other(api):
    answer = api.get("/v1/messages", {"q": "is:test"})
    assert (answer.status, answer.faults) == (422, {"q": "invalid_value"})
    assert api.get("/v1/messages", {"q": "is:live"}).status == 200


def test_a_wrong_word_is_a_fault_of_q(api):
    answer = api.get("/v1/messages", {"q": "stauts:bounced"})
    assert (answer.status, answer.faults) == (422, {"q": "unknown_field"})
    assert "Did you mean status:?" in answer.json["error"]["errors"][0]["message"]
