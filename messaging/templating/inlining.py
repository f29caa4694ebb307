"""CSS written into the elements it applies to, because many mail clients read no style sheets. css-inline works out the styles on
a copy in which everything of Liquid is hidden; only the style attributes it found are put into the source, which stays as its
author wrote it otherwise. Nothing is fetched."""

import re
from collections import Counter
from collections.abc import Mapping

import css_inline

from messaging.templating.markup import Attribute, Element, Markup

MAX_ELEMENTS = 5_000
MAX_CSS = 100_000  # characters of all style sheets
MAX_WORK = 5_000_000  # elements times rules
MAX_OPEN = 50  # formatting elements left open: HTML repeats each of them in every paragraph that follows

_inliner = css_inline.CSSInliner(
    load_remote_stylesheets=False, keep_style_tags=True, keep_at_rules=True, remove_inlined_selectors=True
)
_whole = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True, keep_at_rules=True)
_is_render = re.compile(r"\{%-?\s*render\s+(?:'([\w-]+)'|\"([\w-]+)\")").match
_is_content = re.compile(r"\{\{-?\s*content\s*-?\}\}").fullmatch
_comment = re.compile(r"<!--.*?(?:-->|$)", re.DOTALL).sub
_style_of = re.compile(r'\sstyle="([^"]*)"').search
_start_tag = re.compile(r'<\w[^\s/>]*+((?:[^>=]++|=(?:"[^"]*+")?+)*+)>').finditer
_invisible = frozenset(
    ["link", "base", "meta", "script", "title", "textarea", "xmp", "noscript", "template", "plaintext", "frameset"]
)
_formatting = frozenset(
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"]
)


class NotInlined(Exception):
    """Why the CSS of a document stays where it is; the message is for its author."""


def inlined(sources: Mapping[str, str], first: str) -> tuple[dict[str, str], list[str]]:
    """The sources of one document with its CSS inlined, and remarks on what could not be. `first` is the source it begins with;
    `{{ content }}` leads to the source "content", `{% render 'key' %}` to "partial:key", whose elements get the styles of the
    place where it is rendered first. Raises NotInlined."""
    document = _Document({name: Markup(text) for name, text in sources.items()})
    document.take(first)
    document.check()
    if not document.sheets:
        return dict(sources), document.remarks
    try:
        result = (_whole if document.dynamic else _inliner).inline("".join(document.shadow))
    except (ValueError, RecursionError) as error:
        raise NotInlined(f"The CSS cannot be read: {str(error)[:200]}") from None
    return document.spliced(result), document.remarks


