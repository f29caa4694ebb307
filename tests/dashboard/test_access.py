"""Getting in: password, second factor, reset and invitation, as a browser does it."""

import re
import time

import pytest
from django.conf import global_settings, settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from messaging.models import MessageContent
from sendarix.accounts import members
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Role, User
from tests import builders

PASSWORD = "correct horse battery"


@pytest.fixture
def kim(acme) -> User:
    person = builders.member(acme, Role.SUPPORT, "kim@hanbit.example")
    person.set_password(PASSWORD)
    person.save()
    return person


def log_in(client: Client, password: str = PASSWORD, **more: str):
    return client.post("/login", {"username": "Kim@Hanbit.example", "password": password, **more})


def code(person: User, ahead: float = 0) -> str:
    """What the app on the person's phone shows, `ahead` seconds from now."""
    clock = TOTP(TOTPDevice.objects.get(user=person).bin_key)
    clock.time = time.time() + ahead
    return f"{clock.token():06d}"


def set_up(client: Client, person: User) -> list[str]:
    """The recovery codes of a second factor set up just now."""
    client.get("/second-factor/setup")
    page = client.post("/second-factor/setup", {"token": code(person)}).content.decode()
    return re.search(r'<pre id="codes">(.*?)</pre>', page, re.DOTALL)[1].split()


def after_a_while() -> None:
    """Wrong codes make the next one wait, of whichever kind."""
    for model in (TOTPDevice, StaticDevice):
        model.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)


def link(recipient: str, path: str) -> str:
    """The path of a link in the newest mail to an address."""
    text = MessageContent.objects.filter(recipient=recipient).latest("message_id").text
    return re.search(rf"{re.escape(settings.PUBLIC_URL)}({path}\S+)", text)[1]


def test_a_login_leads_to_the_account(client, kim, settings):
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS
    kim.set_password(PASSWORD)
    kim.save()
    assert kim.password.startswith("pbkdf2_sha256$")
    assert log_in(client).url == "/"
    assert client.get("/").url == "/app/acme/live/"
    client.post("/logout")
    assert client.get("/app/acme/live/").url == "/login?next=/app/acme/live/"


def test_eight_wrong_passwords_lock_the_person_out_but_nobody_else(client, kim):
    statuses = [log_in(client, "wrong").status_code for _ in range(8)]
    assert statuses == [200] * 7 + [429]
    assert log_in(client).status_code == 429
    builders.user("lee@hanbit.example", PASSWORD)
    assert client.post("/login", {"username": "lee@hanbit.example", "password": PASSWORD}).status_code == 302


def test_another_spelling_of_the_address_starts_no_new_count_of_wrong_passwords(client, kim):
    for name in ("kim@hanbit.example", "KIM@hanbit.example", "kIm@HANBIT.example", "Kim@hanbit.Example") * 2:
        answer = client.post("/login", {"username": name, "password": "wrong"})
    assert answer.status_code == 429
    assert log_in(client).status_code == 429


def test_all_addresses_of_one_host_share_their_wrong_passwords(client, kim):
    for host in range(8):
        answer = client.post("/login", {"username": kim.email, "password": "wrong"}, REMOTE_ADDR=f"2001:db8::{host}")
    assert answer.status_code == 429


def test_a_login_leads_to_no_other_site(client, kim):
    assert log_in(client, next="https://evil.example/").url == "/"
    assert log_in(Client(), next="//evil.example/").url == "/"
    assert log_in(Client(), next="/app/acme/live/members").url == "/app/acme/live/members"


def test_with_a_second_factor_the_password_alone_opens_nothing(client, kim):
    log_in(client)
    set_up(client, kim)
    thief = Client()
    log_in(thief)
    assert thief.get("/app/acme/live/").url == "/second-factor?next=%2Fapp%2Facme%2Flive%2F"
    for path in ("/profile", "/password", "/second-factor/setup"):
        assert thief.get(path).url.startswith("/second-factor")
    assert thief.post("/second-factor/off").url == "/second-factor"
    assert thief.post("/password", {"old_password": PASSWORD}).url.startswith("/second-factor")
    assert TOTPDevice.objects.filter(user=kim).count() == 1


