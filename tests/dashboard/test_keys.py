"""The pages of API keys: made and shown once, rotated with an overlap, revoked."""

import json
import re
import shlex
from datetime import timedelta
from html import unescape

from django.utils import timezone

from sendarix.accounts import audit, keys
from sendarix.accounts.models import ApiKey, RequestCount, Role
from tests import builders
from tests.api_client import Api
from tests.world import domain

NEW = {"name": "Shop", "access": "ordinary", "expires": ""}


def made(visitor, path: str = "keys/new", **fields) -> tuple[str, str]:
    """The token of a key just made, and the page that shows it."""
    answer = visitor.post(path, NEW | fields if path == "keys/new" else fields)
    assert answer.status_code == 200, answer.content.decode()[-3000:]
    assert answer["Cache-Control"] == "no-store"
    page = answer.content.decode()
    return re.search(r"sk_(?:live|test)_\w{40}", page)[0], page


def test_a_key_is_shown_once_and_its_curl_sends(owner, acme):
    domain(acme, "acme.example")
    token, page = made(owner)
    command = shlex.split(unescape(re.search(r'<pre id="curl">(.*?)</pre>', page, re.DOTALL)[1]).replace("\\\n", " "))
    assert command[:2] == ["curl", "http://testserver/v1/messages"]
    assert f"Authorization: Bearer {token}" in command
    assert Api(token).post("/v1/messages", json.loads(command[-1])).status == 202
    key = ApiKey.objects.get()
    assert (key.scopes, key.livemode) == (list(keys.ORDINARY), True)
    for path in ("keys", f"keys/{key.pk}"):
        later = owner.page(path)
        assert token not in later
        assert f"sk_live_…{key.last4}" in later


def test_a_key_has_the_limits_asked_for(owner):
    made(
        owner,
        access="chosen",
        scopes=["messages:send", "queues:purge"],
        expires="30",
        source_ips="192.0.2.0/24, 2001:db8::1",
        sender_domains="Acme.example",
        default_sender="Shop <shop@acme.example>",
    )
    key = ApiKey.objects.get()
    assert key.scopes == ["messages:send", "queues:purge"]
    assert key.source_ips == ["192.0.2.0/24", "2001:db8::1/128"]
    assert (key.sender_domains, key.default_sender) == (["acme.example"], "Shop <shop@acme.example>")
    assert round((key.expires_at - key.created_at).total_seconds() / 86400) == 30
    assert audit.entries(owner.account.pk).get(action="api_key.created").actor == f"user:{owner.user.email}"


def test_what_is_wrong_stands_at_its_field(owner):
    wrong = {"source_ips": "nowhere", "sender_domains": "bad domain", "default_sender": "no address"}
    for field, value in wrong.items():
        answer = owner.post("keys/new", NEW | {field: value})
        assert (answer.status_code, f'id="id_{field}-errors"' in answer.content.decode()) == (422, True)
    assert b'id="id_scopes-errors"' in owner.post("keys/new", NEW | {"access": "chosen"}).content
    assert owner.post("keys/new", NEW | {"name": "\x00"}).status_code == 422
    assert not ApiKey.objects.exists()


def test_a_developer_makes_and_changes_test_keys_only(member, acme):
    developer = member(Role.DEVELOPER)
    live = keys.make(acme, livemode=True)[0]
    assert developer.get("keys/new").status_code == 403
    assert developer.post(f"keys/{live.pk}/revoke").status_code == 403
    assert "an admin creates live ones" in developer.page("keys")
    tests = developer.at(environment="test")
    assert tests.post(f"keys/{live.pk}/revoke").status_code == 404
    token, _ = made(tests)
    assert token.startswith("sk_test_")
    live.refresh_from_db()
    assert live.revoked_at is None


def test_while_a_key_is_rotated_both_work(owner, acme):
    old, first = keys.make(acme, livemode=True, name="Shop", scopes=["messages:read"], source_ips=["127.0.0.0/8"])
    second, page = made(owner, f"keys/{old.pk}/rotate", overlap="24")
    assert "The old key works until:" in page
    assert [Api(token).get("/v1/messages").status for token in (first, second)] == [200, 200]
    fresh = ApiKey.objects.exclude(pk=old.pk).get()
    assert (fresh.name, fresh.scopes, fresh.source_ips) == ("Shop", ["messages:read"], ["127.0.0.0/8"])
    assert fresh.expires_at is None
    third, _ = made(owner, f"keys/{fresh.pk}/rotate", overlap="0")
    assert [Api(token).get("/v1/messages").status for token in (second, third)] == [401, 200]
    assert owner.post(f"keys/{fresh.pk}/rotate", {"overlap": "24"}).status_code == 422


def test_a_rotation_never_lengthens_the_life_of_the_old_key(owner, acme):
    made(owner, expires="30")
    old = ApiKey.objects.get()
    made(owner, f"keys/{old.pk}/rotate", overlap="720")
    before = old.expires_at
    old.refresh_from_db()
    assert old.expires_at <= before
    fresh = ApiKey.objects.exclude(pk=old.pk).get()
    assert round((fresh.expires_at - fresh.created_at).total_seconds() / 86400) == 30


def test_a_revoked_key_is_refused_and_stands_among_the_ended(owner, acme):
    key, token = keys.make(acme, livemode=True, name="Shop")
    page = owner.sent(f"keys/{key.pk}/revoke")
    assert f"The key …{key.last4} is revoked" in page
    assert "Ended keys" in page
    assert Api(token).get("/v1/messages").status == 401


def test_requests_and_errors_of_seven_days_stand_beside_a_key(owner, acme):
    key = keys.make(acme, livemode=True, name="Shop")[0]
    for days, requests, errors in ((0, 1200, 3), (6, 34, 0), (8, 999_999, 9)):
        hour = timezone.now() - timedelta(days=days)
        RequestCount.objects.create(account=acme, key_id=key.pk, hour=hour, requests=requests, errors=errors)
    for page in ("keys", f"keys/{key.pk}"):
        assert "1,234" in owner.page(page)


def test_keys_of_another_account_are_not_there(owner, globex):
    key = keys.make(globex, livemode=True)[0]
    assert owner.get(f"keys/{key.pk}").status_code == 404
    for path in ("rotate", "revoke"):
        assert owner.post(f"keys/{key.pk}/{path}", {"overlap": "0"}).status_code == 404
    assert builders.api_key(globex)
    assert str(key.pk) not in owner.page("keys")


def test_a_hostile_name_is_text(owner, acme):
    keys.make(acme, livemode=True, name="<img src=x onerror=alert(1)>\u202e" + "x" * 100)
    page = owner.page("keys")
    assert "<img" not in page
    assert "&lt;img src=x" in page
