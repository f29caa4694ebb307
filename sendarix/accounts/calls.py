"""What the API's document says of a call beyond what its view already knows (path, scope, query): its name, its body
and its answers. Nothing here takes part in answering a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import ConfigDict, Field, WithJsonSchema

from sendarix.core.errors import CODES, FIELD_CODES
from sendarix.core.shapes import Shape


def one_of(values: Any) -> WithJsonSchema:
    """A text that is one of these."""
    return WithJsonSchema({"type": "string", "enum": [str(value) for value in values]})


def public_id(prefix: str) -> WithJsonSchema:
    """An id as callers see it: prefix and 26 sortable characters."""
    return WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^{prefix}_[0-9a-z]{{26}}$",
            "examples": [f"{prefix}_01kpk3p5gz8v6c2m9x4t7q0rde"],
        }
    )


Moment = Annotated[
    str,
    WithJsonSchema(
        {"type": "string", "format": "date-time", "pattern": "Z$", "examples": ["2026-04-19T14:30:00.000Z"]}
    ),
]
"""A time in an answer: ISO 8601, UTC with Z."""

SOMETIMES: Any = Field(default=None)
"""The default of a field that an answer may lack; one without it is always there, though it may be null."""


class AnswerShape(Shape):
    """An answer's body, for the document and the tests that hold answers against it."""

    model_config = ConfigDict(use_attribute_docstrings=True, defer_build=True)


class Fault(AnswerShape):
    """One fault of a request."""

    field: str
    """A dotted path into the body (`attachments.0.filename`), or the name of a parameter or header."""
    code: Annotated[str, one_of(FIELD_CODES)]
    message: str


class Problem(AnswerShape):
    """Why a request was refused."""

    code: Annotated[str, one_of(CODES)]
    message: str
    request_id: Annotated[str, public_id("req")]
    """Quote it when you ask us; also in the header X-Request-Id."""
    doc_url: str
    """Where this code is explained."""


class ProblemWithFaults(Problem):
    """Why a request was refused, with everything that is wrong with it."""

    errors: list[Fault]
    """Every fault of the request, not the first; empty when it could not be read at all."""


class Error(AnswerShape):
    """The body of every answer of 400 and above."""

    error: Problem


class ErrorWithFaults(AnswerShape):
    """The body of every 400 and 422."""

    error: ProblemWithFaults


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One method of one path. `name` is its operationId; `answer` a shape, or the media type of an answer that is text;
    `answer_types` are media types in which the answer may come instead, as text, where the query asks for it; `also` are further
    statuses of success with the same answer, `refusals` statuses beyond those every call can answer; `body_types` are media types
    besides JSON in which a body may come, as text; `request_headers` and `answer_headers` map optional headers to their
    meaning."""

    name: str
    summary: str
    about: str = ""
    body: type[Shape] | None = None
    body_types: tuple[str, ...] = ()
    answer: type[Shape] | str
    answer_types: tuple[str, ...] = ()
    status: int = 200
    also: tuple[int, ...] = ()
    refusals: tuple[int, ...] = ()
    request_headers: Mapping[str, str] = field(default_factory=dict)
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    body_example: Any = None
    answer_example: Any = None
