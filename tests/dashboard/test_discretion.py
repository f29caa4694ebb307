"""What every page keeps to itself: no cache holds it, no other site frames it or posts to it, and nothing huge is read."""

import io
import json
import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from sendarix.accounts.models import Role
from sendarix.dashboard import urls
from sendarix.dashboard.middleware import LARGEST
from tests.dashboard.test_roles import path_of

FORMS = [pattern for pattern in urls.account if "POST" in pattern.callback.view_class.actions]


@pytest.mark.parametrize("path", ["", "messages", "audit/table", "suppressions/export", "nothing-here"])
def test_no_cache_keeps_a_page(owner, path):
    answer = owner.get(path)
    assert "no-store" in answer["Cache-Control"]
    assert answer["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'self'" in answer["Content-Security-Policy"]


@pytest.mark.parametrize(
    "name", ["login", "password-reset", "logout", "theme", "language", "profile", "second-factor-off"]
)
def test_every_form_outside_of_accounts_wants_its_token(owner, name):
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = owner.client.cookies
    assert browser.post(reverse(name)).status_code == 403


@pytest.mark.parametrize("pattern", FORMS, ids=[pattern.name for pattern in FORMS])
def test_every_form_of_an_account_wants_its_token_from_htmx_too(owner, pattern):
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = owner.client.cookies
    for headers in ({}, {"HX-Request": "true"}):
        assert browser.post(path_of(pattern, "acme"), headers=headers).status_code == 403


@pytest.mark.parametrize(
    "path", ["/login", "/password/reset", "/u/token", "/app/acme/live/members", "/operator/platform"]
)
def test_what_is_too_large_is_not_read(owner, path):
    class Unread:
        def read(self, *size):
            raise AssertionError("it was read")

        readline = read

    answer = owner.client.post(path, **{"CONTENT_LENGTH": str(LARGEST + 1), "wsgi.input": Unread()})
    assert answer.status_code == 413


def test_a_table_to_take_in_may_be_larger(member):
    visitor, row = member(Role.SUPPORT), b"kim@hanbit.example,manual,%s\n" % (b"x" * 900)
    answer = visitor.client.post(
        visitor.url("suppression-imports"), {"file": io.BytesIO(row * 6_000), "reason": "manual"}
    )
    assert answer.status_code == 302


def test_cookies_are_for_https_only_where_we_are_reached_by_it():
    wanted = "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "CSRF_TRUSTED_ORIGINS"
    script = f"import json; from sendarix import settings; print(json.dumps([getattr(settings, n) for n in {wanted}]))"
    environment = os.environ | {"SENDARIX_PUBLIC_URL": "https://mail.example.com/"}
    told = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=settings.BASE_DIR, capture_output=True, check=True
    )
    assert json.loads(told.stdout) == [True, True, True, ["https://mail.example.com"]]
    assert not settings.SESSION_COOKIE_SECURE
