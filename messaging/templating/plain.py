"""The text part of a template, made from its HTML with every Liquid tag kept, so that it says for any data what the HTML says."""

import re

from messaging import plaintext
from messaging.templating.markup import Markup

_OPEN, _CLOSE = "\ue001", "\ue002"
_PLACEHOLDER = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_only_tags = re.compile(f"\\s*(?:{_OPEN}\\d+{_CLOSE}\\s*)+").fullmatch
_link_to_itself = re.compile(f"({_OPEN}\\d+{_CLOSE}) \\(https://\\1\\)").sub
_link = re.compile(f"https://({_OPEN}\\d+{_CLOSE})").sub
_prints = re.compile(r"\{\{|\{%-?\s*(?:render|echo|cycle|raw|increment|decrement|tablerow|liquid)\b").match


class NoText(Exception):
    """The HTML is built in a way that no text template can be made from it; the rendered HTML must be read instead."""


def from_html(html: str) -> str:
    """The text of an HTML template. Raises NoText."""
    markup = Markup(html)
    tags: dict[str, int] = {}
    text = plaintext.from_html(_covered(markup, tags))
    if len(text) >= plaintext.MAX_TEXT:
        raise NoText
    text = _link(r"\1", _link_to_itself(r"\1", text))
    return _joined(text.split("\n"), list(tags))


def _covered(markup: Markup, tags: dict[str, int]) -> str:
    """The HTML with a short word for each Liquid tag that text or a link shows; those in other attributes are left out."""
    pieces, position = [], 0
    for element in markup.elements:
        pieces.append(_words(markup, position, element.start, tags))
        shown = [found for found in element.attributes if found.name in ("href", "alt", "style")]
        inside = [(found.start, found.end) for found in element.attributes]
        spans = markup.spans_in(element.start, element.end)
        if any(
            not any(start <= span.start < end for start, end in inside)
            for span in spans
            if element.name in ("a", "img")
        ):
            raise NoText
        attributes = []
        for found in shown:
            value = _words(markup, found.start, found.end, tags).replace('"', "&quot;")
            link = "https://" if found.name == "href" and value.startswith(_OPEN) else ""
            attributes.append(f' {found.name}="{link}{value}"')
        pieces.append(f"<{element.name}{''.join(attributes)}>")
        position = element.end
    return "".join([*pieces, _words(markup, position, len(markup.text), tags)])


def _words(markup: Markup, start: int, end: int, tags: dict[str, int]) -> str:
    """The text with a word for each tag. Blanks that a tag takes away (`{%-`) are taken away here, because the text has line ends
    where the HTML has none."""
    pieces, position, strip = [], start, False
    for span in markup.spans_in(start, end):
        before, tag = markup.text[position : span.start], markup.text[span.start : span.end]
        before = before.lstrip() if strip else before
        strip = tag[-3] == "-"
        number = tags.setdefault(_untrimmed(tag), len(tags))
        pieces += [before.rstrip() if tag[2] == "-" else before, f"{_OPEN}{number}{_CLOSE}"]
        position = span.end
    rest = markup.text[position:end]
    return "".join(pieces) + (rest.lstrip() if strip else rest)


def _untrimmed(tag: str) -> str:
    """The tag without its marks for trimming; of a block in one piece, those at its ends."""
    tag = tag[:2] + tag[3:] if tag[2] == "-" else tag
    return tag[:-3] + tag[-2:] if tag[-3] == "-" else tag


def _joined(lines: list[str], tags: list[str]) -> str:
    """The lines with their tags back. A line of nothing but tags is put before the next one, and of empty lines around it one is
    kept, so that what a condition leaves out leaves nothing behind."""
    made: list[str] = []
    waiting, after_blank = "", True
    for line in lines:
        found = _PLACEHOLDER.findall(line)
        if found and _only_tags(line) and not any(_prints(tags[int(number)]) for number in found):
            waiting += _restored(line.strip(), tags)
        elif not (waiting and after_blank and not line):
            made.append(waiting + _restored(line, tags))
            waiting, after_blank = "", not line
    return "\n".join([*made, waiting] if waiting else made)


def _restored(line: str, tags: list[str]) -> str:
    return _PLACEHOLDER.sub(lambda mark: tags[int(mark[1])], line)