def test_the_code_of_the_app_opens_the_page_asked_for_and_works_once(client, kim):
    log_in(client)
    set_up(client, kim)
    again, token = Client(), code(kim, ahead=30)
    log_in(again)
    page = again.get("/second-factor?next=/app/acme/live/messages").content.decode()
    assert 'name="next" value="/app/acme/live/messages"' in page
    assert (
        again.post("/second-factor", {"token": token, "next": "/app/acme/live/messages"}).url
        == "/app/acme/live/messages"
    )
    assert again.get("/app/acme/live/messages").status_code == 200
    third = Client()
    log_in(third)
    assert third.post("/second-factor", {"token": token}).status_code == 422


def test_a_wrong_code_is_told_and_the_page_asked_for_is_kept(client, kim):
    log_in(client)
    set_up(client, kim)
    again = Client()
    log_in(again)
    answer = again.post("/second-factor?next=/profile", {"token": "000000", "next": "/profile"})
    assert answer.status_code == 422
    assert 'name="next" value="/profile"' in answer.content.decode()


def test_a_recovery_code_works_once(client, kim):
    log_in(client)
    codes = set_up(client, kim)
    assert len(set(codes)) == 8
    again, third = Client(), Client()
    log_in(again)
    assert again.post("/second-factor", {"token": codes[0], "next": "https://evil.example"}).url == "/"
    log_in(third)
    assert third.post("/second-factor", {"token": codes[0]}).status_code == 422


def setup_secret(client: Client) -> str:
    page = client.get("/second-factor/setup").content.decode()
    return re.search(r"<p><code>(.*?)</code></p>", page)[1]


def test_a_set_up_belongs_to_the_session_that_began_it(client, kim):
    """Whoever has the password only must not know the secret that the person will have confirmed."""
    thief = Client()
    log_in(thief)
    seen = setup_secret(thief)
    log_in(client)
    shown = setup_secret(client)
    assert shown != seen
    assert setup_secret(client) == shown
    token = code(kim)
    answer = thief.post("/second-factor/setup", {"token": token})
    assert answer.status_code == 422
    assert shown not in answer.content.decode()
    answer = client.post("/second-factor/setup", {"token": token})
    assert answer.status_code == 422
    assert "A set-up was begun elsewhere since" in answer.content.decode()
    assert client.post("/second-factor/setup", {"token": code(kim)}).status_code == 200


def test_a_replacement_begun_in_a_session_left_open_is_confirmed_by_no_other(client, kim):
    log_in(client)
    codes = set_up(client, kim)
    other = Client()
    log_in(other)
    other.post("/second-factor", {"token": codes[0]})
    assert setup_secret(client) != setup_secret(other)
    assert TOTPDevice.objects.filter(user=kim, confirmed=False).count() == 1


def test_a_changed_password_ends_set_ups_begun_before(client, kim):
    log_in(client)
    setup_secret(client)
    fresh = {"new_password1": "another horse battery", "new_password2": "another horse battery"}
    client.post("/password", {"old_password": PASSWORD, **fresh})
    assert not TOTPDevice.objects.exists()


def test_a_wrong_code_of_one_app_does_not_use_up_that_of_the_other(client, kim):
    log_in(client)
    codes = set_up(client, kim)
    setup_secret(client)
    clock = TOTP(TOTPDevice.objects.get(user=kim, confirmed=False).bin_key)
    clock.time = time.time()
    token = f"{clock.token():06d}"
    assert client.post("/second-factor/setup", {"token": token, "current": "000000"}).status_code == 422
    after_a_while()
    assert client.post("/second-factor/setup", {"token": "nonsense", "current": codes[0]}).status_code == 422
    assert client.post("/second-factor/setup", {"token": token, "current": codes[0]}).status_code == 200


