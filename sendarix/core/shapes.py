"""The bridge from pydantic to our faults: request bodies and query strings are Shapes, and every fault of a
request is told at once, by its dotted path and in plain words."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from sendarix.core.errors import FieldError, ValidationFailed

MAX_FAULTS = 10_000
"""Faults told in one answer; a request with more of them is told only how many there are."""

_MAX_PATH = 200
_instant = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII).fullmatch
_digits = re.compile(r"-?\d{1,18}", re.ASCII).fullmatch


class Shape(BaseModel):
    """A request body: no unknown fields, no conversions ("1" is not 1)."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True, use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class ShownAs:
    """Marks a value that is only read later: in the API's document it has this shape already."""

    shape: type[Shape]

    def __get_pydantic_json_schema__(self, _: Any, show: GetJsonSchemaHandler) -> dict[str, Any]:
        return show(self.shape.__pydantic_core_schema__)


Model = TypeVar("Model", bound=Shape)


def fault(code: str, message: str) -> PydanticCustomError:
    """What a validator raises: a fault of the field it stands at, with one of errors.FIELD_CODES."""
    return PydanticCustomError(code, "{in_our_words}", {"in_our_words": message})


def _read_instant(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise fault("invalid_type", "Must be a string with an ISO 8601 time.")
    if not _instant(value):
        raise fault("invalid_value", "Must be an ISO 8601 time with offset or Z, like 2026-04-19T14:30:00Z.")
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value.upper())).astimezone(UTC)
    except (ValueError, OverflowError):
        raise fault("invalid_value", "There is no such time.") from None


def _read_whole(value: object) -> int:
    if isinstance(value, str) and _digits(value):
        return int(value)
    raise fault("invalid_type", "Must be a whole number.")


Instant = Annotated[datetime, BeforeValidator(_read_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
"""A point in time with an offset or Z, read into UTC; a naive one is a fault."""

Whole = Annotated[int, BeforeValidator(_read_whole)]
"""A whole number of a query string."""

Limit = Annotated[int, Field(ge=1, le=100), BeforeValidator(_read_whole)]
"""How many rows a page may have."""


class Page(Shape):
    """The query of every list call."""

    limit: Limit = Field(25, validate_default=False)
    cursor: str | None = None
    """`next_cursor` of the page before."""


def validate(model: type[Model], payload: Mapping[str, Any]) -> Model:
    """The payload as a model; raises ValidationFailed with every fault of it."""
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        raise refusal(error, payload) from None


def refusal(error: ValidationError, payload: object) -> ValidationFailed:
    """pydantic's finding as ours: paths follow the payload, not the branches of unions and validators."""
    count = error.error_count()
    if count > MAX_FAULTS:
        message = f"{count:,} faults, more than can be listed."
        return ValidationFailed([FieldError("", "invalid_value", message)])
    found = [_fault(item, payload) for item in error.errors(include_url=False, include_input=False)]
    return ValidationFailed(_merged(found))


def _fault(item: Mapping[str, Any], payload: object) -> FieldError:
    kind, context = item["type"], item.get("ctx") or {}
    path = _path(item["loc"], payload, kind)
    if "in_our_words" in context:
        return FieldError(path, kind, context["in_our_words"])
    if kind in _PHRASES:
        code, phrase = _PHRASES[kind]
        return FieldError(path, code, phrase.format_map(context))
    if kind == "value_error":
        return FieldError(path, "invalid_value", str(context["error"]))
    return FieldError(path, "invalid_value", item["msg"])


def _path(location: Iterable[int | str], value: Any, kind: str) -> str:
    parts: list[str] = []
    for step in location:
        if _has(value, step):
            value = value[step]
        elif kind != "missing" or not isinstance(value, Mapping):
            continue
        parts.append(str(step))
    return ".".join(parts)[:_MAX_PATH]


def _has(value: Any, step: int | str) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, Mapping) and step in value


def _merged(found: list[FieldError]) -> list[FieldError]:
    """One fault where each branch of a union told its own: one that went deeper outweighs a type that didn't fit."""
    better = _told_better(found)
    kept: dict[tuple[str, str], FieldError] = {}
    for item in found:
        if item.code == "invalid_type" and item.field in better:
            continue
        twin = kept.setdefault((item.field, item.code), item)
        if item.code == "invalid_type" and item.message not in twin.message:
            message = f"{twin.message.rstrip('.')} or {item.message.removeprefix('Must be ')}"
            kept[item.field, item.code] = FieldError(item.field, item.code, message)
    return list(kept.values())


def _told_better(found: list[FieldError]) -> set[str]:
    """Fields with a fault that says more than a wrong type, at them or inside them."""
    better = {item.field for item in found if item.code != "invalid_type"}
    for item in found:
        parent = item.field
        while parent := parent.rpartition(".")[0]:
            better.add(parent)
    return better


_PHRASES: dict[str, tuple[str, str]] = {
    "missing": ("required", "This field is required."),
    "extra_forbidden": ("unknown_field", "There is no such field here."),
    "string_type": ("invalid_type", "Must be a string."),
    "int_type": ("invalid_type", "Must be a whole number."),
    "int_from_float": ("invalid_type", "Must be a whole number."),
    "float_type": ("invalid_type", "Must be a number."),
    "bool_type": ("invalid_type", "Must be true or false."),
    "list_type": ("invalid_type", "Must be a list."),
    "tuple_type": ("invalid_type", "Must be a list."),
    "dict_type": ("invalid_type", "Must be an object."),
    "model_type": ("invalid_type", "Must be an object."),
    "model_attributes_type": ("invalid_type", "Must be an object."),
    "none_required": ("invalid_type", "Must be null."),
    "string_too_long": ("too_long", "Must have at most {max_length} characters."),
    "string_too_short": ("too_short", "Must have at least {min_length} characters."),
    "too_long": ("too_long", "Must have at most {max_length} items."),
    "too_short": ("too_short", "Must have at least {min_length} items."),
    "greater_than": ("out_of_range", "Must be greater than {gt}."),
    "greater_than_equal": ("out_of_range", "Must be at least {ge}."),
    "less_than": ("out_of_range", "Must be less than {lt}."),
    "less_than_equal": ("out_of_range", "Must be at most {le}."),
    "finite_number": ("out_of_range", "Must be a finite number."),
    "literal_error": ("invalid_value", "Must be one of {expected}."),
    "enum": ("invalid_value", "Must be one of {expected}."),
    "string_pattern_mismatch": ("invalid_value", "Must match the pattern {pattern}."),
}
"""pydantic's error types in our words; types not named here come with pydantic's own."""
