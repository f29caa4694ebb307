"""Declared variables of a template: their types, defaults, and which of them are sensitive. A template that declares none takes
any data."""

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from sendarix.core.errors import FieldError

_has_blanks = re.compile(r"[\s\x00-\x1f\x7f]").search


@dataclass(frozen=True, slots=True)
class Variable:
    """One declared variable. `name` may be dotted (`user.name`); `default` None means that there is none."""

    name: str
    type: str
    required: bool = True
    default: Any = None
    sensitive: bool = False
    description: str = ""

    def stored(self) -> dict[str, Any]:
        return asdict(self)


def fill(declared: Iterable[Variable], data: dict[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """The data with defaults in place, and `template_data.NAME` faults: `required`, `invalid_type` and `invalid_value`.
    A variable that is not required and has no default may be absent: the template must then test it before printing it."""
    faults: list[FieldError] = []
    filled = data
    for variable in declared:
        value = lookup(data, variable.name)
        if value is None and variable.default is not None:
            filled = copy.deepcopy(data) if filled is data else filled
            if not _put(filled, variable.name.split("."), copy.deepcopy(variable.default)):
                faults.append(_fault(variable.name, "invalid_type", "Its parent must be an object."))
        elif value is None and variable.required:
            faults.append(_fault(variable.name, "required", f"The template needs the variable {variable.name}."))
        elif value is not None and (wrong := misfit(variable.type, value)):
            faults.append(_fault(variable.name, *wrong))
    return filled, faults


def misfit(kind: str, value: Any) -> tuple[str, str] | None:
    """Why `value` is not of the type: (code, message), or None."""
    fits, expected = TYPES[kind]
    if fits(value):
        return None
    code = "invalid_value" if kind in ("url", "date") and isinstance(value, str) else "invalid_type"
    return code, f"Must be {expected}."


def lookup(data: Any, name: str) -> Any:
    """The value of a dotted name (`user.code`, `items.0.code`); None when there is none."""
    for step in name.split("."):
        if isinstance(data, list) and step.isdecimal() and int(step) < len(data):
            data = data[int(step)]
        elif isinstance(data, dict) and step in data:
            data = data[step]
        else:
            return None
    return data


def _put(data: Any, path: list[str], value: Any) -> bool:
    for step in path[:-1]:
        if data.get(step) is None:
            data[step] = {}
        data = data[step]
        if not isinstance(data, dict):
            return False
    data[path[-1]] = value
    return True


def _fault(name: str, code: str, message: str) -> FieldError:
    return FieldError(f"template_data.{name}", code, message)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _url(value: Any) -> bool:
    """An absolute http, https or mailto link without blanks: nothing that a mail client would run."""
    if not isinstance(value, str) or _has_blanks(value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(parts.netloc if parts.scheme in ("http", "https") else parts.scheme == "mailto" and parts.path)


def _date(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            read(value)
        except ValueError:
            continue
        return True
    return False


TYPES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "string": (lambda value: isinstance(value, str), "a string"),
    "number": (_number, "a number"),
    "integer": (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "array": (lambda value: isinstance(value, list), "an array"),
    "object": (lambda value: isinstance(value, dict), "an object"),
    "url": (_url, "an absolute URL (https, http or mailto)"),
    "date": (_date, "a date or time of ISO 8601, like 2026-04-19"),
}
"""Each type's test, and what is expected in words."""
