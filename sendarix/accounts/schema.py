"""How drf-spectacular reads an ApiView: scope, query, path and `calls` become an OpenAPI 3.1 operation. The refusals that
any call can meet come from the error codes, so that no view lists them."""

import functools
import re
from http import HTTPStatus
from typing import Any, Literal

from django.core.exceptions import ImproperlyConfigured
from drf_spectacular.drainage import error
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from pydantic.json_schema import GenerateJsonSchema

from sendarix.accounts.calls import Call, Error, ErrorWithFaults
from sendarix.accounts.keys import LIVE_ONLY
from sendarix.core.errors import CODES
from sendarix.core.shapes import Shape

Mode = Literal["validation", "serialization"]

REFUSALS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    413: "TooLarge",
    415: "UnsupportedMediaType",
    422: "ValidationFailed",
    429: "RateLimited",
    500: "InternalError",
    503: "Unavailable",
}
"""Statuses and what their answers are called in the document."""

ALWAYS = (400, 401, 403, 413, 422, 429, 500, 503)
"""What any call can be refused with; a body adds 415, a path with an id 404."""

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "The id of this request.",
        "required": True,
        "schema": {"type": "string", "pattern": "^req_[0-9a-z]{26}$"},
    },
    "X-RateLimit-Limit": {
        "description": "Requests allowed in this minute of the clock.",
        "required": True,
        "schema": {"type": "integer"},
    },
    "X-RateLimit-Remaining": {
        "description": "Requests left in it.",
        "required": True,
        "schema": {"type": "integer"},
    },
    "X-RateLimit-Reset": {
        "description": "When it ends: epoch seconds, UTC.",
        "required": True,
        "schema": {"type": "integer"},
    },
    "Retry-After": {"description": "Seconds to wait before another try.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "Bearer.", "required": True, "schema": {"type": "string"}},
}
ON_EVERY_ANSWER = tuple(name for name in HEADERS if name.startswith("X-"))
ON_REFUSALS = {401: ("WWW-Authenticate",), 409: ("Retry-After",), 429: ("Retry-After",), 503: ("Retry-After",)}

TEXT = {"schema": {"type": "string"}}
"""A body or an answer that is no JSON."""

BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, `sk_live_…` or `sk_test_…`, with the scope the call needs.",
}


