"""/v1/domains: the domains an account sends from, the records to publish for them, and what is found of those in the DNS."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from messaging.domains import conclusions, records, registry, rotation
from messaging.models import SenderDomain
from messaging.views import domain_calls as calls
from messaging.views.domain_shapes import DomainShape
from sendarix.accounts.api import ApiView
from sendarix.core import pagination
from sendarix.core.answers import answer
from sendarix.core.shapes import Page
from sendarix.core.times import zulu


class Domains(ApiView):
    scopes = {"GET": "domains:read", "POST": "domains:write"}
    queries = {"GET": Page}
    calls = {"GET": calls.LIST, "POST": calls.ADD}

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(Page)
        found = registry.of_account(self.key.account_id).order_by("-id")
        if asked.cursor:
            found = found.filter(id__lt=pagination.decode_cursor(asked.cursor, 1)[0])
        rows = list(found[: asked.limit + 1])
        return answer(pagination.page(rows, asked.limit, lambda row: pagination.encode_cursor(row.id), _summary))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.read(DomainShape)
        return answer(_detail(registry.add(self.key.account_id, asked.domain, self.actor)), 201)


class Domain(ApiView):
    scopes = {"GET": "domains:read", "DELETE": "domains:write"}
    calls = {"GET": calls.GET, "DELETE": calls.REMOVE}

    def get(self, request: HttpRequest, domain: str) -> HttpResponse:
        return answer(_detail(registry.one(self.key.account_id, domain)))

    def delete(self, request: HttpRequest, domain: str) -> HttpResponse:
        found = registry.one(self.key.account_id, domain)
        registry.remove(found, self.actor)
        return answer({"id": found.id, "domain": found.domain, "deleted": True})


class Verify(ApiView):
    scopes = {"POST": "domains:write"}
    calls = {"POST": calls.VERIFY}

    def post(self, request: HttpRequest, domain: str) -> HttpResponse:
        found = registry.one(self.key.account_id, domain)
        conclusions.verify(found, self.actor)
        return answer(_detail(registry.one(self.key.account_id, found.id)))


class RotateDkim(ApiView):
    scopes = {"POST": "domains:write"}
    calls = {"POST": calls.ROTATE}

    def post(self, request: HttpRequest, domain: str) -> HttpResponse:
        found = registry.one(self.key.account_id, domain)
        rotation.rotate(found, self.actor)
        return answer(_detail(registry.one(self.key.account_id, found.id)))


def _summary(domain: SenderDomain) -> dict[str, Any]:
    return {
        "id": domain.id,
        "domain": domain.domain,
        "status": domain.status,
        "owned": domain.owned,
        "trusted": domain.trusted,
        "return_path_ready": domain.return_path_ready,
        "created_at": zulu(domain.created_at),
        "verified_at": zulu(domain.verified_at),
        "checked_at": zulu(domain.checked_at),
        "next_check_at": zulu(domain.next_check_at),
    }


def _detail(domain: SenderDomain) -> dict[str, Any]:
    expected = records.expected(domain, domain.dkim_keys.all())
    return {**_summary(domain), "records": [records.shown(record, domain.findings) for record in expected]}
