"""/v1/alert-rules and /v1/alerts."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from analytics.alerts import acting, calls, rules
from analytics.alerts.shapes import AlertQuery, AlertRuleChangeShape, AlertRuleShape, merged
from sendarix.accounts.api import ApiView
from sendarix.core import pagination, shapes
from sendarix.core.answers import answer
from sendarix.core.errors import FieldError, NotFound, ValidationFailed
from sendarix.core.shapes import Page


class AlertView(ApiView):
    """What all of them share."""

    @property
    def whose(self) -> tuple[int, bool]:
        return self.key.account_id, self.key.livemode

    def fields(self, asked: AlertRuleShape) -> dict[str, Any]:
        if asked.hold_key and not self.key.livemode:
            raise ValidationFailed([FieldError("hold_key", "conflict", "Mail of test keys is never held back.")])
        return asked.fields()


class AlertRules(AlertView):
    scopes = {"GET": "analytics:read", "POST": "alerts:write"}
    queries = {"GET": Page}
    calls = {"GET": calls.LIST_RULES, "POST": calls.CREATE_RULE}

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(Page)
        found = rules.of(*self.whose)
        if asked.cursor:
            found = found.filter(id__lt=pagination.decode_cursor(asked.cursor, 1)[0])
        rows = list(found[: asked.limit + 1])
        return answer(pagination.page(rows, asked.limit, lambda row: pagination.encode_cursor(row.id), rules.shown))

    def post(self, request: HttpRequest) -> HttpResponse:
        fields = self.fields(self.read(AlertRuleShape))
        return answer(rules.shown(rules.create(*self.whose, fields, self.actor)), 201)


class AlertRuleById(AlertView):
    scopes = {"GET": "analytics:read", "PATCH": "alerts:write", "DELETE": "alerts:write"}
    calls = {"GET": calls.GET_RULE, "PATCH": calls.UPDATE_RULE, "DELETE": calls.DELETE_RULE}

    def get(self, request: HttpRequest, rule_id: str) -> HttpResponse:
        return answer(rules.shown(rules.one(*self.whose, rule_id)))

    def patch(self, request: HttpRequest, rule_id: str) -> HttpResponse:
        changes = self.read(AlertRuleChangeShape).model_dump(exclude_unset=True)
        whole = shapes.validate(AlertRuleShape, merged(rules.one(*self.whose, rule_id), changes))
        return answer(rules.shown(rules.update(*self.whose, rule_id, self.fields(whole), self.actor)))

    def delete(self, request: HttpRequest, rule_id: str) -> HttpResponse:
        rules.remove(*self.whose, rule_id, self.actor)
        return answer({"id": rule_id, "deleted": True})


class Alerts(AlertView):
    scopes = {"GET": "analytics:read"}
    queries = {"GET": AlertQuery}
    calls = {"GET": calls.LIST_ALERTS}

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(AlertQuery)
        found = rules.alerts(*self.whose)
        if asked.state:
            found = found.filter(resolved_at__isnull=asked.state == "open")
        if asked.rule:
            found = found.filter(rule_id=asked.rule)
        if asked.cursor:
            found = found.filter(id__lt=pagination.decode_cursor(asked.cursor, 1)[0])
        rows = list(found[: asked.limit + 1])
        return answer(pagination.page(rows, asked.limit, lambda row: pagination.encode_cursor(row.id), acting.told))


class AlertById(AlertView):
    scopes = {"GET": "analytics:read"}
    calls = {"GET": calls.GET_ALERT}

    def get(self, request: HttpRequest, alert_id: str) -> HttpResponse:
        found = rules.alerts(*self.whose).filter(id=alert_id).first()
        if found is None:
            raise NotFound
        return answer(acting.told(found))


class Release(AlertView):
    scopes = {"POST": "alerts:write"}
    calls = {"POST": calls.RELEASE}

    def post(self, request: HttpRequest, alert_id: str) -> HttpResponse:
        alert, count = acting.release(*self.whose, alert_id, self.actor)
        return answer({"alert": acting.told(alert), "released": count})
