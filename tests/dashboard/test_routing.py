"""Routing on pages: routes, rules, policies and the simulator."""

import re
from datetime import UTC, datetime

import pytest

from messaging.models import Attempt, DeliveryPolicy, Event, PathHealth, Route, RuleSet
from messaging.routes import hits, registry
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Role
from tests.dashboard.visitors import Visitor

HOSTILE = "<script>alert(1)</script>\u202e"
COMMON = {"weight": "100", "connections": "20"}


def route(account, name, kind="inbox", given=None, **fields) -> Route:
    account_id = account.pk if account else None
    return registry.create(account_id, kind, {"name": name, **fields}, given or {}, Actor(account_id, "operator"))


def smarthost(owner: Visitor, **changes: str) -> dict[str, str]:
    fields = {"name": "Relay", "host": "192.0.2.1", "port": "587", "tls": "required", "username": "acme"}
    return {**COMMON, **fields, "password": "hush-hush", **changes}


class TestRoutes:
    def test_one_is_made_and_changed_and_its_password_never_shown(self, owner, settings):
        settings.ROUTE_ALLOW_PRIVATE = True
        page = owner.sent("routing/routes/new?kind=smtp", smarthost(owner))
        made = Route.objects.get()
        assert "192.0.2.1:587" in page
        assert "hush-hush" not in page
        owner.sent(f"routing/routes/{made.pk}", smarthost(owner, name="Relay 2", password="", per_day="500"))
        made.refresh_from_db()
        assert (made.name, made.per_day, made.secrets is not None) == ("Relay 2", 500, True)

    def test_who_changes_where_a_password_goes_says_it_again(self, owner, settings):
        settings.ROUTE_ALLOW_PRIVATE = True
        owner.sent("routing/routes/new?kind=smtp", smarthost(owner))
        made = Route.objects.get()
        answer = owner.post(f"routing/routes/{made.pk}", smarthost(owner, host="192.0.2.9", password=""))
        assert answer.status_code == 422
        assert "Say it again, because you change where it goes." in answer.content.decode()

    def test_faults_stand_at_their_fields(self, owner):
        answer = owner.post("routing/routes/new?kind=smtp", smarthost(owner, host="not a host"))
        assert answer.status_code == 422
        assert re.search(r'id="id_host-errors"><li>', answer.content.decode())
        warm = {**COMMON, "name": "Warm", "warmup_daily": "50, 100"}
        assert 'id="id_warmup_starts_on-errors"' in owner.post("routing/routes/new?kind=inbox", warm).content.decode()
        assert not Route.objects.exists()

    def test_health_breaker_and_today_are_shown(self, owner, acme):
        made = route(acme, HOSTILE, per_day=100)
        PathHealth.objects.create(
            route_id=made.pk, destination="naver", delivered=3, deferred=1, milliseconds=120, breaker="open",
            updated_at=made.created_at,
        )  # fmt: skip
        page = owner.page("routing")
        assert "75.0%" in page
        assert "25.0%" in page
        assert "breaker open" in page
        assert "0 / 100" in page
        assert "<script>alert" not in page
        assert "<script>alert" not in owner.page(f"routing/routes/{made.pk}")

    def test_one_is_disabled_and_removed(self, owner, acme):
        made = route(acme, "Primary")
        assert "disabled" in owner.sent(f"routing/routes/{made.pk}/switch", {"enabled": "no"})
        assert not Route.objects.get().enabled
        owner.sent(f"routing/routes/{made.pk}/remove")
        assert not Route.objects.exists()

    def test_a_check_tells_what_it_found(self, owner, acme):
        made = route(acme, "Primary")
        assert "Primary answers" in owner.sent(f"routing/routes/{made.pk}/check")

    def test_the_platform_s_is_shown_and_not_theirs_to_change(self, owner):
        made = route(None, "Everybody's")
        assert "Everybody&#x27;s" in owner.page(f"routing/routes/{made.pk}")
        for what in ("", "/switch", "/remove", "/check"):
            assert owner.post(f"routing/routes/{made.pk}{what}", COMMON).status_code == 404
        assert Route.objects.get().enabled

    def test_another_account_s_is_not_there(self, owner, globex):
        made = route(globex, "Theirs")
        assert owner.get(f"routing/routes/{made.pk}").status_code == 404
        assert "Theirs" not in owner.page("routing")


