"""The plain-text side of an HTML mail, for messages that come without one. Reads any input in linear time and
makes no promise about markup that no mail client would show."""

import html
import re
from collections.abc import Callable

MAX_TEXT = 200_000
"""Characters of the result; what follows is cut off."""

_tag = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)").match
_hidden = re.compile(r"\bdisplay\s*:\s*none\b", re.I).search
_href = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.I).search
_alt = re.compile(r"""\balt\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.I).search
_silent = {name: re.compile(f"</{name}", re.I).search for name in ("script", "style", "title", "template", "textarea")}
_containers = {name: re.compile(f"</{name}", re.I).search for name in ("div", "span", "p", "td", "tr", "table")}
_paragraphs = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "pre", "hr", "dl"))
_lines = frozenset(
    ("br", "div", "li", "tr", "section", "article", "header", "footer", "main", "dt", "dd", "center", "body")
)
_control = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]").sub


def from_html(source: str) -> str:
    """The text of an HTML mail: links as `label (url)`, list items with a dash, at most one empty line in a row."""
    reader = _Reader()
    position = 0
    while reader.size < MAX_TEXT and (start := source.find("<", position)) >= 0:
        reader.text(source[position:start])
        position = _markup(reader, source, start)
    if reader.size < MAX_TEXT:
        reader.text(source[position:])
    return reader.result()


def _markup(reader: "_Reader", source: str, start: int) -> int:
    """Read one piece of markup and say where what follows it begins."""
    if source.startswith("<!--", start):
        return _after(source, "-->", start + 4)
    found = _tag(source, start)
    if found is None and source[start + 1 : start + 2] not in ("!", "?"):
        reader.text("<")
        return start + 1
    end = _after(source, ">", start)
    if found is None:
        return end
    name = found[1].lower()
    if source[start + 1] == "/":
        reader.close(name)
    elif skipped := _skipped(name, source[found.end() : end]):
        closing = skipped(source, end)
        return closing.start() if closing else len(source)
    else:
        reader.open(name, source[found.end() : end])
    return end


def _skipped(name: str, attributes: str) -> Callable[..., re.Match[str] | None] | None:
    """The search for the end of an element that readers do not see (scripts, hidden preview lines), or None."""
    if name in _containers:
        return _containers[name] if _hidden(attributes) else None
    return _silent.get(name)


def _after(source: str, mark: str, start: int) -> int:
    end = source.find(mark, start)
    return len(source) if end < 0 else end + len(mark)


class _Reader:
    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.size = 0
        self.link: tuple[str, int] | None = None

    def text(self, raw: str) -> None:
        if raw:
            self._add(re.sub(r"\s+", " ", _unescaped(raw)))

    def open(self, name: str, attributes: str) -> None:
        self._break(name)
        if name == "li":
            self._add("- ")
        elif name == "hr":
            self._add("---\n\n")
        elif name in ("td", "th"):
            self._add(" ")
        elif name == "a":
            self.link = _value(_href(attributes)), len(self.pieces)
        elif name == "img":
            self._add(_value(_alt(attributes)))

    def close(self, name: str) -> None:
        self._break(name)
        if name == "a" and self.link:
            (url, start), self.link = self.link, None
            label = "".join(self.pieces[start:]).strip()
            if url.startswith(("http://", "https://", "mailto:")) and url.removeprefix("mailto:") != label:
                self._add(f" ({url})" if label else url)

    def result(self) -> str:
        lines = [" ".join(line.split()) for line in "".join(self.pieces).split("\n")]
        kept = [line for number, line in enumerate(lines) if line or (number and lines[number - 1])]
        return _control("", "\n".join(kept).strip())[:MAX_TEXT]

    def _break(self, name: str) -> None:
        if name in _paragraphs:
            self._add("\n\n")
        elif name in _lines:
            self._add("\n")

    def _add(self, text: str) -> None:
        self.pieces.append(text)
        self.size += len(text)


def _value(found: re.Match[str] | None) -> str:
    if found is None:
        return ""
    return " ".join(_unescaped(next((group for group in found.groups() if group), "")).split())


def _unescaped(raw: str) -> str:
    try:
        return html.unescape(raw)
    except ValueError:  # a character reference of thousands of digits
        return raw
