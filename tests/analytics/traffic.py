"""Made-up mail of an account: messages with whole stories of events, written as delivery writes them, at times of the past."""

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from sendarix.core import ids
from tests.world import Company

NOON = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=6)
"""Some whole hour of today, or of the night before."""

STORIES: tuple[tuple[str, ...], ...] = (
    ("queued", "accepted", "delivered"),
    ("queued", "accepted", "delivered", "complained"),
    ("queued", "accepted", "delivered", "bounced"),
    ("queued", "accepted", "deferred", "deferred", "delivered"),
    ("queued", "accepted", "deferred", "bounced", "queued", "accepted", "delivered"),
    ("queued", "accepted", "bounced"),
    ("queued", "suppressed"),
    ("queued", "expired"),
    ("scheduled", "canceled"),
    ("scheduled", "queued", "accepted", "delivered", "unsubscribed"),
)
CAUSES = ("mailbox_unknown", "retries_exhausted", "policy", "mailbox_full")


def message(
    owner: Company,
    story: Iterable[str] = STORIES[0],
    at: datetime = NOON,
    gap: float = 1.0,
    livemode: bool = True,
    database: BaseDatabaseWrapper | None = None,
    **fields: Any,
) -> str:
    """One message that was accepted at `at`, with an event every `gap` seconds, in one transaction; its id."""
    kept = {
        "recipient_key": "kim@hanbit.example", "sender": "Acme <hello@acme.example>", "template": None, "tags": [],
        "key_id": "key_1", "tier": 2, "route": "first", "reason": "policy", "scheduled_time": None,
    } | fields  # fmt: skip
    made = ids.new("msg")
    with (database or connections["default"]).cursor() as cursor:
        cursor.execute(
            "INSERT INTO messages (id, account_id, livemode, status, tier, created_at, scheduled_time, sequence, fence, marked,"
            " attempt) VALUES (%s, %s, %s, 'queued', %s, %s, %s, 1, 0, false, 0)",
            [made, owner.account.pk, livemode, kept["tier"], at, kept["scheduled_time"]],
        )
        cursor.execute(
            "INSERT INTO message_contents (message_id, account_id, livemode, recipient, recipient_key, sender, subject,"
            " shown_subject, headers, template, tags, metadata, sensitive, size, attachment_count, key_id, request_id,"
            " unsubscribe, override)"
            " VALUES (%s, %s, %s, %s, %s, %s, '', '', '{}', %s, %s, '{}', '{}', 1, 0, %s, '', false, false)",
            [made, owner.account.pk, livemode, kept["recipient_key"], kept["recipient_key"], kept["sender"],
             kept["template"], kept["tags"], kept["key_id"]],
        )  # fmt: skip
        previous = None
        for sequence, kind in enumerate(story, start=1):
            event(cursor, owner, made, kind, previous, sequence, at + (sequence - 1) * timedelta(seconds=gap), kept)
            previous = kind
    return made


def event(
    cursor: Any,
    owner: Company,
    message_id: str,
    kind: str,
    previous: str | None,
    sequence: int,
    at: datetime,
    kept: Any,
) -> None:
    data: dict[str, Any] = {}
    if kind in ("accepted", "delivered", "deferred", "bounced"):
        data["route"] = kept["route"]
    if kind in ("deferred", "bounced"):
        data["reason"] = kept["reason"]
    cursor.execute(
        "INSERT INTO events (message_id, account_id, livemode, type, previous, sequence, at, data, transaction)"
        " SELECT id, account_id, livemode, %s, %s, %s, %s, %s, pg_current_xact_id()::text::bigint FROM messages WHERE id = %s",
        [kind, previous, sequence, at, json.dumps(data), message_id],
    )


def random_mail(owner: Company, count: int, seed: int, hours: int = 4) -> None:
    """Messages of all stories, over some hours, a transaction for every few of them."""
    rng = random.Random(seed)
    for _ in range(0, count, 5):
        with transaction.atomic():
            for _ in range(5):
                _random_message(owner, rng, hours)


def _random_message(owner: Company, rng: random.Random, hours: int) -> None:
    domains: Sequence[str] = ("gmail.com", "naver.com", "hanmail.net", "hanbit.example", f"d{rng.randrange(9)}.example")
    message(
        owner,
        rng.choice(STORIES),
        NOON - timedelta(seconds=rng.randrange(hours * 3600)),
        rng.choice((0.004, 0.3, 7.0, 900.0)),
        livemode=rng.random() < 0.8,
        recipient_key=f"user{rng.randrange(50)}@{rng.choice(domains)}",
        sender=rng.choice(("Acme <hello@acme.example>", "news@ACME.example", "no-reply@mail.acme.example")),
        template=rng.choice((None, "otp-code", "receipt")),
        tags=rng.sample(["login", "spring", "vip"], rng.randrange(3)),
        key_id=rng.choice(("key_1", "key_2")),
        tier=rng.randrange(4),
        route=rng.choice(("first", "second")),
        reason=rng.choice(CAUSES),
    )
