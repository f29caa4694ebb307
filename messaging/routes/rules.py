"""The routing rules of an account: whole ordered sets in versions, of which one is published. A set once made is never changed;
publishing an older one is the roll-back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import Max, QuerySet

from messaging.delivery import routebook
from messaging.models import RuleSet
from messaging.routes import registry
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import ApiKey
from sendarix.core import ids
from sendarix.core.errors import Conflict, FieldError, NotFound, ValidationFailed

Rule = Mapping[str, Any]


def versions(account_id: int) -> QuerySet[RuleSet]:
    """Newest first."""
    return RuleSet.objects.filter(account_id=account_id).order_by("-version")


def version(account_id: int, number: int) -> RuleSet:
    found = versions(account_id).filter(version=number).first()
    if found is None:
        raise NotFound
    return found


def published(account_id: int) -> RuleSet | None:
    return versions(account_id).filter(published=True).first()


def newest(account_id: int) -> int:
    """The highest version, 0 without any."""
    return versions(account_id).order_by().aggregate(newest=Max("version"))["newest"] or 0


def save(
    account_id: int, rules: Sequence[dict[str, Any]], *, note: str, base: int | None, publish: bool, actor: Actor
) -> RuleSet:
    """The next version. Raises ValidationFailed for rules that name what the account does not have, and Conflict when `base` is
    neither the published version nor the newest."""
    with transaction.atomic():
        registry.lock(account_id)
        last, live = newest(account_id), published(account_id)
        if base is not None and base not in (last, live.version if live else 0):
            raise Conflict(f"Version {base} is not the newest any more: {last} is.")
        _check(account_id, rules)
        stored = [{**rule, "id": rule.get("id") or ids.new("rul")} for rule in rules]
        made = RuleSet.objects.create(
            account_id=account_id, version=last + 1, rules=stored, author=actor.id, note=note
        )  # fmt: skip
        made.refresh_from_db()
        if publish:
            _publish(made, live, actor)
    routebook.forget()
    return made


def publish(account_id: int, number: int, actor: Actor) -> RuleSet:
    """Make this version the one in force. Raises NotFound, and ValidationFailed when a route it names is gone."""
    with transaction.atomic():
        registry.lock(account_id)
        wanted, live = version(account_id, number), published(account_id)
        if live is None or live.version != number:
            _check(account_id, wanted.rules)
            _publish(wanted, live, actor)
    routebook.forget()
    return wanted


def _publish(wanted: RuleSet, live: RuleSet | None, actor: Actor) -> None:
    if live is not None:
        RuleSet.objects.filter(pk=live.pk).update(published=False)
    wanted.published, wanted.published_at = True, datetime.now(UTC)
    wanted.save(update_fields=["published", "published_at"])
    before = {"version": live.version} if live else None
    changes = diff(live.rules if live else [], wanted.rules)
    after = {"version": wanted.version, "note": wanted.note, **{kind: len(found) for kind, found in changes.items()}}
    audit.record(actor, "routing_rules.published", f"version {wanted.version}", before, after)


def _check(account_id: int, rules: Sequence[Rule]) -> None:
    """The routes and keys that rules name are the account's, or the platform's."""
    routes = set(registry.visible(account_id).values_list("id", flat=True))
    keys = set(ApiKey.objects.filter(account_id=account_id).values_list("id", flat=True))
    faults = []
    for number, rule in enumerate(rules):
        for stage in ("routes", "fallback"):
            for place, candidate in enumerate(rule["then"].get(stage, ())):
                if candidate["route"] not in routes:
                    field = f"rules.{number}.then.{stage}.{place}.route"
                    faults.append(FieldError(field, "not_found", f"There is no route {candidate['route']}."))
        for place, key in enumerate(rule["when"].get("keys", ())):
            if key not in keys:
                faults.append(FieldError(f"rules.{number}.when.keys.{place}", "not_found", f"There is no key {key}."))
    if faults:
        raise ValidationFailed(faults)


def diff(before: Sequence[Rule], after: Sequence[Rule]) -> dict[str, list[dict[str, Any]]]:
    """What makes `after` of `before`: rules added, removed, changed (field by field) and moved. Positions count from 1; moved are
    as few as can be, so what others' coming and going shifts is not among them."""
    old, new = {rule["id"]: rule for rule in before}, {rule["id"]: rule for rule in after}
    was = {rule["id"]: place for place, rule in enumerate(before, 1)}
    now = {rule["id"]: place for place, rule in enumerate(after, 1)}
    kept = [rule_id for rule_id in new if rule_id in old]
    still = _rising([was[rule_id] for rule_id in kept])
    return {
        "added": [{"position": now[one], "rule": new[one]} for one in new if one not in old],
        "removed": [{"position": was[one], "rule": old[one]} for one in old if one not in new],
        "changed": [
            {"id": one, "name": new[one]["name"], "fields": _fields(old[one], new[one])}
            for one in kept
            if old[one] != new[one]
        ],
        "moved": [
            {"id": one, "name": new[one]["name"], "before": was[one], "after": now[one]}
            for one in kept
            if was[one] not in still
        ],
    }


def _fields(before: Rule, after: Rule) -> list[dict[str, Any]]:
    names = [name for name in ("name", "enabled", "when", "then") if before.get(name) != after.get(name)]
    return [{"field": name, "before": before.get(name), "after": after.get(name)} for name in names]


def _rising(places: Sequence[int]) -> set[int]:
    """A longest rising subsequence."""
    runs: list[list[int]] = []
    for place in places:
        runs.append([*_longest(run for run in runs if run[-1] < place), place])
    return set(_longest(runs))


def _longest(runs: Iterable[list[int]]) -> list[int]:
    return max(runs, key=len, default=[])
