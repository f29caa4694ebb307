"""Routes to mail servers on loopback, and the health of their paths, for the tests of routing, pacing and breakers."""

from typing import Any

from messaging import models
from messaging.delivery import routebook
from messaging.models import PathHealth
from sendarix.core import ids
from tests import world
from tests.world import Company


def route(name: str, port: int = 25, owner: Company | None = None, **fields: Any) -> models.Route:
    """A smarthost on loopback, of the platform unless it has an owner."""
    fields = {"kind": "smtp", "options": smarthost(port), "connections": 4} | fields
    made = models.Route.objects.create(id=ids.new("rte"), name=name, account=owner and owner.account, **fields)
    routebook.forget()
    return made


def smarthost(port: int) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "tls": "none", "allow_private": True}


def publish(*rules: dict[str, Any], owner: Company | None = None, version: int = 1) -> None:
    """The published rules of a company, or of the platform."""
    numbered = [{"id": f"rul_{number}", "name": f"rule {number}"} | rule for number, rule in enumerate(rules, 1)]
    models.RuleSet.objects.create(
        account=owner and owner.account, version=version, rules=numbered, author="key_test", published=True
    )
    routebook.forget()


def policy(name: str, owner: Company | None = None, **fields: Any) -> models.DeliveryPolicy:
    made = models.DeliveryPolicy.objects.create(id=ids.new("pol"), name=name, account=owner and owner.account, **fields)
    routebook.forget()
    return made


def path(route_id: str, destination: str) -> PathHealth:
    return PathHealth.objects.get(route_id=route_id, destination=destination)


def breakers() -> dict[tuple[str, str], str]:
    """The paths whose breakers are not closed."""
    return {(row.route_id, row.destination): row.breaker for row in PathHealth.objects.exclude(breaker="closed")}


def end_rests() -> None:
    """As if the rest of every open path were over."""
    world.sql("UPDATE path_health SET open_until = clock_timestamp() - interval '1 ms' WHERE breaker = 'open'")
    routebook.forget()


def history(route_id: str) -> list[tuple[str, str, str]]:
    """(destination, before, after) of each change of a route's breakers, in order."""
    return world.sql("SELECT destination, before, after FROM path_changes WHERE route_id = %s ORDER BY id", route_id)
