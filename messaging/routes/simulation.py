"""What routing would decide: routing.choose over the newest snapshot, with the rules it passed on its way and the state of the
limits. Stores nothing, and gives the same answer for the same question and state."""

from collections.abc import Iterable
from datetime import datetime
from random import Random
from typing import Any

from messaging.delivery import destinations, pacing, policy, routing
from messaging.delivery.pacing import Limit
from messaging.delivery.routing import Choice
from messaging.delivery.ways import Conditions, Facts, Route, Snapshot
from messaging.models import Tier
from messaging.routes import policies
from sendarix.accounts.keys import Caller
from sendarix.core import addresses
from sendarix.core.times import zulu


def made_up(
    caller: Caller,
    *,
    recipient: str | None,
    priority: str,
    template: str | None,
    tags: Iterable[str],
    sender: str | None,
    size: int,
    provider: str | None,
    livemode: bool | None,
) -> Facts:
    """The facts of a message that does not exist, as the caller would send it."""
    domain = addresses.parse(recipient or "").key.rpartition("@")[2]
    destinations.prefetch([domain])
    named = sender or caller.default_sender
    return Facts(
        account_id=caller.account_id,
        livemode=caller.livemode if livemode is None else livemode,
        tier=Tier[priority.upper()].value,
        domain=domain,
        provider=provider or destinations.provider(domain),
        mail_hosts=destinations.hosts(domain),
        template=template,
        tags=tuple(tags),
        sender_domain=addresses.parse(named).domain if named else "",
        key_id=caller.key_id,
        size=size,
    )


def simulate(book: Snapshot, facts: Facts, now: datetime, seed: str) -> dict[str, Any]:
    """The decision for a message of these facts. Where chance decides between several routes, `seed` does."""
    choice = routing.choose(book, facts, now, Random(seed))
    chosen = choice.route
    return {
        "action": str(choice.action),
        "route": {"id": chosen.id, "name": chosen.name, "kind": str(chosen.kind)} if chosen else None,
        "why": choice.explanation["why"],
        "until": zulu(choice.until),
        "explanation": choice.explanation,
        "rules_version": _version(book, facts),
        "rules": list(_looked_at(book, facts, choice)),
        "pacing": _pacing(book, choice, facts.destination),
        "policy": policies.in_force(choice.policy),
        "message": _told(facts),
    }


def _version(book: Snapshot, facts: Facts) -> int:
    rules = book.rules.get(facts.account_id)
    return rules.version if rules else 0


def _told(facts: Facts) -> dict[str, Any]:
    return {
        "domain": facts.domain,
        "provider": facts.provider,
        "mail_hosts": list(facts.mail_hosts),
        "destination": facts.destination,
        "priority": Tier(facts.tier).label,
        "template": facts.template,
        "tags": list(facts.tags),
        "sender_domain": facts.sender_domain,
        "key": facts.key_id,
        "size": facts.size,
        "livemode": facts.livemode,
    }


def _looked_at(book: Snapshot, facts: Facts, choice: Choice) -> Iterable[dict[str, Any]]:
    """The rules up to the one that holds; none where the decision came before the rules."""
    if not facts.livemode or "pause" in choice.explanation:
        return
    for owner in (facts.account_id, None):
        rules = book.rules.get(owner)
        for rule in rules.rules if rules else ():
            unmet = _unmet(rule.when, facts)
            told = {"id": rule.id, "name": rule.name, "platform": owner is None}
            yield {**told, "matched": not unmet, "why": "; ".join(unmet) or "all its conditions hold"}
            if not unmet:
                return


_UNTAGGED = "tags: none, and none of them is asked for"


def _unmet(when: Conditions, facts: Facts) -> list[str]:
    """The conditions that do not hold, in words. Empty exactly when `when.hold(facts)`."""
    tiers = {Tier(tier).label for tier in when.tiers}
    single = (
        ("domains", when.domains, facts.domain),
        ("providers", when.providers, facts.provider),
        ("tiers", tiers, Tier(facts.tier).label),
        ("templates", when.templates, facts.template),
        ("sender_domains", when.sender_domains, facts.sender_domain),
        ("keys", when.keys, facts.key_id),
    )
    unmet = [
        f"{name}: {value} is not among them" if value else f"{name}: none is not among them"
        for name, wanted, value in single
        if wanted and value not in wanted
    ]
    if when.tags and when.tags.isdisjoint(facts.tags):
        tags = ", ".join(facts.tags)
        unmet.append(f"tags: {tags}, and none of them is asked for" if tags else _UNTAGGED)
    if when.destinations and when.destinations.isdisjoint({facts.destination, facts.domain}):
        unmet.append(f"destinations: {facts.destination} is not among them")
    if when.mail_hosts and not when.names_host(facts.mail_hosts):
        unmet.append(f"mail_hosts: {', '.join(facts.mail_hosts) or 'none known'}, and none of them is asked for")
    if when.larger_than is not None and facts.size <= when.larger_than:
        unmet.append(f"larger_than: {facts.size} octets are not more than {when.larger_than}")
    if when.smaller_than is not None and facts.size >= when.smaller_than:
        unmet.append(f"smaller_than: {facts.size} octets are not fewer than {when.smaller_than}")
    return unmet


def _pacing(book: Snapshot, choice: Choice, destination: str) -> list[dict[str, Any]]:
    """Every limit of every candidate, and of the route taken."""
    limits = [
        (route, limit)
        for route in _concerned(book, choice)
        for limit in policy.limits(route, choice.policy, destination)
    ]
    standing = pacing.standing(limit for _, limit in limits)
    return [_limit(route, limit, *standing[limit.key]) for route, limit in limits]


def _concerned(book: Snapshot, choice: Choice) -> list[Route]:
    named = [book.routes.get(candidate["route"]) for candidate in choice.explanation.get("candidates", ())]
    return list(dict.fromkeys(route for route in (*named, choice.route) if route is not None))


def _limit(route: Route, limit: Limit, used: int, ends_at: datetime) -> dict[str, Any]:
    return {
        "route": route.id,
        "name": route.name,
        "seconds": round(limit.seconds),
        "limit": limit.most,
        "used": used,
        "left": max(0, limit.most - used),
        "ends_at": zulu(ends_at),
    }
