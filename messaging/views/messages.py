"""/v1/messages: the first door of a message, and everything a caller may read of it or do to it later."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse

from messaging import acceptance, actions, capacity, queries, searching
from messaging import headers as header_rules
from messaging.content import StorageUnavailable
from messaging.preparation import Prepared, prepare
from messaging.serializers import BatchShape, RescheduleShape, scheduling_fault
from messaging.validation import explain
from messaging.views import calls
from messaging.views.shapes import MessageQuery
from sendarix.accounts.api import ApiView
from sendarix.accounts.request_log import Made
from sendarix.core import addresses, answers, errors, shapes
from sendarix.core.answers import answer
from sendarix.core.errors import FieldError, Forbidden, Unavailable, ValidationFailed

Work = Callable[[acceptance.Ticket | None], acceptance.Answer]


class AcceptingView(ApiView):
    """What the calls that take messages in share: the idempotency key, replays, and room in the queue."""

    def ticket(self, request: HttpRequest, payload: dict[str, Any]) -> acceptance.Ticket | None:
        """The request's idempotency key from the headers or from the body's `headers`. Two different ones are a fault."""
        given = [_once(request.headers.get(name)) for name in ("Idempotency-Key", "X-Idempotency-Key")]
        custom = payload.get("headers")
        if isinstance(custom, dict):
            given += header_rules.read({n: v for n, v in custom.items() if isinstance(v, str)}).idempotency_keys
        keys = {key for key in given if key is not None}
        if len(keys) > 1:
            raise _key_fault("invalid_value", "The request carries two different idempotency keys.")
        key = keys.pop() if keys else None
        if key is not None and not (1 <= len(key) <= 255 and key.isascii() and key.isprintable() and " " not in key):
            raise _key_fault("invalid_value", "Must be 1 to 255 visible ASCII characters.")
        return acceptance.ticket(key, payload)

    def faults(self, payload: dict[str, Any]) -> list[FieldError]:
        """What else is wrong with the payload, to be told together with a bad key."""
        return []

    def accept(
        self,
        request: HttpRequest,
        payload: dict[str, Any],
        work: Work,
    ) -> HttpResponse:
        """202 with the answer of `work`, or of the request's twin."""
        try:
            ticket = self.ticket(request, payload)
        except ValidationFailed as refused:
            raise ValidationFailed([*refused.errors, *self.faults(payload)]) from None
        found = acceptance.earlier(self.key, ticket) if capacity.full() else self._work(ticket, work)
        if found is None:
            raise Unavailable(30, code="queue_full")
        made = [one["message_id"] for one in found.body.get("results", [found.body]) if "message_id" in one]
        self.made = Made(made[0] if made else None, len(made), found.replayed)
        headers = {"Idempotent-Replayed": "true"} if found.replayed else None
        return answer(found.body, 202, headers)

    def _work(self, ticket: acceptance.Ticket | None, work: Work) -> acceptance.Answer:
        try:
            return work(ticket)
        except StorageUnavailable as error:
            raise Unavailable(30, code="storage_unavailable") from error
        except ValidationFailed:
            twin = acceptance.earlier(self.key, ticket)  # templates change: what was accepted once is answered as then
            if twin is None:
                raise
            return twin


def _once(value: str | None) -> str | None:
    """A header's value; a line that a proxy or a library sent twice arrives joined by commas and counts once."""
    parts = {part.strip() for part in (value or "").split(",")}
    return parts.pop() if len(parts) == 1 and value else value


def _key_fault(code: str, message: str) -> ValidationFailed:
    return ValidationFailed([FieldError("Idempotency-Key", code, message)])


class Messages(AcceptingView):
    scopes = {"GET": "messages:read", "POST": "messages:send"}
    queries = {"GET": MessageQuery}
    calls = {"GET": calls.LIST, "POST": calls.SEND}

    def post(self, request: HttpRequest) -> HttpResponse:
        payload = self.payload()

        def work(ticket: acceptance.Ticket | None) -> acceptance.Answer:
            message = prepare(payload, self.key, datetime.now(UTC))
            return acceptance.accept(self.key, [message], ticket, answers.request_id(request))

        return self.accept(request, payload, work)

    def faults(self, payload: dict[str, Any]) -> list[FieldError]:
        try:
            prepare(payload, self.key, datetime.now(UTC))
        except ValidationFailed as refused:
            return refused.errors
        return []

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(MessageQuery)
        wanted = asked.search()
        if wanted.livemode not in (None, self.key.livemode):
            message = "This key sees only " + ("live messages." if self.key.livemode else "test messages.")
            raise ValidationFailed([FieldError("q", "invalid_value", message)])
        if asked.recipient and not addresses.matching(asked.recipient):
            return answer({"data": [], "has_more": False, "next_cursor": None})
        found = searching.page(self.key, wanted, asked.limit, asked.cursor)
        shown = [queries.shown(message) for message in found.messages]
        return answer({"data": shown, "has_more": found.next_cursor is not None, "next_cursor": found.next_cursor})


