"""The bench account's routes, rules and policies, published over the API as a customer would."""

from typing import Any

from bench import seeding
from bench.stage import Stage

TABLES = ("routes", "routing_rule_sets", "delivery_policies", "path_health", "path_changes", "pace_windows")


def clear(stage: Stage) -> None:
    """None left, and nothing known of their health."""
    stage.query(f"TRUNCATE {', '.join(TABLES)} CASCADE")


def smarthost(name: str, port: int, **extra: Any) -> dict[str, Any]:
    return {"name": name, "kind": "smtp", "options": {"host": "127.0.0.1", "port": port, "tls": "none"}, **extra}


def rule(name: str, route_ids: list[str], **when: Any) -> dict[str, Any]:
    return {"name": name, "when": when, "then": {"routes": [{"route": one} for one in route_ids]}}


def publish(
    stage: Stage, routes: list[dict[str, Any]], rules: list[dict[str, Any]], policies: list[dict[str, Any]]
) -> None:
    """`rules` name routes by their names."""
    web, port = stage.web()
    try:
        made = {one["name"]: seeding.call(port, stage.live_key, "POST", "routes", one)["id"] for one in routes}
        for each in rules:
            for candidate in each["then"]["routes"]:
                candidate["route"] = made[candidate["route"]]
        seeding.call(port, stage.live_key, "PUT", "routing-rules", {"rules": rules})
        for policy in policies:
            seeding.call(port, stage.live_key, "POST", "delivery-policies", policy)
    finally:
        stage.stop(web)
