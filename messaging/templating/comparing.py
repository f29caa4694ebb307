"""Two versions of a template side by side: for each part that differs its lines, taken out and put in."""

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from messaging.models import TemplateVersion
from messaging.templating.rendering import PARTS

MOST_LINES = 3_000
"""Of one side of a part: comparing takes time by the product of both."""

AROUND = 3
"""Unchanged lines shown around a change."""


@dataclass(frozen=True, slots=True)
class Line:
    """`kind` is added, removed, same, or skipped for a gap."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One part that differs: its name (`html`, `ko.html`, `layout`), and its lines; none when it is too long to compare."""

    part: str
    lines: tuple[Line, ...]


def compare(old: TemplateVersion, new: TemplateVersion) -> list[Difference]:
    """What is to be done to the old one to make it the new one, by part."""
    before, after = dict(_parts(old)), dict(_parts(new))
    names = [*before, *(name for name in after if name not in before)]
    return [
        Difference(name, tuple(_lines(before.get(name, ""), after.get(name, ""))))
        for name in names
        if before.get(name, "").splitlines() != after.get(name, "").splitlines()
    ]


def _parts(version: TemplateVersion) -> Iterator[tuple[str, str]]:
    for part in PARTS:
        yield part, getattr(version, part) or ""
    for locale, variant in sorted(version.variants.items()):
        for part in PARTS:
            yield f"{locale}.{part}", variant.get(part) or ""
    yield "layout", version.layout or ""
    yield "from", version.default_sender
    yield "default_locale", version.default_locale or ""
    yield "variables", json.dumps(version.variables, indent=2, ensure_ascii=False, sort_keys=True)


def _lines(before: str, after: str) -> Iterator[Line]:
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > MOST_LINES:
        return
    for group in difflib.SequenceMatcher(None, old, new).get_grouped_opcodes(AROUND):
        if group[0][1] or group[0][3]:
            yield Line("skipped", "…")
        for tag, first, last, new_first, new_last in group:
            if tag == "equal":
                yield from (Line("same", text) for text in old[first:last])
                continue
            yield from (Line("removed", text) for text in old[first:last])
            yield from (Line("added", text) for text in new[new_first:new_last])
