"""/v1/audit-log: who changed what of this account."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from sendarix.accounts import audit, shapes
from sendarix.accounts.api import ApiView
from sendarix.accounts.models import AuditEntry
from sendarix.accounts.shapes import AuditQuery
from sendarix.core import ids, pagination
from sendarix.core.answers import answer
from sendarix.core.pagination import cursor_part
from sendarix.core.times import zulu


class AuditLog(ApiView):
    scopes = {"GET": "audit:read"}
    queries = {"GET": AuditQuery}
    calls = {"GET": shapes.AUDIT_LOG}

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(AuditQuery)
        found = audit.entries(self.key.account_id, **asked.model_dump(exclude={"limit", "cursor"}))
        if asked.cursor:
            (last,) = pagination.decode_cursor(asked.cursor, 1)
            found = found.filter(pk__lt=cursor_part(pagination.number, last))
        rows = list(found[: asked.limit + 1])
        return answer(pagination.page(rows, asked.limit, lambda row: pagination.encode_cursor(row.pk), _shown))


def _shown(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": ids.from_number("aud", entry.at, entry.pk),
        "at": zulu(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "source": entry.source or None,
        "request_id": entry.request_id or None,
        "before": entry.before,
        "after": entry.after,
    }
