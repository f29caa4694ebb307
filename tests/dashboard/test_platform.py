"""The operators' pages: the platform, all accounts, and Django's admin."""

from datetime import UTC, datetime

import pytest
from django.conf import settings as installation
from django.test import Client
from django.urls import reverse
from django_otp.plugins.otp_totp.models import TOTPDevice

from analytics.dimensions import Dimension
from analytics.models import HourCount
from messaging.models import QueuePause, Route
from messaging.routes import registry
from sendarix.accounts import audit, request_log
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import AuditEntry, Role
from sendarix.core import ids
from tests import builders

HOSTILE = "<script>alert(1)</script>\u202e"
ADMIN = f"/{installation.ADMIN_PATH}/"
PATHS = ("/operator/", "/operator/platform", "/operator/accounts/acme", "/operator/platform/routes/rte_1", ADMIN)


def page(visitor, path, **query) -> str:
    answer = visitor.client.get(path, query)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.content.decode()


def sent(visitor, path, fields=None) -> str:
    answer = visitor.client.post(path, fields or {}, follow=True)
    assert (answer.status_code, bool(answer.redirect_chain)) == (200, True), answer.content.decode()[:3000]
    return answer.content.decode()


@pytest.mark.parametrize("path", PATHS)
def test_who_is_no_operator_finds_nothing_there(owner, path):
    for answer in (owner.client.get(path, follow=True), owner.client.post(path, follow=True)):
        assert answer.status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_an_operator_with_a_second_factor_gives_it_first(operator, path):
    TOTPDevice.objects.create(user=operator.user, confirmed=True)
    answer = operator.client.get(path, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/second-factor?")


def test_outside_development_an_operator_sets_one_up(operator, settings):
    settings.DEVELOPMENT = False
    for path in ("/operator/platform", ADMIN):
        assert operator.client.get(path, follow=True).redirect_chain[-1][0] == "/second-factor/setup"


class TestPlatform:
    def test_it_shows_who_works_what_waits_and_how_large_it_is(self, operator, acme):
        request_log.write([
            request_log.Entry(
                ids.new("req"), datetime.now(UTC), acme.pk, True, "key_1", "POST", "v1/messages", f"/v1/{HOSTILE}", 500,
                "internal_error", (), 9.0, None,
            )
        ])  # fmt: skip
        shown = page(operator, "/operator/platform")
        for words in ("Queue by tier", "No worker beats", "With indexes", "&lt;script&gt;"):
            assert words in shown
        assert "<script>alert" not in shown
        part = operator.client.get("/operator/platform", headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in part

    def test_mail_is_paused_for_everybody_and_resumed(self, operator):
        sent(operator, "/operator/platform", {"destination": "naver", "reason": "They are down", "lasts": "900"})
        made = QueuePause.objects.get()
        assert (made.account_id, made.actor) == (None, "operator:operator@sendarix.example")
        assert "Resumed" in sent(operator, f"/operator/platform/pauses/{made.pk}/resume")
        assert operator.client.post("/operator/platform/pauses/pse_none/resume").status_code == 404
        assert operator.client.post("/operator/platform", {"reason": "why"}).status_code == 422

    def test_its_routes_are_shown_called_and_changed(self, operator, acme):
        made = registry.create(None, "inbox", {"name": HOSTILE}, {}, Actor(None, "operator"))
        path = f"/operator/platform/routes/{made.pk}"
        assert "<script>alert" not in page(operator, "/operator/platform") + page(operator, path)
        assert "answers" in sent(operator, path, {"do": "check"})
        sent(operator, path, {"do": "disable"})
        assert not Route.objects.get().enabled
        sent(operator, path, {"name": "Ours", "weight": "5", "connections": "20"})
        assert Route.objects.get().name == "Ours"
        own = registry.create(acme.pk, "inbox", {"name": "Acme's"}, {}, Actor(acme.pk, "operator"))
        assert operator.client.get(f"/operator/platform/routes/{own.pk}").status_code == 404


class TestAccounts:
    def test_they_are_found_with_the_figures_of_a_day(self, operator, acme, globex):
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        HourCount.objects.create(
            account=acme, livemode=True, dimension=Dimension.TIER, at=now, value="normal", received=1234, delivered=90,
            bounced_hard=10,
        )  # fmt: skip
        shown = page(operator, "/operator/", q="acm")
        assert "1,234" in shown
        assert "10.0%" in shown
        assert "Globex" not in shown
        builders.member(globex, Role.SUPPORT, "kim@hanbit.example")
        assert "Globex" in page(operator, "/operator/", q="kim@hanbit")
        assert "No account matches." in page(operator, "/operator/", q="\x00%_")

    def test_plan_and_limits_are_changed_with_an_entry(self, operator, acme):
        fields = {
            "name": "Acme", "plan": "enterprise", "rate_limit": "", "sender_policy": "verified", "timezone": "UTC",
            "default_sender": "", "redact_after": "1d", "keep_bodies": "30", "keep_messages": "90", "keep_requests": "7",
        }  # fmt: skip
        assert "The account is changed." in sent(operator, "/operator/accounts/acme", fields)
        acme.refresh_from_db()
        assert (acme.plan, acme.rate_limit) == ("enterprise", None)
        entry = audit.entries(acme.pk).get(action="account.updated")
        assert (entry.actor, entry.after["plan"]) == ("operator:operator@sendarix.example", "enterprise")
        assert operator.client.post("/operator/accounts/acme", fields | {"plan": "free"}).status_code == 422


class TestAdmin:
    def test_records_are_read_and_no_digest_is_among_them(self, operator, acme):
        builders.api_key(acme)
        key = acme.api_keys.get()
        builders.member(acme, Role.OWNER)
        assert key.id in page(operator, f"{ADMIN}accounts/apikey/")
        assert key.digest not in page(operator, f"{ADMIN}accounts/apikey/{key.id}/change/")
        for model in ("account", "user", "membership", "auditentry"):
            page(operator, f"{ADMIN}accounts/{model}/")
        assert operator.client.get(f"{ADMIN}accounts/account/add/").status_code == 403
        assert operator.client.post(f"{ADMIN}accounts/account/{acme.pk}/change/", {"name": "x"}).status_code == 403
        assert operator.client.post(f"{ADMIN}accounts/account/{acme.pk}/delete/").status_code == 403

    def test_what_no_page_shows_is_not_to_be_guessed_by_filters(self, operator, acme):
        builders.api_key(acme)
        kim = builders.member(acme, Role.OWNER, "kim@hanbit.example")
        digest = acme.api_keys.get().digest
        for guess in (
            f"user/?password__startswith={kim.password[:4]}",
            f"apikey/?digest__startswith={digest[:4]}",
            f"apikey/?digest={digest}",
            "membership/?user__password__startswith=p",
        ):
            assert operator.client.get(f"{ADMIN}accounts/{guess}").status_code == 400, guess
        assert kim.email in page(operator, f"{ADMIN}accounts/user/", is_active__exact="1", q="kim", o="1")
        assert kim.email in page(operator, f"{ADMIN}accounts/membership/", role__exact=Role.OWNER)
        assert acme.slug in page(operator, f"{ADMIN}accounts/account/", plan__exact=acme.plan)

    def test_its_records_have_names_in_both_languages(self, operator):
        shown = page(operator, ADMIN)
        for name in ("Accounts", "People", "Memberships", "API keys", "Audit entries"):
            assert f">{name}</a>" in shown
        assert "Audit entrys" not in shown
        korean = operator.client.get(ADMIN, headers={"Accept-Language": "ko"}).content.decode()
        for name in ("계정", "사용자", "소속", "API 키", "감사 기록"):
            assert f">{name}</a>" in korean

    def test_a_person_is_locked_out_and_the_log_says_so(self, operator, acme):
        kim = builders.member(acme, Role.OWNER, "kim@hanbit.example")
        browser = Client()
        browser.force_login(kim)
        operator.client.post(f"{ADMIN}accounts/user/{kim.pk}/change/", {"_save": "Save"})
        kim.refresh_from_db()
        assert not kim.is_active
        entry = AuditEntry.objects.get(action="user.locked")
        assert (entry.actor, entry.subject) == ("operator:operator@sendarix.example", "kim@hanbit.example")
        assert browser.get("/app/acme/live/").status_code == 302

    @pytest.mark.parametrize(
        "asked",
        ["user/?password__startswith=pbkdf2", "user/?password__regex=^p", "apikey/?digest__startswith=a"],
    )
    def test_no_secret_is_told_letter_by_letter(self, operator, acme, asked):
        assert operator.client.get(f"{ADMIN}accounts/{asked}").status_code == 400
        assert "operator@sendarix.example" in page(operator, f"{ADMIN}accounts/user/?is_staff__exact=1")

    def test_it_needs_no_inline_script_or_style(self, operator, acme):
        for path in (ADMIN, f"{ADMIN}accounts/account/", f"{ADMIN}accounts/account/{acme.pk}/change/"):
            shown = page(operator, path)
            assert "<style" not in shown
            assert " style=" not in shown
            assert "onclick=" not in shown
        assert reverse("admin:index") == ADMIN
