"""The searches of the search part, in a process of its own as a web process would run them: python -m bench.searcher ACCOUNTS
MESSAGES SAMPLES prints {kind: [p50, p95]} in milliseconds. Fails when a plan reads a table from end to end."""

import json
import os
import random
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import quantiles

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendarix.settings")
django.setup()  # before the models below are imported, whence their noqa

from django.db import connection  # noqa: E402

from messaging import searching  # noqa: E402

KINDS: dict[str, Callable[[random.Random, int], str]] = {
    "list": lambda rng, most: "",
    "address": lambda rng, most: f"to:{_local(rng)}@naver.com",
    "part of an address": lambda rng, most: _local(rng),
    "subject: in a fifth": lambda rng, most: "verification",
    "subject: in a fifth, Korean": lambda rng, most: "인증번호",
    "subject: one of a thousand": lambda rng, most: f"product{rng.randrange(100, 700)}",
    "subject: one": lambda rng, most: f"A-{rng.randrange(most)}",
    "subject: two words": lambda rng, most: f"parcel product{rng.randrange(100, 700)}",
    "subject: none": lambda rng, most: f"zebra{rng.randrange(1000)}",
    "metadata": lambda rng, most: f"meta.order:A-{rng.randrange(most)}",
    "metadata, frequent": lambda rng, most: f"meta.shop:product{rng.randrange(700)}",
    "request id": lambda rng, most: _REQUESTS[rng.randrange(len(_REQUESTS))],
    "status": lambda rng, most: rng.choice(["status:bounced", "-status:delivered", "is:waiting", "status:complained"]),
    "status and word": lambda rng, most: f"status:bounced product{rng.randrange(100, 700)}",
    "template": lambda rng, most: rng.choice(["template:survey", "template:order", "template:nobodys"]),
    "tag": lambda rng, most: rng.choice(["tag:migrated", "tag:billing", "tag:nobodys"]),
    "key": lambda rng, most: f"key:key_{rng.randrange(9):026}",
    "tier": lambda rng, most: rng.choice(["tier:critical", "tier:low"]),
    "domain, frequent": lambda rng, most: "domain:gmail.com",
    "domain, rare": lambda rng, most: f"domain:corp{rng.randrange(3000)}.example",
    "route": lambda rng, most: rng.choice(["route:backup", "route:default", "route:nobodys"]),
    "code": lambda rng, most: rng.choice(["code:550", "code:451", "code:554", "code:greylisted", "code:4.7.1"]),
    "word in a week of the past": lambda rng, most: (
        f"after:{rng.randrange(20, 80)}d before:{rng.randrange(13, 20)}d welcome"
    ),
    "attachment and word": lambda rng, most: f"has:attachment product{rng.randrange(100, 700)}",
}
COUNTED = ("list", "address", "subject: in a fifth", "subject: one of a thousand", "status", "metadata, frequent")

_REQUESTS: list[str] = []
_whole = re.compile(r"Seq Scan on (messages|message_contents|events|attempts)\b")


def _local(rng: random.Random) -> str:
    family = rng.choice(["kim", "lee", "park", "choi", "jung"])
    return f"{family}.{rng.choice(['minji', 'seojun', 'haeun', 'doyun', 'jiwoo'])}{int(400_000 * rng.random() * rng.random())}"


def explain(execute, sql, values, many, context):
    """Look at the plan of a statement before it runs."""
    asked = sql.lstrip().removeprefix(";")
    if asked.startswith(("SELECT", "WITH", "EXECUTE")):
        with connection.connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {asked}", values)
            plan = "\n".join(row[0] for row in cursor.fetchall())
        if found := _whole.search(plan):
            raise SystemExit(f"{found[0]}:\n{sql}\n{values}\n{plan}")
    return execute(sql, values, many, context)


def spent(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def main() -> None:
    accounts, most, samples = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(7)
    with connection.cursor() as cursor:
        cursor.execute("SELECT request_id FROM message_contents WHERE account_id = %s LIMIT 500", [accounts[0]])
        _REQUESTS.extend(row[0] for row in cursor.fetchall())
    scopes = [searching.Scope(account, True) for account in accounts]
    figures = {}
    for kind, make in KINDS.items():
        queries = [searching.parse(make(rng, most)) for _ in range(samples)]
        for scope in (scopes[0], scopes[-1]):
            with connection.execute_wrapper(explain):
                for query in set(queries[:3]):
                    searching.page(scope, query)
                    searching.count(scope, query)
        figures[kind] = [spent(partial(searching.page, scopes[0], query)) for query in queries]
        if kind in COUNTED:
            figures[f"counts: {kind}"] = [spent(partial(searching.count, scopes[0], query)) for query in queries]
    small = [searching.parse(text) for text in ("verification", "zebra", "A-77", "status:bounced", "is:waiting")]
    figures["any, in the smallest account"] = [
        spent(partial(searching.page, scopes[-1], query)) for query in small * (samples // 5 + 1)
    ]
    json.dump({kind: [quantiles(f, n=20)[9], quantiles(f, n=20)[18]] for kind, f in figures.items()}, sys.stdout)


if __name__ == "__main__":
    main()
