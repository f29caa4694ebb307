"""Which route a message takes, and why: decisions over a snapshot, and how they explain themselves."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from messaging.delivery import routing, ways
from messaging.delivery.routebook import cap_of
from messaging.delivery.routing import Choice
from messaging.delivery.ways import (
    EVERYWHERE,
    Action,
    Conditions,
    Facts,
    Kind,
    Path,
    Pause,
    Policy,
    Route,
    Rule,
    RuleBook,
    Snapshot,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON = NOW + timedelta(seconds=25)
ACME, GLOBEX = 1, 2
CRITICAL, HIGH, NORMAL, LOW = range(4)

SMARTHOST = Route("default", "default", Kind.SMTP)
KIM = Facts(ACME, True, NORMAL, "hanbit.example")


def smtp(name: str, **fields) -> Route:
    return Route(name, name, Kind.SMTP, **fields)


def book(*routes: Route, rules: Iterable[Rule] = (), owner: int | None = None, **fields) -> Snapshot:
    """These routes, each of its owner, and rules of the platform or of `owner`."""
    owners = {route.account_id for route in routes}
    return Snapshot(
        default=SMARTHOST,
        routes={route.id: route for route in routes},
        routes_of={one: tuple(route for route in routes if route.account_id == one) for one in owners},
        rules={owner: RuleBook(7, tuple(rules))} if rules else {},
        **fields,
    )


def rule(*candidates: str, when: Conditions | None = None, fallback: Iterable[str] = (), **fields) -> Rule:
    """Routes by name, each of weight 100."""
    taken, spare = (tuple((name, 100) for name in names) for names in (candidates, fallback))
    return Rule("rul_1", "first", when or Conditions(), fields.pop("action", Action.ROUTE), taken, spare, **fields)


def choose(snapshot: Snapshot, facts: Facts = KIM, seed: int = 1, **options) -> Choice:
    return routing.choose(snapshot, facts, NOW, Random(seed), **options)


def taken(snapshot: Snapshot, facts: Facts = KIM, **options) -> str | None:
    route = choose(snapshot, facts, **options).route
    return route.name if route else None


def shares(snapshot: Snapshot, facts: Facts = KIM, **options) -> dict[str, float]:
    """How 2,000 messages are spread."""
    rng = Random(4)
    counts = Counter(routing.choose(snapshot, facts, NOW, rng, **options).route.name for _ in range(2000))
    return {name: count / 2000 for name, count in counts.items()}


# without rules


def test_without_routes_the_default_one_carries_everything():
    assert taken(book()) == "default"


def test_an_account_with_routes_of_its_own_uses_no_other():
    routes = smtp("acmes", account_id=ACME), smtp("platforms")
    assert (taken(book(*routes)), taken(book(*routes), replace(KIM, account_id=GLOBEX))) == ("acmes", "platforms")


def test_routes_share_by_weight():
    seen = shares(book(smtp("large", weight=300), smtp("small", weight=100)))
    assert seen == {"large": pytest.approx(0.75, abs=0.03), "small": pytest.approx(0.25, abs=0.03)}


def test_the_less_loaded_route_gets_more():
    assert shares(book(smtp("busy"), smtp("idle")), load={"busy": 300})["idle"] == pytest.approx(0.8, abs=0.03)


def test_a_route_that_often_fails_gets_less():
    paths = {("poor", "hanbit.example"): Path(success=0.25)}
    assert shares(book(smtp("poor"), smtp("well"), paths=paths))["well"] == pytest.approx(0.8, abs=0.03)
    assert shares(book(smtp("poor"), smtp("well"), paths=paths), replace(KIM, domain="daesan.example"))[
        "well"
    ] == pytest.approx(0.5, abs=0.03)


def test_bounces_and_complaints_cost_reputation():
    assert ways.reputation(980, 0, 0) == 1.0
    assert ways.reputation(931, 49, 0) == pytest.approx(0.75, abs=0.01)
    assert ways.reputation(980, 0, 3) == pytest.approx(0.67, abs=0.01)
    assert ways.reputation(0, 500, 500) == pytest.approx(0.0025)


# rules


def test_the_first_rule_that_holds_decides():
    gmail = rule("one", when=Conditions(providers=frozenset({"gmail"})))
    rest = replace(rule("two"), id="rul_2", name="rest")
    snapshot = book(smtp("one"), smtp("two"), rules=[gmail, rest])
    choice = choose(snapshot)
    assert (choice.explanation["rule"], choice.explanation["rules_version"], choice.route.name) == ("rul_2", 7, "two")
    assert taken(snapshot, replace(KIM, domain="startup.example", provider="gmail")) == "one"


@pytest.mark.parametrize(
    ("condition", "facts"),
    [
        ({"domains": {"hanbit.example"}}, {"domain": "hanbit.example"}),
        ({"providers": {"naver"}}, {"provider": "naver"}),
        ({"destinations": {"naver"}}, {"provider": "naver"}),
        ({"destinations": {"company.example"}}, {"domain": "company.example", "provider": "naver"}),
        ({"tiers": {CRITICAL, HIGH}}, {"tier": HIGH}),
        ({"templates": {"otp-code"}}, {"template": "otp-code"}),
        ({"tags": {"receipt"}}, {"tags": ("shop", "receipt")}),
        ({"sender_domains": {"news.acme.example"}}, {"sender_domain": "news.acme.example"}),
        ({"keys": {"key_1"}}, {"key_id": "key_1"}),
    ],
)
def test_each_condition_holds_for_its_own_and_for_nothing_else(condition, facts):
    when = Conditions(**{name: frozenset(values) for name, values in condition.items()})
    assert when.hold(replace(KIM, **facts))
    assert not when.hold(replace(KIM, domain="other.example"))


def test_sizes_hold_between_their_limits():
    when = Conditions(larger_than=1000, smaller_than=2000)
    assert [when.hold(replace(KIM, size=size)) for size in (1000, 1001, 1999, 2000)] == [False, True, True, False]


def test_all_conditions_of_a_rule_must_hold():
    when = Conditions(tags=frozenset({"receipt"}), tiers=frozenset({LOW}))
    assert not when.hold(replace(KIM, tags=("receipt",)))
    assert when.hold(replace(KIM, tags=("receipt",), tier=LOW))


def test_a_companys_rules_come_before_those_of_the_platform():
    snapshot = book(smtp("own", account_id=ACME), smtp("shared"), rules=[rule("own")], owner=ACME)
    snapshot = replace(snapshot, rules={**snapshot.rules, None: RuleBook(3, (rule("shared"),))})
    assert (taken(snapshot), taken(snapshot, replace(KIM, account_id=GLOBEX))) == ("own", "shared")


def test_another_companys_route_is_none():
    snapshot = book(smtp("globexs", account_id=GLOBEX), rules=[rule("globexs")], owner=ACME)
    choice = choose(snapshot)
    assert choice.action is Action.HOLD
    assert (
        choice.explanation["candidates"][0] | {"barred": "there is no such route"}
        == choice.explanation["candidates"][0]
    )


def test_a_fallback_is_asked_only_when_no_candidate_may_carry_it():
    named = rule("first", fallback=["spare"])
    assert taken(book(smtp("first"), smtp("spare"), rules=[named])) == "first"
    choice = choose(book(smtp("first", enabled=False), smtp("spare"), rules=[named]))
    assert (choice.route.name, choice.reason) == ("spare", "rule first: the fallback, its only route")


def test_a_rule_holds_or_rejects_with_its_reason():
    held = choose(book(rules=[rule(action=Action.HOLD, reason="until Monday", hold=timedelta(hours=1))]))
    assert (held.action, held.reason, held.until) == (Action.HOLD, "rule first: until Monday", NOW + timedelta(hours=1))
    rejected = choose(book(rules=[rule(action=Action.REJECT, reason="no mail there")]))
    assert (rejected.action, rejected.reason) == (Action.REJECT, "no mail there")


def test_a_test_key_never_meets_a_route():
    snapshot = book(
        smtp("real"), rules=[rule("real")], pauses={None: (Pause("p", None, None, None, None, "all", None),)}
    )
    assert choose(snapshot, replace(KIM, livemode=False)).route is ways.SANDBOX


# bars


def barred(route: Route, facts: Facts = KIM, **fields) -> str:
    """Why this single route may not carry the message."""
    choice = choose(book(route, **fields), facts)
    assert choice.action is Action.HOLD
    return choice.explanation["candidates"][0]["barred"]


def test_a_route_is_barred_with_its_reason():
    assert barred(smtp("r", enabled=False)) == "disabled"
    assert barred(smtp("r", tiers=frozenset({CRITICAL}))) == "does not carry this tier"
    assert barred(smtp("r", per_day=50), used_today={"r": 50}) == "over today's cap"
    assert barred(smtp("r", per_day=50, warming=True), used_today={"r": 50}) == "over today's warm-up cap"


def test_what_is_over_its_cap_is_looked_at_again_tomorrow():
    choice = choose(book(smtp("r", per_day=50), used_today={"r": 50}))
    assert choice.until == datetime(2026, 3, 2, tzinfo=UTC)
    assert "(r: over today's cap)" in choice.reason


@pytest.mark.parametrize(
    ("today", "cap"),
    [(date(2026, 2, 28), 0), (date(2026, 3, 1), 50), (date(2026, 3, 2), 100), (date(2026, 3, 3), 500)],
)
def test_a_warm_up_caps_each_day_as_planned_and_then_ends(today, cap):
    assert cap_of(500, {"starts_on": "2026-03-01", "daily": [50, 100]}, today) == cap


def test_a_warm_up_never_raises_a_routes_own_cap():
    assert cap_of(80, {"starts_on": "2026-03-01", "daily": [50, 100]}, date(2026, 3, 2)) == 80
    assert cap_of(None, None, date(2026, 3, 2)) is None


# pauses


@pytest.mark.parametrize(
    ("pause", "holds"),
    [
        ({}, True),
        ({"account_id": GLOBEX}, False),
        ({"tier": NORMAL}, True),
        ({"tier": CRITICAL}, False),
        ({"destination": "hanbit.example"}, True),
        ({"destination": "gmail"}, False),
    ],
)
def test_a_pause_holds_what_it_names(pause, holds):
    fields = {"account_id": None, "tier": None, "destination": None, "route_id": None} | pause
    one = Pause("pau_1", reason="moving house", until=SOON, **fields)
    choice = choose(book(pauses={one.account_id: (one,)}))
    assert (choice.action is Action.HOLD) == holds
    if holds:
        assert (choice.reason, choice.until) == ("paused: moving house", SOON)


def test_a_paused_route_leaves_its_mail_to_the_others():
    pause = Pause("pau_1", None, None, None, "one", "being mended", None)
    choice = choose(book(smtp("one"), smtp("two"), pauses={None: (pause,)}))
    assert (choice.route.name, choice.reason) == ("two", "no routing rule applies: the only usable route")


# breakers

OPEN = Path(closed_until=SOON)
HALF_OPEN = Path(probing=True)
KEY = ("one", "hanbit.example")


def test_an_open_path_leaves_its_mail_to_the_next_candidate():
    snapshot = book(smtp("one"), smtp("two"), rules=[rule("one", fallback=["two"])], paths={KEY: OPEN})
    choice = choose(snapshot)
    assert choice.route.name == "two"
    assert choice.explanation["candidates"][0]["barred"] == "breaker open until 2026-03-01T12:00:25.000Z"


def test_an_open_path_without_another_holds_its_mail_until_its_rest_is_over():
    choice = choose(book(smtp("one"), paths={KEY: OPEN}))
    assert (choice.action, choice.until, choice.resting) == (Action.HOLD, SOON, True)
    assert choice.reason.endswith("(one: breaker open until 2026-03-01T12:00:25.000Z)")


def test_an_open_path_of_the_default_route_holds_its_own_mail_only():
    snapshot = book(paths={("default", "hanbit.example"): OPEN})
    assert (taken(snapshot), taken(snapshot, replace(KIM, domain="daesan.example"))) == (None, "default")


def test_a_route_that_is_open_as_a_whole_carries_nothing():
    assert taken(book(smtp("one"), smtp("two"), paths={("one", EVERYWHERE): OPEN})) == "two"


def test_a_half_open_path_takes_a_probe_first_and_nothing_when_its_probes_are_out():
    snapshot = book(smtp("one"), smtp("two"), paths={KEY: HALF_OPEN})
    choice = choose(snapshot, probes={KEY: 1})
    assert (choice.route.name, choice.probes) == ("one", (KEY,))
    assert choice.reason == "no routing rule applies: a probe of its half-open path"
    assert taken(snapshot, probes={KEY: 0}) == "two"


def test_with_its_probes_out_a_half_open_path_keeps_its_mail_waiting_a_moment():
    choice = choose(book(smtp("one"), paths={KEY: HALF_OPEN}), probes={KEY: 0})
    assert (choice.until, choice.resting) == (NOW + routing.PROBES_OUT, True)
    assert choice.reason.endswith("(one: half open, its probes are under way)")


def test_a_path_whose_rest_is_over_is_probed_as_well():
    assert choose(book(smtp("one"), paths={KEY: Path(closed_until=NOW)}), probes={KEY: 2}).probes == (KEY,)


def test_critical_mail_seldom_probes_while_another_route_can_carry_it():
    snapshot = book(smtp("one"), smtp("two"), rules=[rule("one", fallback=["two"])], paths={KEY: HALF_OPEN})
    urgent = replace(KIM, tier=CRITICAL)
    assert 0 < shares(snapshot, urgent, probes={KEY: 1})["one"] < 0.15
    assert choose(book(smtp("one"), paths={KEY: HALF_OPEN}), urgent, probes={KEY: 1}).probes == (KEY,)


def test_an_impatient_message_is_held_back_by_no_breaker():
    for path in (OPEN, HALF_OPEN):
        choice = choose(book(smtp("one"), paths={KEY: path}), probes={}, impatient=True)
        assert (choice.route.name, choice.probes) == ("one", ())


def test_who_asked_to_be_left_alone_gets_only_more_urgent_mail():
    snapshot = book(smtp("one"), paths={KEY: Path(wait_until=SOON, wait_tier=NORMAL)})
    assert [taken(snapshot, replace(KIM, tier=tier)) for tier in range(4)] == ["one", "one", None, None]
    assert "asked to be left alone until 2026-03-01T12:00:25.000Z" in choose(snapshot).reason


# policies


def test_the_first_policy_that_holds_applies_and_the_companys_come_first():
    receipts = Policy("pol_1", "receipts", 3, Conditions(tags=frozenset({"receipt"})))
    ours, theirs = Policy("pol_2", "ours", 1, Conditions()), Policy("pol_3", "theirs", 1, Conditions())
    snapshot = book(policies={None: (theirs,), ACME: (receipts, ours)})
    assert routing.policy_of(snapshot, replace(KIM, tags=("receipt",))) is receipts
    assert routing.policy_of(snapshot, KIM) is ours
    assert routing.policy_of(snapshot, replace(KIM, account_id=GLOBEX)) is theirs
    assert routing.policy_of(book(), KIM) is ways.DEFAULT_POLICY


# explanation


def test_a_decision_tells_every_candidate_with_its_score_and_share():
    paths = {("one", "hanbit.example"): Path(success=0.5)}
    told = choose(book(smtp("one"), smtp("two"), smtp("off", enabled=False), paths=paths)).explanation
    assert {one["route"]: (one["score"], one["share"], one["barred"]) for one in told["candidates"]} == {
        "one": (50.0, 0.333, None),
        "two": (100.0, 0.667, None),
        "off": (0.0, 0.0, "disabled"),
    }
    assert told["candidates"][0]["success"] == 0.5
    assert (told["policy"], told["policy_version"]) == ("default", 1)
    assert told["why"].startswith("no routing rule applies: one of 2 usable routes, with a share of ")