class ApiSchema(AutoSchema):
    """The operation of one method of an ApiView."""

    @property
    def call(self) -> Call:
        try:
            return self.view.calls[self.method]
        except KeyError:
            name = type(self.view).__name__
            raise ImproperlyConfigured(f"{name}.calls does not describe {self.method} {self.path}") from None

    def get_operation_id(self) -> str:
        return self.call.name

    def get_summary(self) -> str:
        return self.call.summary

    def get_description(self) -> str:
        scope = self.view.scopes[self.method]
        kind = " and a live key" if scope in LIVE_ONLY else ""
        needs = f"Needs the scope `{scope}`{kind}." if scope else "Any valid key may make this call."
        return f"{self.call.about}\n\n{needs}".strip()

    def get_tags(self) -> list[str]:
        return [self.path.split("/")[2].replace("-", " ").capitalize()]

    def get_auth(self) -> list[dict[str, list[str]]]:
        self._register("securitySchemes", "apiKey", BEARER)
        scope = self.view.scopes[self.method]
        return [{"apiKey": [scope] if scope else []}]

    def _get_parameters(self) -> list[dict[str, Any]]:
        query = self.view.queries.get(self.method)
        return [*map(_path_parameter, self._path_names()), *(_query_parameters(query) if query else ())] + [
            {"name": name, "in": "header", "description": about, "schema": {"type": "string"}}
            for name, about in self.call.request_headers.items()
        ]

    def _path_names(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    def _get_request_body(self, direction: str = "request") -> dict[str, Any] | None:
        if self.call.body is None:
            return None
        content = self._content(self.call.body, "validation", self.call.body_example)
        return {"required": True, "content": content | dict.fromkeys(self.call.body_types, TEXT)}

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        statuses = {*ALWAYS, *self.call.refusals}
        statuses |= {404} if self._path_names() else set()
        statuses |= {415} if self.call.body else set()
        successes = {str(status): self._success(status) for status in sorted({self.call.status, *self.call.also})}
        return successes | {str(status): self._refusal(status) for status in sorted(statuses)}

    def _success(self, status: int) -> dict[str, Any]:
        own = {
            name: {"description": about, "schema": {"type": "string"}}
            for name, about in self.call.answer_headers.items()
        }
        return {
            "description": HTTPStatus(status).phrase,
            "headers": self._headers(ON_EVERY_ANSWER) | own,
            "content": self._content(self.call.answer, "serialization", self.call.answer_example)
            | dict.fromkeys(self.call.answer_types, TEXT),
        }

    def _refusal(self, status: int) -> dict[str, Any]:
        codes = [f"- `{name}`: {code.meaning} {code.remedy}" for name, code in CODES.items() if code.status == status]
        answer = {
            "description": "\n".join(codes),
            "headers": self._headers((*ON_EVERY_ANSWER, *ON_REFUSALS.get(status, ()))),
            "content": self._content(ErrorWithFaults if status in (400, 422) else Error, "serialization"),
        }
        return self._register("responses", REFUSALS[status], answer)

    def _headers(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: self._register("headers", name, HEADERS[name]) for name in names}

    def _content(self, model: type[Shape] | str, mode: Mode, example: Any = None) -> dict[str, Any]:
        if isinstance(model, str):
            return {model: TEXT}
        schema = _schema(model, mode)
        for part in schema.get("$defs", {}).values():
            self._placed(part)
        media = {"schema": self._placed({key: value for key, value in schema.items() if key != "$defs"})}
        return {"application/json": media if example is None else {**media, "example": example}}

    def _placed(self, value: Any) -> Any:
        """The schema, with every model in it put among the components; only models have titles."""
        if isinstance(value, list):
            return [self._placed(item) for item in value]
        if not isinstance(value, dict):
            return value
        placed = {key: self._placed(part) for key, part in value.items()}
        if isinstance(title := placed.get("title"), str):
            del placed["title"]
            return self._register("schemas", _public(title), placed)
        if isinstance(target := placed.get("$ref"), str):
            placed["$ref"] = _public(target)
        return placed

    def _register(self, kind: str, name: str, content: dict[str, Any]) -> dict[str, str]:
        component = ResolvedComponent(name, kind, content, object=name)
        self.registry.register_on_missing(component)
        if self.registry[component].schema != content:
            error(f"two different {kind} are called {name}")
        return component.ref


class _Generator(GenerateJsonSchema):
    """Schemas without noise: no titles made from names, no null as default, no branches where two types will do."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        made = super().default_schema(schema)
        if made.get("default", ...) is None:
            del made["default"]
        return made

    def nullable_schema(self, schema: Any) -> dict[str, Any]:
        made = self.generate_inner(schema["schema"])
        if isinstance(made.get("type"), str) and "enum" not in made:
            return {**made, "type": [made["type"], "null"]}
        return {"anyOf": [made, {"type": "null"}]}


@functools.cache
def _schema(model: type[Shape], mode: Mode = "validation") -> dict[str, Any]:
    return model.model_json_schema(ref_template="#/components/schemas/{model}", mode=mode, schema_generator=_Generator)


def _public(name: str) -> str:
    """MessageShape is what a request holds, Message what an answer holds."""
    return re.sub("Shape$", "Request", name)


def _path_parameter(name: str) -> dict[str, Any]:
    noun = name.removesuffix("_id").replace("_", " ")
    about = f"The id of the {noun}." if name.endswith("_id") else f"The {noun}, percent-encoded."
    return {"name": name, "in": "path", "required": True, "description": about, "schema": {"type": "string"}}


def _query_parameters(query: type[Shape]) -> list[dict[str, Any]]:
    schema = _schema(query)
    required = schema.get("required", ())
    return [_query_parameter(name, {**part}, name in required) for name, part in schema["properties"].items()]


def _query_parameter(name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
    """A list repeats its name, an object is written `name[key]=value`; null can't be said in a query."""
    about = schema.pop("description", "")
    if isinstance(schema.get("type"), list):
        (schema["type"],) = set(schema["type"]) - {"null"}
    parameter: dict[str, Any] = {"name": name, "in": "query", "schema": schema}
    if about:
        parameter["description"] = about
    if required:
        parameter["required"] = True
    if schema.get("type") == "object":
        parameter |= {"style": "deepObject", "explode": True}
    return parameter
