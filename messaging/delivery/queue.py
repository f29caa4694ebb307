"""The messages table as the queue: claim, mark, give back, recover. Plain SQL, because this is the hot path (the ORM row by row
is many times slower: docs/decisions.md). A claim is good while its worker beats (beats.py).
Time is always the database's."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from messaging import lifecycle
from messaging.delivery import destinations, identities
from messaging.delivery.beats import DISPATCHER, LEASE, WATCHDOG
from messaging.delivery.identities import UNSIGNED, Identity
from messaging.delivery.routing import Choice
from messaging.delivery.ways import Facts
from messaging.models import Status, Tier
from sendarix.accounts import audit
from sendarix.core import addresses
from sendarix.core.statements import Statement
from suppressions import services as suppressions
from suppressions.models import Reason

MOST_ACCOUNTS = 200
"""Accounts of a tier that one look considers; the next look goes on behind them. Those of the oldest due messages are always
among them, so that nothing starves behind accounts whose messages wait for their time."""

DRAIN = "messaging.tasks.drain"
"""The django-q2 task that looks at the queue."""

INLINE_LIMIT = 256 * 1024
"""Bodies up to this many octets come with the claim; a larger one is read when its turn comes."""


@dataclass(slots=True)
class Claim:
    """A due message as the worker gets it: its state, its envelope and (when small) its body."""

    id: str
    account_id: int
    livemode: bool
    status: Status
    fence: int
    attempt: int
    tier: int
    created_at: datetime
    expires_at: datetime | None
    due_at: datetime
    now: datetime
    sender: str
    recipient: str
    recipient_key: str
    subject: str
    reply_to: str | None
    headers: str
    size: int
    attachment_count: int
    unsubscribe: bool
    override: bool
    template: str | None
    tags: list[str]
    key_id: str
    html: str | None
    text: str | None
    suppressed: str | None = None
    choice: Choice | None = None
    identity: Identity = UNSIGNED
    _facts: Facts | None = None

    @property
    def domain(self) -> str:
        return self.recipient_key.rpartition("@")[2]

    @property
    def facts(self) -> Facts:
        """As they were when first asked for: a message keeps its destination, whatever is found out meanwhile."""
        if self._facts is None:
            domain = self.domain
            self._facts = Facts(
                account_id=self.account_id,
                livemode=self.livemode,
                tier=self.tier,
                domain=domain,
                provider=destinations.provider(domain),
                mail_hosts=destinations.hosts(domain),
                template=self.template,
                tags=tuple(self.tags),
                sender_domain=self.sender_domain,
                key_id=self.key_id,
                size=self.size,
            )
        return self._facts

    @property
    def sender_domain(self) -> str:
        return _domain_of(self.sender)

    @property
    def overridden(self) -> bool:
        """Whether it goes out although its recipient is suppressed: security mail to one who unsubscribed, nothing else."""
        return self.override and self.suppressed == Reason.USER_UNSUBSCRIBED


@functools.lru_cache(maxsize=10_000)
def _domain_of(sender: str) -> str:
    return addresses.parse(sender).domain


Decision = list[lifecycle.Change]
"""The changes of one claimed message, in order: one, or more when it has to pass through a status on its way."""

Decide = Callable[[Sequence[Claim]], Mapping[str, Decision]]

# BETWEEN and not =, because then only the index of turns gives the order; by the index of due times one account's rows would
# be looked for behind all those of the others.
_CLAIM = Statement(
    "claim_messages",
    """