def test_who_gave_wrong_codes_is_told_to_wait(client, kim):
    log_in(client)
    set_up(client, kim)
    again = Client()
    log_in(again)
    again.post("/second-factor", {"token": "000000"})
    TOTPDevice.objects.update(throttling_failure_count=5)
    page = again.post("/second-factor", {"token": code(kim, ahead=30)}).content.decode()
    assert re.search(r"Too many wrong codes. Wait \d+ s, then try again.", page)


def test_a_second_factor_is_turned_off_by_a_code_of_now_only(client, kim):
    log_in(client)
    codes = set_up(client, kim)
    assert client.get("/second-factor/off").status_code == 200
    for token in ("", "000000", code(kim)):
        assert client.post("/second-factor/off", {"token": token}).status_code == 422
        after_a_while()
    assert TOTPDevice.objects.exists()
    assert client.post("/second-factor/off", {"token": codes[0]}).url == "/profile"
    assert not TOTPDevice.objects.exists()
    assert client.get("/second-factor/off").url == "/profile"


def test_the_app_is_replaced_by_a_code_of_the_one_before_only(client, kim):
    log_in(client)
    codes = set_up(client, kim)
    client.get("/second-factor/setup")
    fresh = TOTP(TOTPDevice.objects.get(user=kim, confirmed=False).bin_key)
    fresh.time = time.time()
    for current in ("", "000000", codes[0]):
        answer = client.post("/second-factor/setup", {"token": f"{fresh.token():06d}", "current": current})
        assert answer.status_code == (200 if current == codes[0] else 422)
        after_a_while()
    assert TOTPDevice.objects.get(user=kim).bin_key == fresh.key


def test_operators_need_a_second_factor_outside_of_development(client, db, settings):
    settings.DEVELOPMENT = False
    client.force_login(builders.user("operator@sendarix.example", is_staff=True))
    assert client.get("/operator/").url == "/second-factor/setup"


def test_a_password_is_reset_by_a_link_in_our_own_mail_that_works_once(client, kim, platform):
    client.post("/password/reset", {"email": "kim@hanbit.example"})
    path = link("kim@hanbit.example", "/password/reset/")
    form = client.get(path).url
    fresh = {"new_password1": "another horse battery", "new_password2": "another horse battery"}
    assert client.post(form, fresh).url == "/login"
    assert log_in(client, "another horse battery").status_code == 302
    assert b"This link has been used or is too old." in Client().get(path).content


def test_a_reset_does_not_tell_who_has_a_login(client, kim, settings, platform):
    known = client.post("/password/reset", {"email": "kim@hanbit.example"})
    assert client.post("/password/reset", {"email": "nobody@hanbit.example"}).url == known.url
    settings.PLATFORM_SENDER = ""
    assert client.post("/password/reset", {"email": "kim@hanbit.example"}).url == known.url


def test_a_person_without_a_login_joins_by_invitation(client, owner, acme, platform):
    owner.sent("members", {"email": "lee@hanbit.example", "role": Role.DEVELOPER})
    path = link("lee@hanbit.example", "/invitations/")
    assert b"new_password1" in client.get(path).content
    assert client.post(path, {"name": "Lee", "new_password1": "1", "new_password2": "1"}).status_code == 422
    form = {"name": "Lee", "new_password1": PASSWORD, "new_password2": PASSWORD}
    assert client.post(path, form).url == "/app/acme/live/"
    assert client.get("/app/acme/live/").status_code == 200
    assert acme.memberships.get(user__email="lee@hanbit.example").role == Role.DEVELOPER
    assert Client().get(path).status_code == 404


def test_a_person_with_a_login_joins_with_it(client, kim, globex):
    _, token = members.invite(globex, "kim@hanbit.example", Role.ADMIN, Actor(globex.pk, "user:owner"))
    path = f"/invitations/{token}"
    page = client.post(path, {"name": "Thief", "new_password1": PASSWORD, "new_password2": PASSWORD})
    assert b"Log in with it, then open this link again." in page.content
    assert not globex.memberships.exists()
    log_in(client)
    assert client.post(path).url == "/app/globex/live/"
    assert set(kim.memberships.values_list("account__slug", flat=True)) == {"acme", "globex"}


