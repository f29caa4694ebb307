"""POST /v1/routing/simulate says beforehand what delivery then does, on the same grounds."""

from collections.abc import Iterator

import pytest

from messaging.models import Event, Message, QueuePause
from tests.delivery.smtp_sink import SmtpSink
from tests.world import attempts, drain, forget_routes, from_now, message, send, sql, story


@pytest.fixture(autouse=True)
def _fresh():
    forget_routes()
    yield
    forget_routes()


@pytest.fixture
def servers() -> Iterator[list[SmtpSink]]:
    with SmtpSink() as north, SmtpSink() as south:
        yield [north, south]


@pytest.fixture
def routes(api, servers) -> list[str]:
    """A route of Acme's to each server, north and south."""
    return [add_route(api, name, server.port) for name, server in zip(("north", "south"), servers, strict=True)]


def add_route(api, name: str, port: int, **fields) -> str:
    options = {"host": "127.0.0.1", "port": port, "tls": "none"}
    answer = api.post("/v1/routes", {"name": name, "kind": "smtp", "options": options, **fields})
    assert answer.status == 201, answer.json
    return answer.json["id"]


def rules(api, *given) -> list[str]:
    answer = api.put("/v1/routing-rules", {"rules": list(given)})
    assert answer.status == 200, answer.json
    return [rule["id"] for rule in answer.json["rules"]]


def simulate(api, **asked):
    answer = api.post("/v1/routing/simulate", asked)
    assert answer.status == 200, answer.json
    return answer.json


def explanation(api, message_id: str):
    return attempts(api, message_id)[-1]["explanation"]


def test_gmail_goes_by_one_route_and_the_rest_is_shared_as_foretold(api, servers, routes):
    north, south = routes
    by_weight = [{"route": north, "weight": 1}, {"route": south, "weight": 3}]
    gmail, rest = rules(
        api,
        {"name": "gmail", "when": {"providers": ["gmail"]}, "then": {"routes": [{"route": north}]}},
        {"name": "rest", "then": {"routes": by_weight}},
    )
    to_gmail, to_others = send(api, recipient="kim@gmail.com"), [send(api) for _ in range(40)]
    foretold = simulate(api, message_id=to_gmail), simulate(api, message_id=to_others[0])
    drain()
    assert explanation(api, to_gmail) == foretold[0]["explanation"]
    assert (foretold[0]["explanation"]["rule"], foretold[0]["route"]["name"]) == (gmail, "north")
    seen = [explanation(api, one) for one in to_others]
    shares = [(one["name"], one["share"]) for one in foretold[1]["explanation"]["candidates"]]
    assert ([one["rule"] for one in seen], shares) == ([rest] * 40, [("north", 0.25), ("south", 0.75)])
    assert all(one["candidates"] == foretold[1]["explanation"]["candidates"] for one in seen[:1])
    assert {recipient for mail in servers[0].transactions for recipient in mail.recipients} >= {"kim@gmail.com"}
    assert 15 <= len(servers[1].transactions) <= 39


def test_the_fallback_is_taken_while_a_route_is_disabled(api, servers, routes):
    north, south = routes
    rules(api, {"name": "all", "then": {"routes": [{"route": north}], "fallback": [{"route": south}]}})
    api.patch(f"/v1/routes/{north}", {"enabled": False})
    message_id = send(api)
    foretold = simulate(api, message_id=message_id)
    drain()
    assert explanation(api, message_id) == foretold["explanation"]
    assert [(one["name"], one["barred"]) for one in foretold["explanation"]["candidates"]] == [
        ("north", "disabled"),
        ("south", None),
    ]
    assert (len(servers[0].transactions), len(servers[1].transactions)) == (0, 1)


def test_a_rule_that_rejects_makes_a_dead_letter(api):
    rules(api, {"name": "no news", "when": {"tags": ["news"]}, "then": {"reject": {"reason": "season is over"}}})
    message_id = send(api, tags=["news"])
    foretold = simulate(api, message_id=message_id)
    drain()
    found = message(api, message_id)
    assert (found["status"], found["reason"], foretold["action"]) == ("bounced", "policy", "reject")
    assert found["events"][-1]["data"]["detail"] == foretold["why"] == "rule no news: season is over"
    (letter,) = api.get("/v1/dead-letters").json["data"]
    assert (letter["cause"], letter["message"]["message_id"]) == ("policy", message_id)
    assert story(api, message_id) == ["queued", "accepted", "bounced"]


def test_a_rule_that_holds_says_so_on_the_message(api):
    rules(api, {"name": "quiet", "then": {"hold": {"reason": "the list is being cleaned", "seconds": 30}}})
    message_id = send(api)
    foretold = simulate(api, message_id=message_id)
    drain()
    waiting = message(api, message_id)["waiting"]
    assert (foretold["action"], foretold["until"] is not None) == ("hold", True)
    assert (waiting["for"], waiting["why"]) == ("paused", foretold["why"])


