"""/v1/delivery-policies: how hard messages are tried, by tier, tag, template or destination."""

from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from messaging.delivery import ways
from messaging.models import DeliveryPolicy
from messaging.routes import policies
from messaging.views import routing_calls as calls
from messaging.views.routing_shapes import PolicyChangesShape, PolicyShape, policy_fields
from sendarix.accounts.api import ApiView
from sendarix.core import pagination
from sendarix.core.answers import answer
from sendarix.core.pagination import cursor_part
from sendarix.core.shapes import Page
from sendarix.core.times import zulu


class Policies(ApiView):
    scopes = {"GET": "routing:read", "POST": "routing:write"}
    queries = {"GET": Page}
    calls = {"GET": calls.LIST_POLICIES, "POST": calls.CREATE_POLICY}

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(Page)
        found = policies.visible(self.key.account_id)
        if asked.cursor:
            place, last = pagination.decode_cursor(asked.cursor, 2)
            position = cursor_part(int, place)
            found = found.filter(Q(position__gt=position) | Q(position=position, id__gt=last))
        rows = list(found[: asked.limit + 1])
        return answer(pagination.page(rows, asked.limit, _cursor, _shown))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.read(PolicyShape)
        return answer(_shown(policies.create(self.key.account_id, policy_fields(asked), self.actor)), 201)


class PolicyById(ApiView):
    scopes = {"GET": "routing:read", "PATCH": "routing:write", "DELETE": "routing:write"}
    calls = {"GET": calls.GET_POLICY, "PATCH": calls.CHANGE_POLICY, "DELETE": calls.REMOVE_POLICY}

    def get(self, request: HttpRequest, policy_id: str) -> HttpResponse:
        return answer(_shown(policies.one(self.key.account_id, policy_id)))

    def patch(self, request: HttpRequest, policy_id: str) -> HttpResponse:
        asked = self.read(PolicyChangesShape)
        fields = {name: value for name, value in policy_fields(asked).items() if name in asked.model_fields_set}
        return answer(_shown(policies.update(self.key.account_id, policy_id, fields, self.actor)))

    def delete(self, request: HttpRequest, policy_id: str) -> HttpResponse:
        policies.remove(self.key.account_id, policy_id, self.actor)
        return answer({"id": policy_id, "deleted": True})


class DefaultPolicy(ApiView):
    scopes = {"GET": "routing:read"}
    calls = {"GET": calls.DEFAULT_POLICY}

    def get(self, request: HttpRequest) -> HttpResponse:
        return answer(policies.in_force(ways.DEFAULT_POLICY))


def _cursor(row: DeliveryPolicy) -> str:
    return pagination.encode_cursor(row.position, row.id)


def _shown(policy: DeliveryPolicy) -> dict[str, Any]:
    return {
        "id": policy.id,
        "name": policy.name,
        "position": policy.position,
        "enabled": policy.enabled,
        "platform": policy.account_id is None,
        "when": policy.when,
        "retry_ladder": policy.retry_ladder,
        "ttl_seconds": policy.ttl_seconds,
        "uncertain": policy.uncertain,
        "pacing": policy.pacing,
        "version": policy.version,
        "updated_at": zulu(policy.updated_at),
    }
