"""/v1/events and /v1/dead-letters: what happened, and what is left to be looked after."""

from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from messaging import actions, queries
from messaging.models import DeadLetter
from messaging.views import calls
from messaging.views.shapes import DeadLetterQuery, EventQuery, RedriveShape
from sendarix.accounts.api import ApiView
from sendarix.core import pagination
from sendarix.core.answers import answer
from sendarix.core.errors import FieldError, ValidationFailed
from sendarix.core.pagination import cursor_part
from sendarix.core.times import zulu


class Events(ApiView):
    """All events of the account and environment in commit order. `next_cursor` is always given: ask again with it."""

    scopes = {"GET": "events:read"}
    queries = {"GET": EventQuery}
    calls = {"GET": calls.EVENTS}

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(EventQuery)
        transaction, number = 0, 0
        if asked.after:
            transaction, number = (cursor_part(int, part) for part in pagination.decode_cursor(asked.after, 2))
        rows = queries.feed(self.key, (transaction, number), asked.limit + 1)
        shown = rows[: asked.limit]
        next_cursor = pagination.encode_cursor(*shown[-1][1]) if shown else asked.after
        return answer(
            {"data": [event for event, _ in shown], "has_more": len(rows) > asked.limit, "next_cursor": next_cursor}
        )


class DeadLetters(ApiView):
    scopes = {"GET": "messages:read"}
    queries = {"GET": DeadLetterQuery}
    calls = {"GET": calls.DEAD_LETTERS}

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(DeadLetterQuery)
        if asked.group:
            return answer({"data": queries.causes_of_death(self.key), "has_more": False, "next_cursor": None})
        found = queries.dead_letters(self.key, asked.cause)
        if asked.cursor:
            found = found.filter(message_id__lt=pagination.decode_cursor(asked.cursor, 1)[0])
        rows = list(found[: asked.limit + 1])
        return answer(pagination.page(rows, asked.limit, lambda row: pagination.encode_cursor(row.message_id), _shown))


def _shown(letter: DeadLetter) -> dict[str, Any]:
    return {"cause": letter.cause, "at": zulu(letter.at), "message": queries.shown(letter.message)}


class Redrive(ApiView):
    """Queue dead messages again, by id or by filter, 1,000 a call."""

    scopes = {"POST": "messages:send"}
    calls = {"POST": calls.REDRIVE}

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.read(RedriveShape)
        letters = self._asked_for(asked)
        if asked.dry_run:
            return answer({"dry_run": True, "matched": letters.count(), "redriven": []})
        matched = letters.count()
        return answer({"dry_run": False, "matched": matched, "redriven": actions.redrive(letters, datetime.now(UTC))})

    def _asked_for(self, asked: RedriveShape) -> QuerySet[DeadLetter]:
        if asked.filter is None:
            named = queries.dead_letters(self.key, None).filter(message_id__in=asked.ids or [])
            if not named.exists():
                raise ValidationFailed([FieldError("ids", "not_found", "None of these is a dead letter.")])
            return named
        return queries.dead_letters_of(self.key, **asked.filter.model_dump())