class _Document:
    """The copy that css-inline sees. Each element in it carries the number by which its style is found again."""

    def __init__(self, sources: dict[str, Markup]) -> None:
        self.sources = sources
        self.shadow: list[str] = []
        self.places: list[tuple[str, Element]] = []
        self.sheets: dict[int, str] = {}
        self.dynamic = False
        self.remarks: list[str] = []
        self._taken: set[str] = set()
        self._hidden: list[str] = []
        self._open: Counter[str] = Counter()
        self._left_open = 0
        everything = "".join(markup.text for markup in sources.values())
        self._mark = "lq"
        while re.search(rf"{self._mark}\d", everything):
            self._mark += "q"
        self._marked = re.compile(rf"{self._mark}(\d+)z")

    def take(self, name: str) -> None:
        """Copy a source to where the document is now."""
        if name in self._taken or name not in self.sources:
            return
        self._taken.add(name)
        markup, position = self.sources[name], 0
        for tag in markup.tags:
            self._take_text(markup, position, tag.start)
            self._count(tag.name)
            if tag.name.startswith("/"):
                self.shadow.append(f"<{tag.name}>")
            elif tag.name == "style":
                self._take_sheet(name, markup, tag)
            elif tag.name not in _invisible:
                self._take_element(name, markup, tag)
            position = tag.end if tag.body is None else tag.body
        self._take_text(markup, position, len(markup.text))

    def check(self) -> None:
        """Raises NotInlined where the work would be out of all proportion."""
        css = "".join(self.sheets.values())
        if len(self.places) > MAX_ELEMENTS or len(self.places) * css.count("{") > MAX_WORK:
            raise NotInlined("There are too many elements or rules")
        if len(css) > MAX_CSS:
            raise NotInlined(f"The style sheets have more than {MAX_CSS:,} characters")
        if self._left_open > MAX_OPEN:
            raise NotInlined(f"More than {MAX_OPEN} elements like b, i or a are not closed")

    def spliced(self, result: str) -> dict[str, str]:
        """The sources with the styles of `result`, css-inline's answer."""
        found = self._found(result)
        edits: dict[str, list[tuple[int, int, str]]] = {name: [] for name in self.sources}
        for number, (name, element) in enumerate(self.places):
            if number in self.sheets:
                if not self.dynamic:
                    edits[name].append(self._sheet_edit(name, element, found.get(number, "")))
            elif style := found.get(number):
                edits[name].append(self._style_edit(name, element, style))
        return {name: _edited(markup.text, edits[name]) for name, markup in self.sources.items()}

    def _take_text(self, markup: Markup, start: int, end: int) -> None:
        position = start
        for span in markup.spans_in(start, end):
            self.shadow.append(_without_comments(markup.masked[position : span.start]))
            tag = markup.text[span.start : span.end]
            if _is_content(tag):
                self.take("content")
            elif found := _is_render(tag):
                self.take(f"partial:{found[1] or found[2]}")
            position = span.end
        self.shadow.append(_without_comments(markup.masked[position:end]))

    def _take_sheet(self, name: str, markup: Markup, element: Element) -> None:
        media = element.attribute("media")
        if media and markup.value(media).strip().lower() not in ("", "all", "screen"):
            return
        spans = markup.spans_in(element.end, element.body or element.end)
        if not all(span.prints for span in spans):
            self.remarks.append("A style element that holds {% tags %} stays as it is.")
            return
        css = self._marked_up(markup, element.end, element.body or element.end)
        self.shadow.append(f"<style {self._number(name, element)}>{css}")
        self.sheets[len(self.places) - 1] = css

    def _take_element(self, name: str, markup: Markup, element: Element) -> None:
        """Copied with its attributes. What depends on data is left out, lest the styles of one case be given to all."""
        inside = [(attribute.start, attribute.end) for attribute in element.attributes]
        for span in markup.spans_in(element.start, element.end):
            if not any(start <= span.start < end for start, end in inside):
                self.dynamic = True
                self.shadow.append(f"<{element.name}>")
                return
        shown = [self._shown(markup, attribute) for attribute in element.attributes]
        self.shadow.append(f"<{element.name} {self._number(name, element)} {' '.join(filter(None, shown))}>")

    def _shown(self, markup: Markup, attribute: Attribute) -> str:
        spans = markup.spans_in(attribute.start, attribute.end)
        if spans and attribute.name in ("class", "id"):
            self.dynamic = True
            return ""
        if spans and attribute.name == "style":
            return ""
        value = self._marked_up(markup, attribute.start, attribute.end).replace('"', "&quot;")
        return f'{attribute.name}="{value}"'

    def _marked_up(self, markup: Markup, start: int, end: int) -> str:
        """The text with each Liquid tag replaced by a word that passes through CSS unchanged."""
        pieces, position = [], start
        for span in markup.spans_in(start, end):
            pieces.append(f"{markup.text[position : span.start]}{self._mark}{len(self._hidden)}z")
            self._hidden.append(markup.text[span.start : span.end])
            position = span.end
        return "".join(pieces) + markup.text[position:end]

    def _number(self, name: str, element: Element) -> str:
        self.places.append((name, element))
        return f'data-{self._mark}="{len(self.places) - 1}"'

    def _count(self, tag: str) -> None:
        name = tag.lstrip("/")
        if name in _formatting:
            self._open[name] = max(0, self._open[name] + (-1 if tag.startswith("/") else 1))
            self._left_open = max(self._left_open, self._open.total())

    def _found(self, result: str) -> dict[int, str]:
        """By number: the style of an element, escaped as an attribute is, or what is left of a style sheet."""
        numbered = re.compile(rf' data-{self._mark}="(\d+)"').search
        found: dict[int, str] = {}
        for tag in _start_tag(result):
            if (mark := numbered(tag[1])) is None:
                continue
            number = int(mark[1])
            if number in self.sheets:
                value = result[tag.end() : result.find("</style", tag.end())]
            elif style := _style_of(tag[1]):
                value = style[1]
            else:
                continue
            found.setdefault(number, self._marked.sub(lambda hidden: self._hidden[int(hidden[1])], value))
        return found

    def _sheet_edit(self, name: str, element: Element, left: str) -> tuple[int, int, str]:
        text = self.sources[name].text
        end = element.body or element.end
        if left.strip():
            return element.end, end, left
        end = text.find(">", end) + 1 or len(text)
        return element.start, end, "\n" * text.count("\n", element.start, end)

    def _style_edit(self, name: str, element: Element, style: str) -> tuple[int, int, str]:
        markup = self.sources[name]
        own = element.attribute("style")
        if own is None:
            start = element.start + 1 + len(element.name)
            return start, start, f' style="{style}"'
        if markup.spans_in(own.start, own.end):
            style = f"{style.rstrip(' ;')};{markup.value(own)}"
        end = own.end + 1 if markup.text[own.end : own.end + 1] in ('"', "'") else own.end
        return own.at, max(end, own.at + len("style")), f'style="{style}"'


def _edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    pieces, position = [], 0
    for start, end, new in sorted(edits):
        pieces += [text[position:start], new]
        position = end
    return "".join([*pieces, text[position:]])


def _without_comments(text: str) -> str:
    return _comment("", text)