def tried(account, message_id, explanation) -> None:
    """A live message that was handed over."""
    now = datetime.now(UTC)
    Event.objects.create(
        message_id=message_id, account=account, livemode=True, type="delivered", sequence=3, at=now, transaction=1
    )
    Attempt.objects.create(
        message_id=message_id, number=1, route="Primary", explanation=explanation, verdict="delivered", phase="done",
        started_at=now, duration_ms=5,
    )  # fmt: skip


def rule(prefix, name, route_id="", **fields):
    plain = {"order": "", "name": name, "enabled": "on", "action": "routes", "route0": route_id, "route0_weight": "100"}
    return {f"{prefix}-{field}": value for field, value in {**plain, **fields}.items()}


class TestRules:
    def two(self, route_id) -> dict[str, object]:
        return {
            "rule": ["r0", "r1"],
            **rule("r0", "Codes", route_id, tiers="critical"),
            **rule("r1", "Rest", action="hold", reason="later", seconds="60"),
        }

    def test_rules_are_published_with_a_note_and_shown_with_their_hits(self, owner, acme):
        made = route(acme, "Primary")
        page = owner.sent(
            "routing/rules/edit", {**self.two(made.pk), "note": "both ways", "do": "publish", "base": "0"}
        )
        stored = RuleSet.objects.get()
        assert [one["name"] for one in stored.rules] == ["Codes", "Rest"]
        assert stored.rules[0]["when"] == {"tiers": ["critical"]}
        assert "Version 1 is in force." in page
        assert "both ways" in page

    def test_hits_are_tries_by_rule_of_the_account_s_newest_events(self, acme, globex):
        for account, rule_id, count in ((acme, "rul_a", 2), (acme, None, 1), (globex, "rul_b", 3)):
            for number in range(count):
                tried(account, f"msg_{account.slug}{rule_id}{number}", {"rule": rule_id} if rule_id else {})
        found = hits.of_account(acme.pk)
        assert (found.counts, found.whole) == ({"rul_a": 2, "": 1}, True)

    def test_a_button_moves_a_rule_and_keeps_what_was_typed(self, owner, acme):
        made = route(acme, "Primary")
        fields = {**self.two(made.pk), "do": "down:r0", "r0-name": HOSTILE}
        page = owner.post("routing/rules/edit", fields).content.decode()
        assert re.findall(r'name="rule" value="(\w+)"', page) == ["r1", "r0"]
        assert "<script>alert" not in page
        assert 'value="&lt;script' in page
        assert not RuleSet.objects.exists()

    def test_numbers_give_the_order(self, owner, acme):
        made = route(acme, "Primary")
        fields = {**self.two(made.pk), "r0-order": "9", "r1-order": "1", "do": "draft", "base": "0"}
        owner.sent("routing/rules/edit", fields)
        stored = RuleSet.objects.get()
        assert ([one["name"] for one in stored.rules], stored.published) == (["Rest", "Codes"], False)

    def test_faults_stand_at_the_rule_they_speak_of(self, owner, acme):
        fields = {**self.two(""), "do": "publish", "base": "0"}
        answer = owner.post("routing/rules/edit", fields)
        assert answer.status_code == 422
        assert "Must have at least 1 items." in answer.content.decode()
        assert not RuleSet.objects.exists()

    def test_a_draft_shows_what_it_changes_and_an_older_version_comes_back(self, owner, acme):
        made = route(acme, "Primary")
        owner.sent("routing/rules/edit", {**self.two(made.pk), "do": "publish", "base": "0"})
        kept = {**self.two(made.pk), "r0-id": RuleSet.objects.get().rules[0]["id"], "r0-name": "Codes first"}
        page = owner.sent("routing/rules/edit", {**kept, "do": "draft", "base": "1"})
        assert "What publishing it changes" in page
        assert "Codes first" in page
        assert "Version 2 is a draft" in owner.page("routing/rules")
        owner.sent("routing/rules/versions/2")
        owner.sent("routing/rules/versions/1")
        assert RuleSet.objects.get(published=True).version == 1

    def test_somebody_else_s_change_is_not_overwritten(self, owner, acme):
        made = route(acme, "Primary")
        for base in (0, 1):
            owner.sent("routing/rules/edit", {**self.two(made.pk), "do": "publish", "base": str(base)})
        answer = owner.post("routing/rules/edit", {**self.two(made.pk), "do": "publish", "base": "1"})
        assert (answer.status_code, RuleSet.objects.count()) == (422, 2)

    def test_nonsense_is_a_fault_and_no_more(self, owner):
        fields = {
            "rule": ["r0", "<b>", "x" * 5000],
            "r0-order": "9" * 30,
            "r0-name": "\x00",
            "do": "publish",
            "base": "9" * 40,
        }
        assert owner.post("routing/rules/edit", fields).status_code == 422
        assert owner.get("routing/rules/edit", version="99999").status_code == 404
        assert owner.get("routing/rules/versions", cursor="nonsense").status_code == 404


