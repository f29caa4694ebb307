"""What delivery and the alerts would have written down of the month's two incidents: health of paths, changes of their breakers,
alerts past and open."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from analytics.models import Alert, AlertRule
from messaging.models import PathChange, PathHealth
from sendarix.core import ids
from sendarix.demo.shapes import Incident
from sendarix.demo.surroundings import Surroundings

BUSY = ("gmail", "naver", "kakao", "microsoft", "apple", "yahoo", "hanbit.example", "mirae.example", "dasan.example")


def write(made: Surroundings, account_id: int, incidents: Sequence[Incident], now: datetime) -> None:
    past, present = incidents
    PathHealth.objects.bulk_create(
        [_health(route, place, number, now) for route in made.routes.values() for number, place in enumerate(BUSY)]
    )
    _changes(made, past, present, now)
    _alerts(made, account_id, past, present, now)


def _health(route: str, place: str, number: int, now: datetime) -> PathHealth:
    ill = place == "yahoo"
    volume = 900.0 / (number + 1)
    breaker = {"breaker": "half_open", "changed_at": now - timedelta(minutes=2), "openings": 3} if ill else {}
    return PathHealth(
        route_id=route, destination=place, delivered=volume * (0.2 if ill else 0.97), deferred=volume * (0.8 if ill else 0.02),
        bounced=volume * 0.006, failed=0.0, milliseconds=800 + 130 * number, updated_at=now, **breaker,
    )  # fmt: skip


def _changes(made: Surroundings, past: Incident, present: Incident, now: datetime) -> None:
    figures = {"delivered": 41.2, "deferred": 118.6, "bounced": 0.4, "failed": 0.0, "complained": 0.0, "openings": 1}
    strained = "85% of the last tries were deferred or failed"
    steps: list[tuple[str, datetime, str, str, str]] = []
    for place, began, ended in (("naver", past.began, past.ended), ("yahoo", present.began, now)):
        at = began + timedelta(minutes=6)
        while at < ended - timedelta(minutes=4):
            steps.append((place, at, "closed" if len(steps) % 3 == 0 else "half_open", "open", strained))
            steps.append((place, at + timedelta(minutes=20), "open", "half_open", "its rest is over: probes go out"))
            at += timedelta(minutes=24)
        if place == "naver":
            steps.append((place, ended, "half_open", "closed", "5 probes in a row were taken"))
    PathChange.objects.bulk_create(
        [
            PathChange(
                route_id=route, destination=place, at=at, before=before, after=after, reason=reason, figures=figures
            )
            for place, at, before, after, reason in steps
            if at < now
            for route in made.routes.values()
        ]
    )


def _alerts(made: Surroundings, account_id: int, past: Incident, present: Incident, now: datetime) -> None:
    defers, slow, volume = (
        made.alerts[name] for name in ("A provider defers our mail", "Sign-in codes are slow", "Key sends far more than usual")
    )  # fmt: skip
    day = timedelta(days=1)
    quarter = timedelta(minutes=15)
    told: list[tuple[AlertRule, str, datetime, datetime | None, Mapping[str, Any]]] = [
        (volume, made.keys["orders"], now - 16 * day, now - 16 * day + quarter, {"value": 1240.0, "usual": 61.0, "volume": 1240}),
        (defers, past.domain.partition(".")[0], past.began + quarter, past.ended + quarter, {"value": 0.83, "volume": 412}),
        (slow, "otp-code", past.began + 2 * quarter, past.ended + quarter, {"value": 96.0, "volume": 208}),
        (defers, present.domain.partition(".")[0], present.began + quarter, None, {"value": 0.79, "volume": 37}),
    ]  # fmt: skip
    for rule, subject, fired, resolved, figures in told:
        Alert.objects.create(
            id=ids.from_number("alt", fired, 1), account_id=account_id, livemode=True, rule_id=rule.id, rule_name=rule.name,
            metric=rule.metric, compare=rule.compare, window_seconds=rule.window_seconds, scope=rule.scope,
            subject=subject, threshold=rule.threshold or 8.0 * figures.get("usual", 0.0), worst=figures["value"],
            fired_at=fired, seen_at=resolved or now, resolved_at=resolved, resolution="recovered" if resolved else None,
            **figures,
        )  # fmt: skip