WITH RECURSIVE waiting (tier, half, account_id, upto, is_due, place, seen) AS (
    SELECT t.tier, h.*, false, 0, 0 FROM unnest(%(tiers)s::int[]) AS t(tier),
        (VALUES (1, %(after)s::bigint, 9223372036854775807), (2, -1, %(after)s::bigint)) AS h(half, account_id, upto)
    UNION ALL
    SELECT w.tier, w.half, next.account_id, w.upto, next.is_due, w.place + next.is_due::int, w.seen + 1 FROM waiting w, LATERAL (
        SELECT m.account_id, m.due_at <= statement_timestamp() AS is_due FROM messages m
        WHERE m.tier = w.tier AND m.due_at IS NOT NULL AND m.account_id > w.account_id AND m.account_id <= w.upto
        ORDER BY m.account_id, m.due_at LIMIT 1
    ) next WHERE w.place < %(accounts)s::int AND w.seen < 5 * %(accounts)s::int
), found AS (
    SELECT tier, half, place, account_id FROM waiting WHERE is_due
    UNION ALL
    SELECT t.tier, 3, 0, q.account_id FROM unnest(%(tiers)s::int[]) AS t(tier), LATERAL (
        SELECT m.account_id FROM messages m WHERE m.tier = t.tier AND m.due_at <= statement_timestamp()
        ORDER BY m.due_at, m.id LIMIT %(room)s::int
    ) q
), shares AS (
    SELECT tier, half, place, account_id, count(*) OVER one AS accounts, greatest(1, %(room)s::int / count(*) OVER one) AS share
    FROM (SELECT DISTINCT ON (tier, account_id) * FROM found ORDER BY tier, account_id, half) once
    WINDOW one AS (PARTITION BY tier)
), turns AS (
    SELECT tier, 1 AS round, half, place, account_id, 0 AS passed, share AS most FROM shares
    UNION ALL SELECT tier, 2, half, place, account_id, share, %(room)s::int FROM shares WHERE accounts > 1
), due AS MATERIALIZED (
    SELECT q.* FROM (SELECT * FROM turns ORDER BY tier, round, half, place) t, LATERAL (
        SELECT m.id, m.account_id, m.livemode, m.status, m.fence, m.attempt, m.tier, m.created_at, m.expires_at, m.due_at
        FROM messages m WHERE m.tier = t.tier AND m.account_id BETWEEN t.account_id AND t.account_id
            AND m.due_at <= statement_timestamp()
        ORDER BY m.account_id, m.due_at, m.id OFFSET t.passed LIMIT t.most FOR UPDATE SKIP LOCKED
    ) q LIMIT %(room)s::int
)
SELECT d.id, d.account_id, d.livemode, d.status, d.fence, d.attempt, d.tier, d.created_at, d.expires_at, d.due_at,
    clock_timestamp(), c.sender, c.recipient, c.recipient_key, c.subject, c.reply_to, c.headers::text, c.size, c.attachment_count,
    c.unsubscribe, c.override, c.template, c.tags, c.key_id,
    CASE WHEN c.size <= %(inline)s::int THEN c.html END, CASE WHEN c.size <= %(inline)s::int THEN c.text END
FROM due d JOIN message_contents c ON c.message_id = d.id
ORDER BY d.tier, d.due_at, d.id
""",
)


def claim(worker: str, room: int, decide: Decide, after: int = 0, tiers: Sequence[Tier] = tuple(Tier)) -> list[Claim]:
    """Take up to `room` due messages of these tiers, decide each, return those now held.

    Highest tier first. Within a tier the accounts share the room evenly, each its oldest first, and what some leave over goes to
    the others: one account's flood does not starve another. When there are more accounts than room, those after account `after`
    have their turn first.

    One short transaction: the rows stay locked while the policy decides, so a cancel or a suppression committed before it is
    seen, and one that comes later finds the message claimed; a sender domain that went away is seen within identities.LIVES.
    `decide` must not touch the network. The commit is flushed: a claim that the database forgot in a crash would be given out
    again under the same fence, and both workers would mark and send. The look is the transaction's first statement, so that its
    events come after those of the messages it saw (queries.feed). It may meet a row twice whose lock somebody else let go
    meanwhile; it counts once."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            asked = {
                "room": room,
                "after": after,
                "tiers": list(tiers),
                "accounts": MOST_ACCOUNTS,
                "inline": INLINE_LIMIT,
            }
            _CLAIM.run(cursor, asked)
            claims = list({row[0]: Claim(*row) for row in cursor.fetchall()}.values())
        if not claims:
            return []
        destinations.prefetch(one.domain for one in claims)
        listed = suppressions.suppressed((c.account_id, c.livemode, c.recipient_key) for c in claims)
        identities.prefetch((c.account_id, c.sender_domain) for c in claims)
        for one in claims:
            one.suppressed = listed.get((one.account_id, one.livemode, one.recipient_key))
            one.identity = identities.of(one.account_id, one.sender_domain)
        decisions = decide(claims)
        for round in itertools.zip_longest(*(steps for steps in decisions.values())):
            lifecycle.record([step for step in round if step is not None])
        bury([steps[-1].message_id for steps in decisions.values() if steps[-1].status == Status.BOUNCED])
        _audit_overrides([c for c in claims if c.overridden and decisions[c.id][-1].status == Status.ACCEPTED])
    held = []
    for one in claims:
        last = decisions[one.id][-1]
        if last.worker == worker:
            one.status, one.fence = last.status, one.fence + 1
            held.append(one)
    return held


