"""The tags of Mustache and Handlebars templates, as they stand in the text: mustache(5), handlebarsjs.com/guide."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_found = re.compile(r"(\\{1,2})?(\{{2,4})").search
_blank_after = re.compile(r"[ \t]*(?:\r?\n|$)").match
MAX_TAGS = 5_000


class Unreadable(Exception):
    """A tag that cannot be read, beginning at `index`; nothing after it can be either."""

    def __init__(self, index: int, message: str) -> None:
        self.index = index
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Tag:
    """`text[start:end]`. `sigil` is one of `# ^ / > & !`, "" (a variable) or "literal" (body is text). The outer places take in
    the rest of the line of a block's tag that stands alone on it."""

    sigil: str
    body: str
    start: int
    end: int
    outer_start: int
    outer_end: int
    trim_left: bool = False
    trim_right: bool = False

    def wrapped(self, opening: str, inner: str, closing: str) -> str:
        """A tag of ours with the same trimming of blanks."""
        return f"{opening}{'-' * self.trim_left} {inner} {'-' * self.trim_right}{closing}"


def tags_of(text: str, handlebars: bool) -> Iterator[Tag]:
    """All tags in order. Raises Unreadable."""
    position = count = 0
    while found := _found(text, position):
        count += 1
        if count > MAX_TAGS:
            raise Unreadable(found.start(), f"There are more than {MAX_TAGS:,} tags.")
        tag = _escaped(text, found) if found[1] and handlebars else _read(text, found.start(2), len(found[2]))
        yield tag
        position = tag.end


def _escaped(text: str, found: re.Match[str]) -> Tag:
    """Handlebars: one backslash makes a tag text, two make one backslash."""
    start = found.start()
    if len(found[1]) == 2:
        return Tag("literal", "\\", start, start + 2, start, start + 2)
    end = text.find("}}", start)
    end = end + 2 if end >= 0 else len(text)
    return Tag("literal", text[start + 1 : end], start, end, start, end)


def _read(text: str, start: int, braces: int) -> Tag:
    if braces == 4:
        raise Unreadable(start, "Raw blocks {{{{ }}}} cannot be converted.")
    opening, closing = ("{{{", "}}}") if braces == 3 else ("{{", "}}")
    inner = start + braces
    left = text.startswith("~", inner)
    inner += left
    if braces == 2 and text.startswith("!--", inner):
        closing = "--~}}" if text.find("--~}}", inner) >= 0 > text.find("--}}", inner) else "--}}"
    end = text.find(closing, inner)
    if end < 0:
        raise Unreadable(start, f"{opening} is not closed.")
    body = text[inner:end]
    right = body.endswith("~")
    body = body.removesuffix("~")
    sigil = "&" if braces == 3 else body[:1] if body[:1] in ("#", "^", "/", ">", "&", "!", "=") else ""
    if sigil == "=":
        raise Unreadable(start, "Set delimiters cannot be converted.")
    body = (body if braces == 3 else body.removeprefix(sigil)).strip()
    outer = _outer(text, start, end + len(closing)) if sigil in ("#", "^", "/", ">", "!") or body == "else" else None
    end += len(closing)
    return Tag(sigil, body, start, end, *(outer or (start, end)), left, right)


def _outer(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The whole line, when the tag stands alone on it."""
    line = text.rfind("\n", 0, start) + 1
    after = _blank_after(text, end)
    return (line, after.end()) if after and not text[line:start].strip(" \t") else None