def test_the_password_alone_joins_nothing_and_changes_nothing_of_who_has_a_second_factor(client, kim, globex):
    log_in(client)
    set_up(client, kim)
    _, token = members.invite(globex, kim.email, Role.OWNER, Actor(globex.pk, "user:owner"))
    thief = Client()
    log_in(thief)
    for answer in (thief.get(f"/invitations/{token}"), thief.post(f"/invitations/{token}")):
        assert answer.url == f"/second-factor?next=%2Finvitations%2F{token}"
    thief.post("/language", {"language": "ko"})
    kim.refresh_from_db()
    assert (kim.language, globex.memberships.count()) == ("", 0)


def test_a_language_that_there_is_none_of_is_refused(client, kim):
    client.force_login(kim)
    assert client.post("/profile", {"name": "Kim", "language": "漢字"}).status_code == 422


def test_few_resets_of_one_address_are_mailed_and_the_answer_stays_the_same(client, kim, platform):
    answers = {client.post("/password/reset", {"email": kim.email}).url for _ in range(8)}
    assert answers == {"/password/reset/sent"}
    assert MessageContent.objects.filter(recipient=kim.email).count() == 5


def test_a_reset_for_nobody_does_the_same_work_and_keeps_nothing(client, kim, platform):
    client.post("/password/reset", {"email": "first@hanbit.example"})  # which prepares the statements
    with CaptureQueriesContext(connection) as known:
        client.post("/password/reset", {"email": kim.email})
    with CaptureQueriesContext(connection) as unknown:
        client.post("/password/reset", {"email": "nobody@hanbit.example"})
    prepared = [
        [found[1] for one in each if (found := re.search(r"EXECUTE (\w+)", one["sql"]))] for each in (known, unknown)
    ]
    assert prepared[0] == prepared[1] != []
    assert abs(len(known) - len(unknown)) <= 3
    assert not MessageContent.objects.filter(recipient="nobody@hanbit.example").exists()


def test_a_changed_password_ends_every_other_session(client, kim):
    other = Client()
    log_in(client)
    log_in(other)
    fresh = {"new_password1": "another horse battery", "new_password2": "another horse battery"}
    assert client.post("/password", {"old_password": PASSWORD, **fresh}).url == "/profile"
    assert client.get("/app/acme/live/").status_code == 200
    assert other.get("/app/acme/live/").url.startswith("/login")


def test_a_login_begins_a_session_of_its_own(client, kim):
    client.cookies["sessionid"] = planted = "a" * 32
    log_in(client)
    assert client.cookies["sessionid"].value != planted


def test_the_theme_and_the_language_are_kept_and_lead_back(client, kim):
    client.force_login(kim)
    assert client.post("/theme", {"theme": "dark", "next": "/profile"}).url == "/profile"
    assert b'data-theme="dark"' in client.get("/profile").content
    assert client.post("/language", {"language": "ko", "next": "//evil.example"}).url == "/"
    page = client.get("/profile")
    assert page["Content-Language"] == "ko"
    assert "로그인" in Client(headers={"accept-language": "ko"}).get("/login").content.decode()
    kim.refresh_from_db()
    assert kim.language == "ko"


def test_pages_send_no_script_or_style_of_their_own(owner):
    policy = owner.get("members")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy
    page = owner.page("members")
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=", page)


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/app/acme", "/app/acme/live/"),
        ("/app/acme/", "/app/acme/live/"),
        ("/app/acme/test", "/app/acme/test/"),
        ("/app/acme/live?hours=72", "/app/acme/live/?hours=72"),
        ("/login/?next=/profile", "/login?next=/profile"),
        ("/favicon.ico", "/static/dashboard/favicon.svg"),
    ],
)
def test_an_address_typed_by_hand_leads_to_the_page(client, path, leads_to):
    assert client.get(path).headers["Location"] == leads_to


def test_an_account_typed_by_hand_is_there_for_its_members_only(owner, globex):
    assert owner.client.get("/app/acme", follow=True).status_code == 200
    assert owner.client.get("/app/globex", follow=True).status_code == 404