class Batch(AcceptingView):
    """Up to 500 messages in one call: each is accepted or refused by itself, the accepted ones are committed together."""

    scopes = {"POST": "messages:send"}
    calls = {"POST": calls.SEND_BATCH}

    def post(self, request: HttpRequest) -> HttpResponse:
        payload = self.payload()

        def work(ticket: acceptance.Ticket | None) -> acceptance.Answer:
            now = datetime.now(UTC)
            results = [self._prepared(item, now) for item in shapes.validate(BatchShape, payload).messages]
            accepted = [result for result in results if isinstance(result, Prepared)]
            refused = [result if isinstance(result, dict) else None for result in results]

            def body_of(bodies: list[dict[str, Any]]) -> dict[str, Any]:
                rest = iter(bodies)
                return {"results": [{"error": error} if error else next(rest) for error in refused]}

            if not accepted:
                return acceptance.earlier(self.key, ticket) or acceptance.Answer(body_of([]))
            return acceptance.accept(self.key, accepted, ticket, answers.request_id(request), body_of=body_of)

        return self.accept(request, payload, work)

    def faults(self, payload: dict[str, Any]) -> list[FieldError]:
        try:
            shapes.validate(BatchShape, payload)
        except ValidationFailed as refused:
            return refused.errors
        return []

    def _prepared(self, item: dict[str, Any], now: datetime) -> Prepared | dict[str, Any]:
        try:
            custom = item.get("headers")
            if isinstance(custom, dict) and header_rules.IDEMPOTENCY_NAMES & {name.lower() for name in custom}:
                raise ValidationFailed(
                    [
                        FieldError(
                            "headers", "invalid_value", "The idempotency key belongs to the call, not to one message."
                        )
                    ]
                )
            return prepare(item, self.key, now)
        except (ValidationFailed, Forbidden) as refused:
            return {"errors": [], **errors.body(refused, answers.request_id(self.request))["error"]}


class Validate(ApiView):
    """Everything POST does short of accepting."""

    scopes = {"POST": "messages:send"}
    calls = {"POST": calls.VALIDATE}

    def post(self, request: HttpRequest) -> HttpResponse:
        return answer(explain(prepare(self.payload(), self.key, datetime.now(UTC))))


class MessageById(ApiView):
    scopes = {"GET": "messages:read", "DELETE": "messages:send", "PATCH": "messages:send"}
    calls = {"GET": calls.GET, "DELETE": calls.DELETE, "PATCH": calls.RESCHEDULE}

    def get(self, request: HttpRequest, message_id: str) -> HttpResponse:
        return answer(queries.shown_whole(queries.one(self.key, message_id)))

    def delete(self, request: HttpRequest, message_id: str) -> HttpResponse:
        return answer(queries.shown_whole(actions.cancel(self.key, message_id)))

    def patch(self, request: HttpRequest, message_id: str) -> HttpResponse:
        at = self.read(RescheduleShape).scheduled_time
        if wrong := scheduling_fault(at, datetime.now(UTC)):
            raise ValidationFailed([FieldError("scheduled_time", *wrong)])
        return answer(queries.shown_whole(actions.reschedule(self.key, message_id, at)))


class Cancel(ApiView):
    scopes = {"POST": "messages:send"}
    calls = {"POST": calls.CANCEL}

    def post(self, request: HttpRequest, message_id: str) -> HttpResponse:
        return answer(queries.shown_whole(actions.cancel(self.key, message_id)))


class Retry(ApiView):
    scopes = {"POST": "messages:send"}
    calls = {"POST": calls.RETRY}

    def post(self, request: HttpRequest, message_id: str) -> HttpResponse:
        return answer(queries.shown_whole(actions.retry(self.key, message_id, datetime.now(UTC))))


class Attempts(ApiView):
    scopes = {"GET": "messages:read"}
    calls = {"GET": calls.ATTEMPTS}

    def get(self, request: HttpRequest, message_id: str) -> HttpResponse:
        return answer({"data": queries.attempts(queries.one(self.key, message_id))})
