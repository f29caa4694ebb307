"""/v1/queues: what waits and why, holding it back, letting it go, and throwing it away."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from messaging.models import QueuePause, Tier
from messaging.queues import depth, pauses, purge
from messaging.queues.depth import Figures
from messaging.views import queue_calls as calls
from messaging.views.queue_shapes import PauseShape, PurgeShape, ResumeShape
from sendarix.accounts.api import ApiView
from sendarix.core import pagination
from sendarix.core.answers import answer
from sendarix.core.errors import FieldError, ValidationFailed
from sendarix.core.shapes import Page
from sendarix.core.times import zulu


class Queues(ApiView):
    scopes = {"GET": "routing:read"}
    calls = {"GET": calls.QUEUES}

    def get(self, request: HttpRequest) -> HttpResponse:
        found = depth.look(self.key)
        for part in (*found.destinations.values(), *found.routes.values()):
            part.truncated = found.truncated
        seconds = found.seconds
        shown = {
            "at": zulu(found.at),
            "total": _figures(found.total, seconds),
            "tiers": [{"tier": tier, **_figures(part, seconds)} for tier, part in found.tiers.items()],
            "destinations": [
                {"destination": name, **_figures(part, seconds)} for name, part in depth.largest(found.destinations)
            ],
            "routes": [{"route": name, **_figures(part, seconds)} for name, part in depth.largest(found.routes)],
            "waiting": [{"waits_for": kind, **_waiting(part)} for kind, part in depth.largest(found.waits)],
        }
        return answer(shown)


class Pauses(ApiView):
    scopes = {"GET": "routing:read"}
    queries = {"GET": Page}
    calls = {"GET": calls.LIST_PAUSES}

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(Page)
        found = pauses.concerning(self.key.account_id)
        if asked.cursor:
            found = found.filter(id__lt=pagination.decode_cursor(asked.cursor, 1)[0])
        rows = list(found[: asked.limit + 1])
        return answer(pagination.page(rows, asked.limit, lambda row: pagination.encode_cursor(row.id), _pause))


class Pause(ApiView):
    scopes = {"POST": "routing:write"}
    calls = {"POST": calls.PAUSE}

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.read(PauseShape)
        made = pauses.pause(self.key.account_id, asked.conditions, asked.reason, asked.ends_at, self.actor)
        return answer(_pause(made), 201)


class Resume(ApiView):
    scopes = {"POST": "routing:write"}
    calls = {"POST": calls.RESUME}

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.read(ResumeShape)
        done = pauses.resume(self.key.account_id, asked.id or asked.conditions, self.actor)
        return answer({"resumed": done.pauses, "released": done.messages})


class Purge(ApiView):
    scopes = {"POST": "queues:purge"}
    calls = {"POST": calls.PURGE}

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.read(PurgeShape)
        if asked.dry_run:
            found, canceled = purge.matched(self.key, asked.filter.filter), 0
        elif asked.expected is None:
            raise ValidationFailed([FieldError("expected", "required", "Give the count of the preview.")])
        else:
            told = asked.filter.model_dump(mode="json", exclude_none=True)
            found, canceled = purge.purge(self.key, asked.filter.filter, asked.expected, told, self.actor)
        return answer({"dry_run": asked.dry_run, "matched": len(found.ids), "more": found.more, "canceled": canceled})


def _waiting(part: Figures) -> dict[str, Any]:
    return {
        "depth": part.depth,
        "due": part.due,
        "oldest_seconds": None if part.oldest is None else round(part.oldest, 1),
        "truncated": part.truncated,
    }


def _figures(part: Figures, seconds: float) -> dict[str, Any]:
    drain = part.drain_seconds(seconds)
    return {
        **_waiting(part),
        "in_flight": part.in_flight,
        "per_minute": round(part.per_minute(seconds), 1),
        "drain_seconds": None if drain is None else round(drain, 1),
    }


def _pause(row: QueuePause) -> dict[str, Any]:
    return {
        "id": row.id,
        "tier": None if row.tier is None else Tier(row.tier).label,
        "destination": row.destination,
        "route": row.route_id,
        "key": row.key_id,
        "reason": row.reason,
        "platform": row.account_id is None,
        "created_by": row.actor,
        "created_at": zulu(row.created_at),
        "expires_at": zulu(row.expires_at),
    }
