"""A shop's mail server begins to defer everything: its mail takes other ways, codes first, and comes back by itself. Three mail
servers on addresses of their own; whatever the shop does or wants to know, it does and asks by the API."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.delivery import paths
from tests.delivery.smtp_sink import SmtpSink
from tests.world import attempts, bring_due, drain, from_now, message, send, status, until

LATER = "451 4.3.0 later"
CAP = 6
"""Mails that the backup may carry on its first day."""


@dataclass(frozen=True, slots=True)
class Servers:
    primary: SmtpSink
    backup: SmtpSink
    reserve: SmtpSink

    def took(self) -> tuple[int, int, int]:
        return len(self.primary.accepted), len(self.backup.accepted), len(self.reserve.accepted)


@pytest.fixture
def servers(take_route, settings) -> Iterator[Servers]:
    """The rest of an open path ends when the story says so (paths.end_rests), however slow the machine is."""
    settings.BREAKER_REST = 600
    take_route("inbox:")
    with (
        SmtpSink(host="127.0.0.11") as primary,
        SmtpSink(host="127.0.0.12") as backup,
        SmtpSink(host="127.0.0.13") as reserve,
    ):
        yield Servers(primary, backup, reserve)


def add_route(shop, name: str, server: SmtpSink, **fields) -> str:
    options = {"host": server.host, "port": server.port, "tls": "none"}
    answer = shop.post("/v1/routes", {"name": name, "kind": "smtp", "options": options, **fields})
    assert answer.status == 201, answer.json
    assert shop.post(f"/v1/routes/{answer.json['id']}/check").json["ok"]
    return answer.json["id"]


def settle(condition) -> None:
    """Whatever waits has its time come, again and again, until the condition holds."""
    until(lambda: condition() or bring_due() or drain() < 0, 60.0)


def simulate(shop, **asked) -> dict:
    answer = shop.post("/v1/routing/simulate", asked)
    assert answer.status == 200, answer.json
    return answer.json


def barred(explanation: dict) -> dict[str, str | None]:
    """What speaks against each candidate, without the time until when."""
    return {
        one["name"]: one["barred"] and one["barred"].partition(" until ")[0] for one in explanation["candidates"]
    }  # fmt: skip


def ways(shop, message_id: str) -> list[tuple[str, str]]:
    return [(one["route"], one["verdict"]) for one in attempts(shop, message_id)]


def waits(shop, message_id: str) -> str:
    """What a message says of what it waits for."""
    waiting = message(shop, message_id).get("waiting")
    return (waiting or {}).get("why") or ""


def breaker(shop, route: str) -> str:
    return {row["destination"]: row["breaker"] for row in shop.get(f"/v1/routes/{route}/health").json["data"]}[
        "hanbit.example"
    ]


def test_mail_leaves_a_route_that_defers_and_returns_when_it_is_well(acme, servers):
    shop = acme.live

    # A way out, one that is still warming up and is kept for codes, and one for what has time.
    today = from_now()[:10]
    primary = add_route(shop, "primary", servers.primary)
    warmup = {"starts_on": today, "daily": [CAP, CAP, 500]}
    backup = add_route(shop, "backup", servers.backup, tiers=["critical", "high"], warmup=warmup)
    reserve = add_route(shop, "reserve", servers.reserve, tiers=["normal", "low"])
    then = {"routes": [{"route": primary}], "fallback": [{"route": backup}, {"route": reserve}]}
    assert shop.put("/v1/routing-rules", {"rules": [{"name": "all", "then": then}]}).status == 200

    def code() -> str:
        return send(shop, priority="critical", subject="Your code")

    def delivered(*message_ids: str) -> bool:
        return {status(shop, one) for one in message_ids} == {"delivered"}

    # All is well: the simulator says primary, and so it is.
    first = code()
    foretold = simulate(shop, message_id=first)
    drain()
    assert foretold["route"]["name"] == "primary"
    assert attempts(shop, first)[0]["explanation"] == foretold["explanation"]
    assert servers.took() == (1, 0, 0)

    # The primary begins to defer everything. Its breaker opens; codes go by the backup, the rest by the reserve.
    servers.primary.script["rcpt"] = LATER
    news = [send(shop, priority="low", subject=f"News {number}") for number in range(30)]
    codes = [code() for _ in range(4)]
    settle(lambda: delivered(*codes, *news))
    assert servers.took() == (1, 4, 30)
    assert breaker(shop, primary) == "open"
    assert {tuple(ways(shop, one)) for one in codes} == {(("primary", "deferred"), ("backup", "delivered"))}
    assert all(ways(shop, one).count(("primary", "deferred")) <= 1 for one in news)
    last = attempts(shop, codes[0])[-1]["explanation"]
    assert barred(last) == {"primary": "breaker open", "backup": None, "reserve": "does not carry this tier"}

    # A new code loses no time on the primary, as the simulator says before it is sent.
    foretold = simulate(shop, recipient="kim@hanbit.example", priority="critical")
    fifth = code()
    drain()
    told = attempts(shop, fifth)[0]["explanation"]
    assert (foretold["route"]["name"], ways(shop, fifth)) == ("backup", [("backup", "delivered")])
    assert told.pop("pacing") == [{"seconds": 86400, "limit": CAP, "left": 1}]
    assert (told, told["why"]) == (foretold["explanation"], "rule all: the fallback, the only usable route")

    # The backup carries no more than its warm-up allows; what is over waits, and says for what.
    over = [code() for _ in range(3)]
    settle(lambda: sum("backup: over today's warm-up cap" in waits(shop, one) for one in over) == 2)
    assert servers.took() == (1, CAP, 30)
    assert shop.get(f"/v1/routes/{backup}/health").json["today"] == {
        "date": today, "used": CAP, "cap": CAP, "warmup_day": 1,
    }  # fmt: skip
    foretold = simulate(shop, recipient="kim@hanbit.example", priority="critical")
    assert (foretold["action"], barred(foretold["explanation"])["backup"]) == ("hold", "over today's warm-up cap")

    # The primary is well again. When its path has rested, probes find that out, and all traffic returns.
    servers.primary.script.clear()
    paths.end_rests()
    assert simulate(shop, recipient="kim@hanbit.example", priority="low")["why"] == (
        "rule all: a probe of its half-open path"
    )
    returning = [code() for _ in range(4)]
    settle(lambda: delivered(*over, *returning))
    settle(lambda: breaker(shop, primary) == "closed")
    assert servers.took() == (1 + 6, CAP, 30)
    probes = [
        one for one in (*over, *returning) if attempts(shop, one)[-1]["explanation"]["why"].endswith("half-open path")
    ]
    assert len(probes) >= 3
    foretold = simulate(shop, recipient="kim@hanbit.example", priority="low")
    last = send(shop, priority="low")
    drain()
    assert (foretold["route"]["name"], ways(shop, last)) == ("primary", [("primary", "delivered")])
    assert barred(attempts(shop, last)[0]["explanation"])["primary"] is None

    # It is all on record.
    history = shop.get(f"/v1/routes/{primary}/history").json["data"]
    assert [(one["destination"], one["before"], one["after"]) for one in reversed(history)] == [
        ("hanbit.example", "closed", "open"),
        ("hanbit.example", "open", "half_open"),
        ("hanbit.example", "half_open", "closed"),
    ]
    log = shop.get("/v1/audit-log", {"subject": f"{primary} hanbit.example"}).json["data"]
    assert [(one["actor"], one["action"], one["after"]["reason"]) for one in log] == [
        ("delivery", f"breaker.{verb}", change["reason"])
        for verb, change in zip(("closed", "half_opened", "opened"), history, strict=True)
    ]
    assert "of the last tries were deferred or failed" in history[-1]["reason"]
