"""Everything the page of one message shows, gathered in one place: where it stands in words, its steps, tries, webhooks, request
and sender. Reads only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from messaging import alignment, queries, viewing
from messaging.alignment import Alignment
from messaging.delivery import default_route, destinations
from messaging.delivery.ways import Kind
from messaging.models import Attachment, CapturedMail, DeadLetter, Message, Status
from messaging.routes import registry
from sendarix.accounts import request_log
from sendarix.accounts.models import ApiKey, LoggedRequest
from sendarix.dashboard import explaining
from sendarix.dashboard.explaining import Explanation, Facts
from sendarix.dashboard.pages import Visit
from suppressions import queries as suppressions
from suppressions.models import Suppression
from webhooks import queries as webhooks

MOST_DELIVERIES = 30
HOSTED = (Kind.SMTP, Kind.PROVIDER)
"""Routes with a host of their own."""


@dataclass(frozen=True, slots=True)
class Step:
    """One event: `gap` seconds after the one before, None for the first."""

    status: str
    at: datetime
    gap: float | None
    data: dict[str, Any]

    @property
    def said(self) -> dict[str, Any]:
        """The reply that it tells of, a mail server's or a provider's; empty without one."""
        return self.data.get("smtp") or self.data.get("api") or {}


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that made it: by which key (None: gone, or no key but a person), and what the log still knows of it."""

    key_id: str
    key: ApiKey | None
    request_id: str
    logged: LoggedRequest | None
    replays: int

    @property
    def person(self) -> bool:
        """Sent again by somebody on these pages."""
        return self.key_id.startswith("user:")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook delivery of one of its events."""

    url: str
    endpoint_id: str
    shown: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dossier:
    """`letter`: it lies among the dead letters."""

    message: Message
    whole: dict[str, Any]
    explanation: Explanation
    who: str
    steps: Sequence[Step]
    tries: Sequence[dict[str, Any]]
    deliveries: Sequence[Delivery]
    origin: Origin
    alignment: Alignment
    files: Sequence[Attachment]
    suppression: Suppression | None
    letter: DeadLetter | None
    capture: CapturedMail | None

    @property
    def ended(self) -> bool:
        return self.message.ended_at is not None

    @property
    def redacted(self) -> bool:
        return self.message.content.redacted_at is not None

    @property
    def may_retry(self) -> bool:
        waits = self.message.status == Status.DEFERRED and self.message.due_at is not None
        return waits or (self.letter is not None and not self.redacted)

    @property
    def may_cancel(self) -> bool:
        return self.message.due_at is not None

    @property
    def may_reschedule(self) -> bool:
        return self.message.status == Status.SCHEDULED and self.message.due_at is not None

    @property
    def expects_news(self) -> bool:
        """Whether looking again soon may show more."""
        return not self.ended or any(one.shown["status"] == "waiting" for one in self.deliveries)


def gather(visit: Visit, message_id: str, now: datetime) -> Dossier:
    """Raises NotFound for an unknown message and for anybody else's alike."""
    message = queries.one(visit.caller, message_id)
    whole, tries = queries.shown_whole(message), queries.attempts(message)
    domain = message.content.recipient_key.rpartition("@")[2]
    who = explaining.destination(domain, destinations.provider(domain))
    facts = Facts(whole, tries, who, now, clock_of(visit, now), _hosted(visit, tries))
    return Dossier(
        message=message,
        whole=whole,
        explanation=explaining.explain(facts),
        who=who,
        steps=steps(whole["events"]),
        tries=[{**one, "at": datetime.fromisoformat(one["at"])} for one in tries],
        deliveries=_deliveries(visit, message.id),
        origin=_origin(visit, message),
        alignment=alignment.of_message(message),
        files=viewing.attachments(message) if message.content.attachment_count else [],
        suppression=suppressions.of_keys(visit.caller, [message.content.recipient_key]).get(
            message.content.recipient_key
        ),
        letter=DeadLetter.objects.filter(message_id=message.id).first(),
        capture=CapturedMail.objects.filter(message_id=message.id, account_id=message.account_id).last(),
    )


def _hosted(visit: Visit, tries: Sequence[dict[str, Any]]) -> frozenset[str]:
    """Of the routes taken, the smarthosts and providers that there still are."""
    last_resort = default_route.default_route()
    named = registry.visible(visit.account.pk).filter(kind__in=HOSTED, name__in={one["route"] for one in tries})
    return frozenset(
        [*named.values_list("name", flat=True), *([last_resort.name] if last_resort.kind in HOSTED else [])]
    )


def clock_of(visit: Visit, now: datetime) -> Callable[[datetime], str]:
    """Says a time in the account's zone, with the zone's name: 14:35 KST, of another day with its date."""
    zone = ZoneInfo(visit.account.timezone)

    def clock(at: datetime) -> str:
        local = at.astimezone(zone)
        today = local.date() == now.astimezone(zone).date()
        return f"{local:%H:%M %Z}" if today else f"{local:%Y-%m-%d %H:%M %Z}"

    return clock


def steps(events: Sequence[dict[str, Any]]) -> list[Step]:
    made: list[Step] = []
    for event in events:
        at = datetime.fromisoformat(event["at"])
        gap = (at - made[-1].at).total_seconds() if made else None
        made.append(Step(event["data"]["status"], at, gap, event["data"]))
    return made


def _deliveries(visit: Visit, message_id: str) -> list[Delivery]:
    rows = list(webhooks.of_message(visit.caller, message_id)[:MOST_DELIVERIES])
    shown = webhooks.shown_deliveries(rows)
    return [
        Delivery(row.endpoint.url, row.endpoint_id, {**one, "created_at": row.created_at, "due_at": row.due_at})
        for row, one in zip(rows, shown, strict=True)
    ]


def _origin(visit: Visit, message: Message) -> Origin:
    account_id, content = visit.account.pk, message.content
    logged = request_log.one(account_id, visit.livemode, content.request_id)
    replays = 0
    if logged is not None and logged.message_id:
        replays = request_log.replays(account_id, visit.livemode, logged.message_id).count()
    key = ApiKey.objects.filter(account_id=account_id, id=content.key_id).first()
    return Origin(content.key_id, key, content.request_id, logged, replays)
