"""Which route a made-up message takes, and what its attempts say of the reason, as routing would have explained it. Pure."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SEOUL, TOKYO = "seoul-1", "tokyo-1"
SANDBOX = "sandbox"
NAVER = ("naver.com", "daum.net", "kakao.com")
CODES = ("otp-code", "password-reset")


@dataclass(frozen=True, slots=True)
class Way:
    """A route's name and the explanation (JSON) of attempts that took it."""

    route: str
    explanation: str


@dataclass(frozen=True, slots=True)
class Ways:
    """By the names of the rules that surroundings.RULES publishes: the ways that each leaves, the usual one first."""

    of_rule: Mapping[str, Sequence[Way]]

    def take(self, template: str | None, domain: str, rng: random.Random) -> Way:
        rule = "codes" if template in CODES else "korea" if domain in NAVER else "rest"
        usual, other = self.of_rule[rule]
        return usual if rng.random() < SHARES[rule] else other


SHARES = {"codes": 0.7, "korea": 0.97, "rest": 0.6}
"""How many of a rule's messages take its usual way."""


def explained(rule: Mapping[str, Any], version: int, routes: Mapping[str, str], usual: str, share: float) -> list[Way]:
    """Both ways of one published rule; `routes` are ids by name."""
    other = TOKYO if usual == SEOUL else SEOUL
    stages = {usual: share, other: 1 - share}
    return [Way(route, json.dumps(_told(rule, version, routes, route, stages))) for route in (usual, other)]


def _told(
    rule: Mapping[str, Any], version: int, routes: Mapping[str, str], taken: str, stages: Mapping[str, float]
) -> dict[str, Any]:
    candidates = [
        {
            "route": routes[name], "name": name, "score": round(100 * share, 3), "success": 0.99, "reputation": 0.99,
            "share": round(share, 3), "barred": None, "half_open": False,
        }
        for name, share in stages.items()
    ]  # fmt: skip
    return {
        "rule": rule["id"], "rule_name": rule["name"], "rules_version": version, "route": taken,
        "why": f"rule {rule['name']}: a draw by health among {len(stages)} routes", "policy": "default",
        "policy_version": 1, "candidates": candidates,
    }  # fmt: skip


def sandboxed() -> Ways:
    """The one way of mail sent with a test key."""
    why = "sent with a test key: no mail server is ever contacted"
    told = {"route": SANDBOX, "why": why, "policy": "default", "policy_version": 1}
    way = Way(SANDBOX, json.dumps(told))
    return Ways(dict.fromkeys(SHARES, (way, way)))