class TestPolicies:
    FIELDS = {
        "name": "Codes",
        "position": "10",
        "enabled": "on",
        "tiers": "critical",
        "retry_ladder": "10s, 1m",
        "ttl": "5m",
    }

    def test_one_is_made_changed_and_removed(self, owner):
        assert "1 min" in owner.sent("routing/policies/new", {**self.FIELDS, "per_minute": "600"})
        made = DeliveryPolicy.objects.get()
        assert (made.retry_ladder, made.ttl_seconds, made.when) == ([10, 60], 300, {"tiers": ["critical"]})
        assert 'value="10s, 1m"' in owner.page(f"routing/policies/{made.pk}")
        owner.sent(f"routing/policies/{made.pk}", {**self.FIELDS, "ttl": ""})
        made.refresh_from_db()
        assert (made.ttl_seconds, made.pacing, made.version) == (None, {}, 2)
        owner.sent(f"routing/policies/{made.pk}/remove")
        assert not DeliveryPolicy.objects.exists()

    def test_faults_stand_at_their_fields(self, owner):
        answer = owner.post("routing/policies/new", {**self.FIELDS, "retry_ladder": "soon", "ttl": "9999d"})
        assert answer.status_code == 422
        assert "id_retry_ladder-errors" in answer.content.decode()

    def test_another_account_s_is_not_there(self, owner, globex):
        foreign = DeliveryPolicy.objects.create(id="pol_theirs", account=globex, name="Theirs")
        assert owner.get(f"routing/policies/{foreign.pk}").status_code == 404
        assert owner.post(f"routing/policies/{foreign.pk}/remove").status_code == 404


class TestSimulator:
    def test_it_says_which_route_and_why(self, member, acme):
        route(acme, "Primary")
        route(acme, "Off", enabled=False)
        page = member(Role.READ_ONLY).page("routing/simulator", recipient="kim@naver.com", tier="critical")
        assert "It would leave by Primary." in page
        assert "disabled" in page
        assert "naver" in page

    def test_a_bad_question_is_told_at_its_field(self, owner):
        answer = owner.get("routing/simulator", recipient="nobody")
        assert answer.status_code == 422
        assert "id_recipient-errors" in answer.content.decode()
        unknown = owner.get("routing/simulator", message_id="msg_unknown").content.decode()
        assert "There is no such message here." in unknown


@pytest.mark.parametrize("path", ["routing", "routing/rules", "routing/policies"])
def test_who_may_only_look_finds_nothing_to_change(member, acme, path):
    route(acme, "Primary")
    page = member(Role.SUPPORT).page(path)
    assert "/new" not in page
    assert "/edit" not in page
    assert "/remove" not in page
