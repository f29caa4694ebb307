"""Data to try a template with, made of what it declares and what it reads: a place to begin from, not a promise that it
renders."""

from typing import Any

from liquid.exceptions import LiquidError

from messaging.models import TemplateVersion
from messaging.templating.rendering import PARTS, compiled

_OF_TYPE: dict[str, Any] = {
    "number": 12.5,
    "integer": 3,
    "boolean": True,
    "array": [],
    "object": {},
    "url": "https://example.com/",
    "date": "2026-01-31",
}


def sample(version: TemplateVersion) -> dict[str, Any]:
    """A value for each declared variable, its default first, and the own name of each other variable that the parts read."""
    data: dict[str, Any] = {}
    for path in _read(version):
        _put(data, path, path[-1])
    for variable in version.variables:
        path, kind = variable["name"].split("."), variable["type"]
        value = variable["default"] if variable["default"] is not None else _OF_TYPE.get(kind, path[-1])
        _put(data, path, value, replace=True)
    return data


def _read(version: TemplateVersion) -> list[list[str]]:
    """The paths of all variables of the parts in every language; none of a part that is no template."""
    found: dict[tuple[str, ...], None] = {}
    for parts in ({part: getattr(version, part) for part in PARTS}, *version.variants.values()):
        for part in PARTS:
            try:
                used = compiled(part, parts.get(part) or "").analyze(include_partials=False).globals
            except LiquidError:
                continue
            for variables in used.values():
                found |= {
                    tuple(map(str, variable.segments)): None for variable in variables if _plain(variable.segments)
                }
    return [list(path) for path in found if path[0] not in ("content", "subject", "locale")]


def _plain(segments: list[Any]) -> bool:
    return all(isinstance(segment, str) for segment in segments)


def _put(data: dict[str, Any], path: list[str], value: Any, replace: bool = False) -> None:
    """Deeper paths win over a value on their way; what is there stays unless it is to be replaced."""
    for step in path[:-1]:
        if not isinstance(data.get(step), dict):
            data[step] = {}
        data = data[step]
    if replace and not (data.get(path[-1]) and value in ({}, [])):
        data[path[-1]] = value
    else:
        data.setdefault(path[-1], value)
