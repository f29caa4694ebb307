"""/v1/routing-rules: versions of the ordered rules that choose among routes; and /v1/routing/simulate, what they would decide."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse

from messaging import queries
from messaging.delivery import routebook
from messaging.models import RuleSet
from messaging.routes import policies, rules, simulation
from messaging.views import routing_calls as calls
from messaging.views.routing_shapes import RuleSetShape, SimulationShape
from sendarix.accounts.api import ApiView
from sendarix.core import pagination
from sendarix.core.answers import answer
from sendarix.core.pagination import cursor_part
from sendarix.core.shapes import Page
from sendarix.core.times import zulu


class Rules(ApiView):
    scopes = {"GET": "routing:read", "PUT": "routing:write"}
    calls = {"GET": calls.GET_RULES, "PUT": calls.PUT_RULES}

    def get(self, request: HttpRequest) -> HttpResponse:
        found = rules.published(self.key.account_id)
        return answer(_whole(found or _nothing(), rules.newest(self.key.account_id)))

    def put(self, request: HttpRequest) -> HttpResponse:
        asked = self.read(RuleSetShape)
        made = rules.save(
            self.key.account_id,
            [rule.model_dump(exclude_none=True) for rule in asked.rules],
            note=asked.note,
            base=asked.base_version,
            publish=asked.publish,
            actor=self.actor,
        )
        return answer(_whole(made, made.version))


class Versions(ApiView):
    scopes = {"GET": "routing:read"}
    queries = {"GET": Page}
    calls = {"GET": calls.LIST_VERSIONS}

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(Page)
        found = rules.versions(self.key.account_id).defer("rules")
        if asked.cursor:
            found = found.filter(version__lt=cursor_part(int, pagination.decode_cursor(asked.cursor, 1)[0]))
        rows = list(found[: asked.limit + 1])
        return answer(pagination.page(rows, asked.limit, lambda row: pagination.encode_cursor(row.version), _summary))


class Version(ApiView):
    scopes = {"GET": "routing:read"}
    calls = {"GET": calls.GET_VERSION}

    def get(self, request: HttpRequest, version: int) -> HttpResponse:
        found = rules.version(self.key.account_id, version)
        before = rules.versions(self.key.account_id).filter(version__lt=version).first() or _nothing()
        live = rules.published(self.key.account_id)
        return answer(
            {
                **_whole(found, rules.newest(self.key.account_id)),
                "since_previous": _diff(before, found),
                "since_published": _diff(live, found) if live else None,
            }
        )


class Publish(ApiView):
    scopes = {"POST": "routing:write"}
    calls = {"POST": calls.PUBLISH_VERSION}

    def post(self, request: HttpRequest, version: int) -> HttpResponse:
        made = rules.publish(self.key.account_id, version, self.actor)
        return answer(_whole(made, rules.newest(self.key.account_id)))


class Simulate(ApiView):
    scopes = {"POST": "routing:read"}
    calls = {"POST": calls.SIMULATE}

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.read(SimulationShape)
        if asked.message_id is not None:
            facts = policies.facts_of(queries.one(self.key, asked.message_id))
        else:
            facts = simulation.made_up(self.key, **asked.model_dump(exclude={"message_id"}))
        seed = asked.message_id or repr(facts)
        return answer(simulation.simulate(routebook.snapshot(), facts, datetime.now(UTC), seed))


def _nothing() -> RuleSet:
    return RuleSet(version=0, rules=[], author="", created_at=None)


def _summary(found: RuleSet) -> dict[str, Any]:
    return {
        "version": found.version,
        "author": found.author or None,
        "note": found.note,
        "published": found.published,
        "created_at": zulu(found.created_at) if found.version else None,
        "published_at": zulu(found.published_at),
    }


def _whole(found: RuleSet, newest: int) -> dict[str, Any]:
    return {**_summary(found), "newest_version": newest, "rules": found.rules}


def _diff(before: RuleSet, after: RuleSet) -> dict[str, Any]:
    return {"version": before.version, **rules.diff(before.rules, after.rules)}
