"""HTML with Liquid in it, read without changing a byte: where the tags of either are. What looks into or rewrites a template's
HTML works on these places, so that everything else of it survives. Reads any input in linear time."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

FILLER = "\ue000"
"""Stands for each character of a Liquid tag while HTML is looked at."""

MAX_UNCLOSED = 20
"""Tags that never end; a text with more of them is read up to there."""

_liquid = re.compile(
    r"\{%-?\s*(raw|comment|doc)\b[^%]*%\}.*?\{%-?\s*end\1\s*-?%\}|\{\{.*?\}\}|\{%.*?%\}", re.DOTALL
).finditer
_opening = re.compile(r"<(?=[a-zA-Z/!?])").search
_tag = re.compile(r"""<(/?)([a-zA-Z][^\s/>]*+)((?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+)>""").match
_attribute = re.compile(r"""([^\s=/"'>]++)(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>]++))?+""")
_closing = {name: re.compile(f"</{name}", re.I).search for name in ("script", "style", "title", "textarea", "xmp")}


@dataclass(frozen=True, slots=True)
class Span:
    """One Liquid tag: `text[start:end]`. A raw, comment or doc block is one span; `prints` tells `{{ … }}`."""

    start: int
    end: int
    prints: bool


@dataclass(frozen=True, slots=True)
class Attribute:
    """`start` and `end` enclose the value without its quotes; both 0 when there is no value. `at` is where its name begins."""

    name: str
    at: int
    start: int
    end: int


@dataclass(frozen=True)
class Element:
    """A start tag, `text[start:end]`. `body` ends the content of an element whose content is no markup (style, script, title)."""

    name: str
    start: int
    end: int
    attributes: tuple[Attribute, ...]
    body: int | None = None

    def attribute(self, name: str) -> Attribute | None:
        return next((found for found in self.attributes if found.name == name), None)


class Markup:
    """One text of HTML with Liquid, and what is where in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.spans = [Span(found.start(), found.end(), found[0].startswith("{{")) for found in _liquid(text)]
        self.masked = _masked(text, self.spans)

    @cached_property
    def tags(self) -> list[Element]:
        """Its start and end tags, in order; those in comments are none. The name of an end tag begins with a slash."""
        return list(self._read())

    @property
    def elements(self) -> list[Element]:
        """Its start tags."""
        return [tag for tag in self.tags if not tag.name.startswith("/")]

    def spans_in(self, start: int, end: int) -> list[Span]:
        first = bisect_left(self.spans, start, key=lambda span: span.start)
        last = bisect_left(self.spans, end, key=lambda span: span.start)
        return self.spans[first:last]

    def value(self, attribute: Attribute) -> str:
        return self.text[attribute.start : attribute.end]

    def _read(self) -> Iterator[Element]:
        position = unclosed = 0
        while opening := _opening(self.masked, position):
            start = opening.start()
            position = start + 1
            if self.masked.startswith("<!--", start):
                end = self.masked.find("-->", start + 4)
                if end < 0:
                    return
                position = end + 3
            elif found := _tag(self.masked, start):
                body = self._body(found)
                position = found.end() if body is None else body
                yield Element(found[1] + found[2].lower(), start, found.end(), self._attributes(found), body)
            elif self.masked[position].isalpha() or self.masked[position] == "/":
                unclosed += 1
                if unclosed > MAX_UNCLOSED:
                    return

    def _body(self, tag: re.Match[str]) -> int | None:
        closing = _closing.get(tag[2].lower())
        if closing is None or tag[1]:
            return None
        end = closing(self.masked, tag.end())
        return end.start() if end else len(self.text)

    def _attributes(self, tag: re.Match[str]) -> tuple[Attribute, ...]:
        found = []
        for item in _attribute.finditer(self.masked, tag.start(3), tag.end(3)):
            start, end = item.span(2) if item[2] is not None else (0, 0)
            if item[2] and item[2][0] in "\"'":
                start, end = start + 1, end - 1
            found.append(Attribute(item[1].lower(), item.start(), start, end))
        return tuple(found)


def _masked(text: str, spans: list[Span]) -> str:
    pieces, position = [], 0
    for span in spans:
        pieces += [text[position : span.start], FILLER * (span.end - span.start)]
        position = span.end
    return "".join([*pieces, text[position:]])
