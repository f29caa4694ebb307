"""What mail clients will make of a template: warnings for its author, told when it is published. None forbids anything."""

import re
from collections.abc import Iterable

from messaging.templating.markup import Element, Markup
from messaging.templating.rendering import Source

CLIPPED = 102 * 1024
"""Octets of HTML after which Gmail hides the rest."""

_forbidden = frozenset(["script", "iframe", "form", "object", "embed", "applet", "frame", "frameset", "video", "audio"])
_position = re.compile(r"(?<![\w-])position\s*:", re.I).search


def warnings(source: Source) -> list[dict[str, str]]:
    """Each {code, message}, one per code and kind."""
    texts = [source.html or ""]
    if source.layout:
        texts.append(source.layout.html or "")
    texts += [piece.html or "" for piece in source.partials.values()]
    found: dict[tuple[str, str], None] = {}
    size = sum(len(text.encode()) for text in texts)
    if size > CLIPPED:
        found[
            "html_clipped", f"The HTML has {size // 1024} KB before it is filled in; Gmail clips it after 102 KB."
        ] = None
    for text in texts:
        markup = Markup(text)
        for element in markup.elements:
            found.update(dict.fromkeys(_of_element(markup, element)))
    return [{"code": code, "message": message} for code, message in found]


def _of_element(markup: Markup, element: Element) -> Iterable[tuple[str, str]]:
    name = element.name
    if name in _forbidden:
        yield "element_blocked", f"Mail clients remove or block the element {name}."
    if name == "img":
        yield from _of_image(markup, element)
    for attribute in element.attributes:
        value = markup.value(attribute).strip()
        if attribute.name in ("href", "src", "background") and value.lower().startswith("http:"):
            yield "insecure_link", f"{name} {attribute.name} is http, not https: {value[:100]}"
        if attribute.name == "style" and _position(value):
            yield "position_ignored", "CSS position is ignored or forbidden by most mail clients."
    if name == "style" and element.body and _position(markup.text[element.end : element.body]):
        yield "position_ignored", "CSS position is ignored or forbidden by most mail clients."


def _of_image(markup: Markup, element: Element) -> Iterable[tuple[str, str]]:
    source = element.attribute("src")
    which = markup.value(source)[:100] if source else ""
    if element.attribute("alt") is None:
        yield "image_without_alt", f"An image has no alt text, which is shown when images are blocked: {which}"
    if element.attribute("width") is None or element.attribute("height") is None:
        yield "image_without_size", f"An image has no width and height; the mail jumps when it loads: {which}"
