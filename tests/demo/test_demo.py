"""`make demo`: the month it makes up fits together, and no page of it is empty or broken."""

import json
import re
from collections import Counter
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import resolve

from messaging.routes import rules
from sendarix.accounts import request_log
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account, User
from sendarix.dashboard.navigation import GROUPS
from tests.api_client import Api
from tests.dashboard.visitors import Visitor
from tests.webhooks.engine import endpoint as webhook
from tests.world import MAIL, _left_behind, transactional_db

__all__ = ["_left_behind", "transactional_db"]

EACH = 2
"""Pages of one kind that are looked at."""

_link = re.compile(r'(?:href|hx-get)="(/app/demo/(?:live|test)/[^"#]*)"')


@pytest.fixture
def month(transactional_db) -> str:
    """A small one; what the command says of it."""
    said = StringIO()
    call_command("demo", messages=1_500, stdout=said)
    return said.getvalue()


def rows(sql: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_a_made_up_month_fits_together(month: str) -> None:
    statuses = dict(rows("SELECT status, count(*) FROM messages GROUP BY 1"))
    assert {"delivered", "bounced", "suppressed", "scheduled"} <= set(statuses)
    assert rows("SELECT m.id FROM messages m JOIN events e ON e.message_id = m.id AND e.sequence = m.sequence"
                " WHERE e.type <> m.status") == []  # fmt: skip
    assert (
        rows("SELECT id FROM messages m WHERE sequence <> (SELECT count(*) FROM events WHERE message_id = m.id)") == []
    )
    assert rows("SELECT id FROM messages WHERE (due_at IS NULL) <> (ended_at IS NOT NULL)") == []
    received = rows("SELECT sum(received) FROM hour_counts WHERE dimension = 1 AND livemode")[0][0]
    assert received == rows("SELECT count(*) FROM messages WHERE livemode")[0][0]
    assert rows("SELECT id FROM webhook_deliveries WHERE due_at IS NOT NULL OR ended_at IS NULL") == []
    assert rows("SELECT count(*) > 0 FROM api_requests WHERE replayed")[0][0]
    call_command("demo", messages=1_500, stdout=(again := StringIO()))
    assert "already" in again.getvalue()


def test_every_page_of_a_made_up_month_is_there_for_its_owner(month: str) -> None:
    owner = Visitor(User.objects.get(email__startswith="owner@"), Account.objects.get(slug="demo"))
    waiting, seen = [owner.url(), owner.at(environment="test").url()], Counter[str]()
    broken = {}
    while waiting:
        url = waiting.pop(0)
        name = resolve(url.partition("?")[0]).url_name
        if seen[name] >= EACH or seen[url]:
            continue
        seen.update([name, url])
        answer = owner.client.get(url)
        if answer.status_code not in (200, 405):
            broken[url] = answer.status_code
        elif answer.status_code == 200 and not answer.streaming:
            waiting += [link.replace("&amp;", "&") for link in _link.findall(answer.content.decode(errors="replace"))]
    assert broken == {}
    assert {section.name for _, sections in GROUPS for section in sections} <= set(seen)
    assert {"message", "recipient", "webhook", "webhook-delivery", "domain", "template", "route", "request"} <= set(
        seen
    )


def test_a_month_is_made_up_in_development_only(transactional_db, settings) -> None:
    settings.DEVELOPMENT = False
    with pytest.raises(CommandError, match="development only"):
        call_command("demo")


def test_it_comes_beside_what_was_really_sent_and_set_up(transactional_db) -> None:
    call_command("demo_account")
    account = Account.objects.get(slug="demo")
    actor = Actor(account.pk, "user:owner@demo.sendarix.test")
    endpoint = webhook(account, "http://127.0.0.1:9/hook")
    rules.save(account.pk, [], note="None yet", base=None, publish=True, actor=actor)
    request_log.keep()
    try:
        key = json.loads((settings.HOME / "demo.json").read_text())["live_key"]
        sent = Api(key).post("/v1/messages", MAIL).json["message_id"]
    finally:
        request_log.stop()
    call_command("demo", messages=1_500, stdout=StringIO())
    told = f"SELECT message_id, status FROM webhook_deliveries WHERE endpoint_id = '{endpoint.id}'"
    assert rows(f"{told} AND message_id IS NOT NULL") == [(sent, "waiting")]
    assert rows(f"SELECT count(*) FROM api_requests WHERE message_id = '{sent}'") == [(1,)]
    assert rows("SELECT sum(requests) FROM request_counts") == rows("SELECT count(*) FROM api_requests")