def bury(message_ids: Sequence[str]) -> None:
    """Make dead letters of messages that have just bounced, in the same transaction."""
    if not message_ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dead_letters (message_id, account_id, livemode, cause, at)"
            " SELECT m.id, m.account_id, m.livemode, m.reason, clock_timestamp() FROM messages m WHERE m.id = ANY(%s)",
            [list(message_ids)],
        )


def _audit_overrides(claims: Sequence[Claim]) -> None:
    """The act is that of the key and request which asked for it."""
    if not claims:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT message_id, request_id FROM message_contents WHERE message_id = ANY(%s)", [[c.id for c in claims]]
        )
        requests = dict(cursor.fetchall())
    for one in claims:
        actor = audit.Actor(one.account_id, one.key_id, request_id=requests[one.id])
        after = {"message_id": one.id, "reason": one.suppressed}
        audit.record(actor, "suppression.overridden", one.recipient, after=after)


_MARK = Statement(
    "mark_messages",
    "UPDATE messages m SET marked = true FROM unnest(%(ids)s::text[], %(fences)s::int[]) AS h(id, fence)"
    " WHERE m.id = h.id AND m.fence = h.fence RETURNING m.id",
)


def mark(holds: Sequence[tuple[str, int]]) -> set[str]:
    """Note durably that the final dot of these (message id, fence) is about to be written; returns those still held."""
    with connection.cursor() as cursor:
        _MARK.run(cursor, {"ids": [hold[0] for hold in holds], "fences": [hold[1] for hold in holds]})
        return {row[0] for row in cursor.fetchall()}


def body(message_id: str) -> tuple[str | None, str | None]:
    """(html, text) of a message whose body did not come with its claim."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT html, text FROM message_contents WHERE message_id = %s", [message_id])
        return cursor.fetchone() or (None, None)


@dataclass(frozen=True, slots=True)
class Lost:
    """A claimed message whose worker is gone. `marked`: its final dot may have been written."""

    id: str
    status: Status
    fence: int
    attempt: int
    livemode: bool
    marked: bool
    expires_at: datetime | None
    first_due: datetime
    now: datetime
    account_id: int
    tier: int
    recipient_key: str
    template: str | None
    tags: list[str]

    @property
    def domain(self) -> str:
        return self.recipient_key.rpartition("@")[2]

    @property
    def facts(self) -> Facts:
        """As far as policies ask."""
        provider = destinations.provider(self.domain)
        return Facts(
            self.account_id,
            self.livemode,
            self.tier,
            self.domain,
            provider,
            template=self.template,
            tags=tuple(self.tags),
        )


def lost(limit: int = 500) -> list[Lost]:
    """Claims of workers that no longer beat, locked for the caller's transaction.

    The lease counts from the start of the database at the earliest: after an outage each worker gets a whole one, unless it has
    left. So does one that the database does not know: a crash of a backend empties unlogged tables without a new start."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO delivery_workers (id, cluster, beat_at, looks_until)"
            " SELECT DISTINCT m.worker, '', clock_timestamp(), '-infinity'::timestamptz FROM messages m"
            " WHERE m.worker IS NOT NULL AND NOT EXISTS (SELECT FROM delivery_workers w WHERE w.id = m.worker)"
            " ON CONFLICT DO NOTHING"
        )
        cursor.execute(
            "SELECT m.id, m.status, m.fence, m.attempt, m.livemode, m.marked, m.expires_at,"
            " coalesce(m.scheduled_time, m.created_at), clock_timestamp(), m.account_id, m.tier, c.recipient_key, c.template,"
            " c.tags"
            " FROM messages m JOIN delivery_workers w ON w.id = m.worker JOIN message_contents c ON c.message_id = m.id"
            " WHERE w.beat_at = '-infinity' OR greatest(w.beat_at, pg_postmaster_start_time()) < clock_timestamp() - %s"
            " ORDER BY m.id LIMIT %s FOR UPDATE OF m SKIP LOCKED",
            [LEASE, limit],
        )
        found = [Lost(*row) for row in cursor.fetchall()]
    destinations.prefetch(one.domain for one in found)
    return found


