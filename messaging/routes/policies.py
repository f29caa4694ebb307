"""The delivery policies of an account: how hard its messages are tried. Which one a message has, routing.policy_of decides."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from messaging.delivery import destinations, routebook, routing, ways
from messaging.delivery.ways import Facts
from messaging.models import DeliveryPolicy, Message
from messaging.routes import registry
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.core import addresses, ids
from sendarix.core.errors import ApiError, Conflict, NotFound

MOST = 200
"""Policies of one account."""

FIELDS = ("name", "position", "enabled", "when", "retry_ladder", "ttl_seconds", "uncertain", "pacing")


def visible(account_id: int) -> QuerySet[DeliveryPolicy]:
    """An account's policies and the platform's, by position."""
    return DeliveryPolicy.objects.filter(Q(account_id=account_id) | Q(account_id=None)).order_by("position", "id")


def one(account_id: int, policy_id: str) -> DeliveryPolicy:
    try:
        return visible(account_id).get(id=policy_id)
    except DeliveryPolicy.DoesNotExist:
        raise NotFound from None


def create(account_id: int, fields: Mapping[str, Any], actor: Actor) -> DeliveryPolicy:
    with transaction.atomic():
        registry.lock(account_id)
        if DeliveryPolicy.objects.filter(account_id=account_id).count() >= MOST:
            raise Conflict(f"An account may have at most {MOST} delivery policies.")
        policy = DeliveryPolicy.objects.create(id=ids.new("pol"), account_id=account_id, **fields)
        audit.record(actor, "delivery_policy.created", policy.id, after=_told(policy))
    routebook.forget()
    return policy


def update(account_id: int, policy_id: str, fields: Mapping[str, Any], actor: Actor) -> DeliveryPolicy:
    """A new version, when anything changes. Raises NotFound, and ApiError (forbidden) for the platform's."""
    with transaction.atomic():
        registry.lock(account_id)
        policy = _own(account_id, policy_id)
        before = _told(policy)
        for name, value in fields.items():
            setattr(policy, name, value)
        after = _told(policy)
        changed = [name for name in FIELDS if before[name] != after[name]]
        if changed:
            policy.version += 1
            policy.save()
            told = [{name: values[name] for name in changed} for values in (before, after)]
            audit.record(actor, "delivery_policy.updated", policy.id, *told)
    routebook.forget()
    return policy


def remove(account_id: int, policy_id: str, actor: Actor) -> None:
    with transaction.atomic():
        registry.lock(account_id)
        policy = _own(account_id, policy_id)
        audit.record(actor, "delivery_policy.removed", policy.id, before=_told(policy))
        DeliveryPolicy.objects.filter(id=policy.id).delete()
    routebook.forget()


def _own(account_id: int, policy_id: str) -> DeliveryPolicy:
    policy = one(account_id, policy_id)
    if policy.account_id != account_id:
        raise ApiError("This policy is the platform's; only its operator may change it.", code="forbidden")
    return policy


def _told(policy: DeliveryPolicy) -> dict[str, Any]:
    return {name: getattr(policy, name) for name in FIELDS}


def in_force(policy: ways.Policy) -> dict[str, Any]:
    """A policy with the defaults where it says nothing: what really holds."""
    ladder = settings.RETRY_LADDER if policy.ladder is None else policy.ladder
    return {
        "id": policy.id,
        "name": policy.name,
        "version": policy.version,
        "retry_ladder": list(ladder),
        "ttl_seconds": round(policy.ttl.total_seconds()) if policy.ttl else None,
        "uncertain": "hold" if policy.holds_uncertain else "retry",
        "pacing": {name: getattr(policy, name) for name in ("connections", "per_connection", "per_minute")},
    }


def of_message(message: Message) -> dict[str, Any]:
    """The policy in force for a message, as things stand."""
    return in_force(routing.policy_of(routebook.snapshot(), facts_of(message)))


def facts_of(message: Message) -> Facts:
    """What routing asks of a stored message."""
    content = message.content
    domain = content.recipient_key.rpartition("@")[2]
    destinations.prefetch([domain])
    return Facts(
        account_id=message.account_id,
        livemode=message.livemode,
        tier=message.tier,
        domain=domain,
        provider=destinations.provider(domain),
        mail_hosts=destinations.hosts(domain),
        template=content.template,
        tags=tuple(content.tags),
        sender_domain=addresses.parse(content.sender).domain,
        key_id=content.key_id,
        size=content.size,
    )
