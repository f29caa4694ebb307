"""The visits of the pages part, in a process of its own, through the product's middleware and templates: python -m bench.visitor
MESSAGES SAMPLES prints {page: [p50, p95]} in milliseconds. Fails when a plan reads a table from end to end."""

import json
import random
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from statistics import quantiles
from urllib.parse import urlencode

from bench.searcher import _local, explain, spent  # sets Django up

from django.db import connection  # isort: skip
from django.test import Client  # isort: skip

from sendarix.accounts.models import Account, Membership, Role, User  # isort: skip

PAGES: dict[str, Callable[[random.Random, int], str]] = {
    "overview": lambda rng, most: "",
    "messages": lambda rng, most: "messages",
    "search by address": lambda rng, most: _search(f"{_local(rng)}@naver.com"),
    "search by part of a subject": lambda rng, most: _search(f"product{rng.randrange(100, 700)}"),
    "search by a frequent word": lambda rng, most: _search("verification"),
    "search by metadata": lambda rng, most: _search(f"meta.order:A-{rng.randrange(most)}"),
    "search by status": lambda rng, most: _search(rng.choice(["status:bounced", "is:waiting", "-status:delivered"])),
    "message": lambda rng, most: f"messages/{rng.choice(_MESSAGES)}",
    "recipient": lambda rng, most: f"recipients/{rng.choice(_RECIPIENTS)}",
    "analytics, 30 days": lambda rng, most: "analytics?period=30d",
    "analytics, 30 days by template": lambda rng, most: "analytics?period=30d&group=template",
    "alerts": lambda rng, most: "alerts",
    "suppressions": lambda rng, most: "suppressions",
    "templates": lambda rng, most: "templates",
    "routing": lambda rng, most: "routing",
    "routing rules": lambda rng, most: "routing/rules",
    "queues": lambda rng, most: "queues",
    "dead letters": lambda rng, most: "dead-letters",
    "keys": lambda rng, most: "keys",
    "webhooks": lambda rng, most: "webhooks",
    "request log": lambda rng, most: "requests",
    "audit log": lambda rng, most: "audit",
    "inbox": lambda rng, most: "inbox",
    "settings": lambda rng, most: "settings",
}
ACCOUNT = "bench"
TELLING = 50_000
"""Messages from which on a plan that reads a whole table says something; smaller ones are read so rightly."""

_MESSAGES: list[str] = []
_RECIPIENTS: list[str] = []


def _search(text: str) -> str:
    return "messages?" + urlencode({"q": text})


def owner() -> Client:
    """Of the largest account, logged in."""
    account = Account.objects.get(slug=ACCOUNT)
    user, _ = User.objects.get_or_create(email="owner@bench.test")
    Membership.objects.get_or_create(account=account, user=user, defaults={"role": Role.OWNER})
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user)
    return client


def visit(client: Client, path: str) -> None:
    answer = client.get(f"/app/{ACCOUNT}/live/{path}")
    if answer.status_code != 200:
        raise SystemExit(f"{path}: {answer.status_code}")
    answer.getvalue() if answer.streaming else answer.content


def _some(client: Client) -> None:
    """Messages and recipients from all over the 90 days."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT message_id, recipient FROM message_contents TABLESAMPLE SYSTEM (1)"
            " WHERE account_id = (SELECT id FROM accounts WHERE slug = %s) LIMIT 200",
            [ACCOUNT],
        )
        for message_id, recipient in cursor.fetchall():
            _MESSAGES.append(message_id)
            _RECIPIENTS.append(recipient)


def main() -> None:
    most, samples = int(sys.argv[1]), int(sys.argv[2])
    rng, client = random.Random(7), owner()
    _some(client)
    figures = {}
    for page, make in PAGES.items():
        paths = [make(rng, most) for _ in range(samples)]
        with connection.execute_wrapper(explain) if most >= TELLING else nullcontext():
            for path in paths[:4]:
                visit(client, path)
        figures[page] = [spent(partial(visit, client, path)) for path in paths]
    print(json.dumps({page: [quantiles(f, n=20)[9], quantiles(f, n=20)[18]] for page, f in figures.items()}))


if __name__ == "__main__":
    main()