def test_it_tells_why_each_rule_before_did_not_hold(api, routes):
    ways = {"routes": [{"route": routes[0]}]}
    rules(
        api,
        {"name": "naver", "when": {"providers": ["naver"], "tiers": ["low"]}, "then": ways},
        {"name": "off", "enabled": False, "then": {"reject": {"reason": "x"}}},
        {"name": "large", "when": {"larger_than": 1000, "tags": ["report"]}, "then": ways},
        {"name": "all", "then": ways},
        {"name": "never asked", "then": ways},
    )
    looked_at = simulate(api, recipient="kim@gmail.com", size=10)["rules"]
    assert [(rule["name"], rule["matched"]) for rule in looked_at] == [
        ("naver", False),
        ("large", False),
        ("all", True),
    ]
    assert "providers: gmail" in looked_at[0]["why"]
    assert "tiers: normal" in looked_at[0]["why"]
    assert "larger_than: 10 octets" in looked_at[1]["why"]


CONDITIONS = [
    {"domains": ["gmail.com"]}, {"domains": ["naver.com"]}, {"providers": ["gmail"]}, {"providers": ["naver"]},
    {"mail_hosts": ["google.com"]}, {"mail_hosts": ["oogle.com"]},
    {"tiers": ["high"]}, {"tiers": ["low"]}, {"templates": ["otp"]}, {"templates": ["news"]}, {"tags": ["a", "z"]},
    {"tags": ["z"]}, {"sender_domains": ["acme.example"]}, {"sender_domains": ["other.example"]},
    {"larger_than": 99}, {"larger_than": 100}, {"smaller_than": 101}, {"smaller_than": 100},
]  # fmt: skip


@pytest.mark.parametrize("when", CONDITIONS)
def test_a_rule_is_said_to_hold_exactly_when_it_decides(api, when):
    rules(api, {"name": "it", "when": when, "then": {"reject": {"reason": "x"}}})
    found = simulate(
        api,
        recipient="kim@gmail.com",
        priority="high",
        template="otp",
        tags=["a", "b"],
        size=100,
        **{"from": "a@acme.example"},
    )
    assert [rule["matched"] for rule in found["rules"]] == [found["action"] == "reject"]


def test_the_same_question_has_the_same_answer_and_leaves_nothing(api, routes):
    asked = {"recipient": "kim@hanbit.example", "tags": ["news"]}
    first, *others = (simulate(api, **asked) for _ in range(5))
    assert all(other == first for other in others)
    assert (Message.objects.count(), Event.objects.count()) == (0, 0)


def test_limits_are_told_with_what_is_left(api, servers):
    route = add_route(api, "north", servers[0].port, per_day=5, per_minute=30)
    api.post("/v1/delivery-policies", {"name": "slow", "pacing": {"per_minute": 50}})
    for _ in range(2):
        send(api)
    drain()
    limits = simulate(api, recipient="kim@hanbit.example")["pacing"]
    assert [(one["route"], one["seconds"], one["limit"]) for one in limits] == [
        (route, 60, 30),
        (route, 60, 50),
        (route, 86400, 5),
    ]
    assert (limits[2]["used"], limits[2]["left"]) == (2, 3)


def test_a_route_over_its_cap_is_barred_and_the_mail_waits(api, servers):
    add_route(api, "north", servers[0].port, warmup={"starts_on": from_now()[:10], "daily": [1]})
    send(api)
    drain()
    sql("UPDATE messages SET due_at = NULL")
    forget_routes()
    found = simulate(api, recipient="kim@hanbit.example")
    (candidate,) = found["explanation"]["candidates"]
    assert (found["action"], candidate["barred"], found["route"]) == ("hold", "over today's warm-up cap", None)


def test_a_weight_of_0_bars_a_route(api, routes):
    ways = [{"route": routes[0], "weight": 0}, {"route": routes[1]}]
    rules(api, {"name": "all", "then": {"routes": ways}})
    found = simulate(api, recipient="kim@hanbit.example")
    barred = [candidate["barred"] for candidate in found["explanation"]["candidates"]]
    assert (barred, found["route"]["name"]) == (["its weight is 0", None], "south")


def test_a_pause_comes_before_the_rules(acme):
    rules(acme.live, {"name": "no", "then": {"reject": {"reason": "x"}}})
    QueuePause.objects.create(id="pau_1", account=acme.account, reason="moving house", actor="key_x")
    forget_routes()
    found = simulate(acme.live, recipient="kim@hanbit.example")
    assert (found["action"], found["why"], found["rules"]) == ("hold", "paused: moving house", [])


def test_a_test_key_goes_to_the_sandbox_unless_it_asks_about_live_mail(acme, routes):
    asked = {"recipient": "kim@hanbit.example"}
    assert simulate(acme.test, **asked)["route"]["kind"] == "sandbox"
    assert simulate(acme.test, livemode=True, **asked)["route"]["kind"] == "smtp"


def test_a_provider_may_be_supposed(api, routes):
    rules(api, {"name": "gmail", "when": {"providers": ["gmail"]}, "then": {"reject": {"reason": "x"}}})
    assert simulate(api, recipient="kim@hanbit.example")["action"] == "route"
    assert simulate(api, recipient="kim@hanbit.example", provider="gmail")["action"] == "reject"


@pytest.mark.parametrize("asked", [{}, {"recipient": "a@b.example", "message_id": "msg_1"}])
def test_it_asks_about_one_message(api, asked):
    assert api.post("/v1/routing/simulate", asked).status == 422


def test_another_customers_message_is_404(acme, globex):
    theirs = send(globex.live)
    assert acme.live.post("/v1/routing/simulate", {"message_id": theirs}).code == "not_found"
