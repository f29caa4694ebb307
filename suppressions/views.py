"""/v1/suppressions and /v1/unsubscribes: who must not be mailed, read and changed by the customer."""

from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from sendarix.accounts.api import ApiView
from sendarix.core import pagination, shapes
from sendarix.core.answers import answer
from sendarix.core.errors import Conflict
from sendarix.core.times import zulu
from suppressions import calls, queries, services, spreadsheets, transfer
from suppressions.models import Reason, Suppression
from suppressions.shapes import (
    CheckQuery,
    ImportQuery,
    Recipient,
    SuppressionFilter,
    SuppressionImportShape,
    SuppressionQuery,
    SuppressionShape,
    UnsubscribeQuery,
    UnsubscribeShape,
)
from suppressions.spreadsheets import Table

Query = SuppressionQuery | UnsubscribeQuery


class ListView(ApiView):
    """What both lists share."""

    def page(self, asked: Query) -> HttpResponse:
        found = queries.filtered(self.key, asked.filter())
        if asked.cursor:
            found = found.filter(id__lt=pagination.decode_cursor(asked.cursor, 1)[0])
        rows = list(found[: asked.limit + 1])
        return answer(pagination.page(rows, asked.limit, lambda row: pagination.encode_cursor(row.id), queries.shown))

    def add(self, shape: UnsubscribeShape, reason: Reason, keep_first: bool) -> HttpResponse:
        record, new = services.suppress(
            self.key.account_id, self.key.livemode, shape.recipient.text, shape.recipient.key, reason,
            actor=self.key.key_id, note=shape.note or "", expires_at=shape.expires_at, keep_first=keep_first,
        )  # fmt: skip
        return answer(queries.shown(record), 201 if new else 200)


class Suppressions(ListView):
    scopes = {"GET": "suppressions:read", "POST": "suppressions:write"}
    queries = {"GET": SuppressionQuery}
    calls = {"GET": calls.LIST, "POST": calls.ADD}

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page(self.query(SuppressionQuery))

    def post(self, request: HttpRequest) -> HttpResponse:
        shape = self.read(SuppressionShape)
        return self.add(shape, shape.reason, keep_first=True)


class Unsubscribes(ListView):
    scopes = {"GET": "suppressions:read", "POST": "suppressions:write"}
    queries = {"GET": UnsubscribeQuery}
    calls = {"GET": calls.LIST_UNSUBSCRIBES, "POST": calls.UNSUBSCRIBE}

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page(self.query(UnsubscribeQuery))

    def post(self, request: HttpRequest) -> HttpResponse:
        return self.add(self.read(UnsubscribeShape), Reason.USER_UNSUBSCRIBED, keep_first=False)


class SuppressionByRecipient(ApiView):
    scopes = {"GET": "suppressions:read", "DELETE": "suppressions:write"}
    calls = {"GET": calls.GET, "DELETE": calls.REMOVE}
    reasons: tuple[Reason, ...] = ()

    def get(self, request: HttpRequest, recipient: str) -> HttpResponse:
        return answer(queries.shown(queries.one(self.key, recipient, self.reasons)))

    def delete(self, request: HttpRequest, recipient: str) -> HttpResponse:
        record = queries.one(self.key, recipient, self.reasons)
        if not services.remove(self.actor, record):
            now = queries.one(self.key, recipient, self.reasons)
            raise Conflict(f"The record has just changed; its reason is {now.reason} now.")
        return answer(queries.shown(record))


class UnsubscribeByRecipient(SuppressionByRecipient):
    calls = {"GET": calls.GET_UNSUBSCRIBE, "DELETE": calls.RESUBSCRIBE}
    reasons = (Reason.USER_UNSUBSCRIBED,)


class Check(ApiView):
    scopes = {"GET": "suppressions:read"}
    queries = {"GET": CheckQuery}
    calls = {"GET": calls.CHECK}

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(CheckQuery).recipient
        found = queries.of_keys(self.key, [recipient.key for recipient in asked])
        data = [_checked(recipient, found.get(recipient.key)) for recipient in asked]
        return answer({"suppressed": bool(found), "data": data})


def _checked(recipient: Recipient, record: Suppression | None) -> dict[str, Any]:
    return {
        "recipient": recipient.text,
        "suppressed": record is not None,
        "reason": record and record.reason,
        "since": record and zulu(record.created_at),
        "expires_at": record and zulu(record.expires_at),
        "message_id": record and record.message_id,
    }


class Import(ApiView):
    """Rows as JSON, or a table: in the JSON, or as the body itself."""

    scopes = {"POST": "suppressions:write"}
    queries = {"POST": ImportQuery}
    calls = {"POST": calls.IMPORT}

    def post(self, request: HttpRequest) -> HttpResponse:
        reason = self.query(ImportQuery).reason
        if request.content_type == calls.CSV:
            return self._take(Table(spreadsheets.decoded(self.body(calls.CSV))), reason)
        shape = shapes.validate(SuppressionImportShape, self.payload())
        if shape.csv is not None:
            return self._take(Table(shape.csv), reason)
        done = transfer.bring_in(self.key, self.actor, transfer.of_list(shape.rows or []), reason)
        return answer(done | {"ignored_columns": []})

    def _take(self, table: Table, reason: Reason) -> HttpResponse:
        done = transfer.bring_in(self.key, self.actor, transfer.of_table(table), reason)
        return answer(done | {"ignored_columns": table.ignored})


class Export(ApiView):
    scopes = {"GET": "suppressions:read"}
    queries = {"GET": SuppressionFilter}
    calls = {"GET": calls.EXPORT}

    def get(self, request: HttpRequest) -> HttpResponseBase:
        found = queries.filtered(self.key, self.query(SuppressionFilter).filter())
        table = spreadsheets.written(map(queries.shown, queries.walked(found)))
        name = f"suppressions-{'live' if self.key.livemode else 'test'}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(table, content_type="text/csv; charset=utf-8", headers=headers)