@dataclass(frozen=True, slots=True)
class Look:
    """The queue at a glance, for the dispatcher, the watchdog and the health page. Ages and waits in seconds.

    `drain_age` is the age of the newest beat of a drain, `cluster_age` of a cluster's watchdog, `dispatcher_age` of a dispatcher;
    None without any."""

    due: int
    oldest_age: float
    next_in: float | None
    looking: bool
    drain_age: float | None
    cluster_age: float | None
    dispatcher_age: float | None


def look(most: int = 1_000) -> Look:
    """Counts due messages up to `most`; next_in is None when nothing waits for its time."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT
                (SELECT count(*) FROM (SELECT FROM unnest(ARRAY[0, 1, 2, 3]) AS t(tier), LATERAL (
                    SELECT FROM messages m WHERE m.tier = t.tier AND m.due_at <= statement_timestamp() LIMIT %(most)s) q
                    LIMIT %(most)s) counted),
                (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(oldest)), 0)
                    FROM unnest(ARRAY[0, 1, 2, 3]) AS t(tier),
                    LATERAL (SELECT min(m.due_at) AS oldest FROM messages m
                        WHERE m.tier = t.tier AND m.due_at <= statement_timestamp()) q),
                (SELECT extract(epoch FROM min(soonest) - clock_timestamp()) FROM unnest(ARRAY[0, 1, 2, 3]) AS t(tier),
                    LATERAL (SELECT min(m.due_at) AS soonest FROM messages m
                        WHERE m.tier = t.tier AND m.due_at > statement_timestamp()) q),
                EXISTS (SELECT FROM delivery_workers WHERE looks_until > clock_timestamp()),
                (SELECT extract(epoch FROM clock_timestamp() - max(beat_at)) FROM delivery_workers
                    WHERE cluster <> ALL (ARRAY[%(watch)s, %(dispatch)s]) AND isfinite(beat_at)),
                (SELECT extract(epoch FROM clock_timestamp() - max(beat_at)) FROM delivery_workers
                    WHERE cluster = %(watch)s AND isfinite(beat_at)),
                (SELECT extract(epoch FROM clock_timestamp() - max(beat_at)) FROM delivery_workers
                    WHERE cluster = %(dispatch)s AND isfinite(beat_at))
            """,
            {"most": most, "watch": WATCHDOG, "dispatch": DISPATCHER},
        )
        due, oldest, soonest, looking, *ages = cursor.fetchone()
    next_in, *ages = (None if value is None else float(value) for value in (soonest, *ages))
    return Look(due, float(oldest), next_in, looking, *ages)


def by_tier() -> list[tuple[str, int, int, int]]:
    """(tier, waiting for their time or due, due, claimed) for every tier, for the metrics page."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tier, count(*) FILTER (WHERE due_at IS NOT NULL), count(*) FILTER (WHERE due_at <= clock_timestamp()),"
            " count(*) FILTER (WHERE worker IS NOT NULL) FROM messages WHERE due_at IS NOT NULL OR worker IS NOT NULL"
            " GROUP BY tier"
        )
        counts = {tier: tuple(rest) for tier, *rest in cursor.fetchall()}
    return [(tier.label, *counts.get(tier.value, (0, 0, 0))) for tier in Tier]
