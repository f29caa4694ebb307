"""Rendering an e-mail template with a message's variables: every fault at once, in the terms of the API."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from liquid import BoundTemplate
from liquid.exceptions import LiquidError, TemplateNotFoundError
from liquid.utils import ReadOnlyChainMap

from messaging.headers import line_fault
from messaging.templating import declarations, language
from messaging.templating.declarations import Variable
from messaging.templating.metering import Content, Loader, Meter
from sendarix.core.errors import FieldError

PARTS = ("subject", "html", "text")


@dataclass(frozen=True, slots=True)
class Piece:
    """A layout or partial, ready to render: its HTML and its text."""

    html: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """One version of a template in one language, with all it is made of; a part may be absent. A partial's key that `partials`
    lacks is a fault when it is rendered."""

    key: str
    version: int
    subject: str | None
    html: str | None
    text: str | None
    locale: str | None = None
    layout: Piece | None = None
    partials: Mapping[str, Piece] = field(default_factory=dict)
    variables: tuple[Variable, ...] = ()


@dataclass(frozen=True, slots=True)
class Rendered:
    """The parts ready to send; the HTML has every variable escaped, subject and text are raw."""

    subject: str | None
    html: str | None
    text: str | None


class TemplateFault(Exception):
    """A template or its data that cannot be used. `faults` names all of them, ready for a 422; `part` is the one that broke off
    the rendering, if one did."""

    def __init__(self, faults: Iterable[FieldError], part: str | None = None) -> None:
        self.faults = tuple(faults)
        self.part = part
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in self.faults))


def render(source: Source, data: dict[str, Any]) -> Rendered:
    """The message's parts. Raises TemplateFault, with `template_data.NAME: required` for every variable that is absent or null
    where its value is needed (not in a condition, not under `default`), and what declarations.fill finds."""
    data, faults = declarations.fill(source.variables, data)
    told = {fault.field for fault in faults}
    meter = Meter()
    try:
        rendered = _rendered(source, data, meter)
        reason = line_fault(rendered.subject or "")
    except TemplateFault:
        if not faults and not meter.missing:
            raise
        rendered, reason = Rendered(None, None, None), None  # it stumbled over what the other faults tell
    found = [_missing(name, source.key) for name in meter.missing]
    found += [_unprintable(name, kind) for name, kind in meter.unprintable.items()]
    faults += [fault for fault in found if fault.field not in told]
    if reason:
        faults.append(FieldError("subject", "invalid_value", f"The rendered subject {reason}."))
    if faults:
        raise TemplateFault(faults)
    return rendered


def check(source: Source) -> None:
    """Raises TemplateFault naming each part that is not a valid template, with the line and column of the fault."""
    faults = []
    for part in PARTS:
        try:
            compiled(part, getattr(source, part) or "")
        except LiquidError as error:
            faults.append(FieldError(part, "invalid_template", f"{_sentence(explain(error))}."))
    if faults:
        raise TemplateFault(faults)


def variables(source: Source) -> tuple[str, ...]:
    """The top-level names the template reads, sorted; those with a default or in a condition included."""
    names: set[str] = set()
    for part in PARTS:
        names.update(compiled(part, getattr(source, part) or "").analyze(include_partials=False).globals)
    return tuple(sorted(names))


@lru_cache(maxsize=1000)
def compiled(part: str, text: str) -> BoundTemplate:
    """Cached by the text itself, and holding no partial: a version, an account or an edit cannot meet another's template.
    Raises LiquidError."""
    return language.compile_part(language.HTML if part == "html" else language.TEXT, text)


def explain(error: LiquidError) -> str:
    """The message of a fault with where it is: `…, line 3, column 14`, and the partial when it is in one."""
    token, what = error.token, str(error.message)
    if error.template_name:
        what = f"{what} in the partial {error.template_name}"
    if token is None or token.start_index < 0:
        return what
    line, column = position(token.source, token.start_index)
    return f"{what}, line {line}, column {column}"


def position(text: str, index: int) -> tuple[int, int]:
    """Line and column of a place in a text, both counted from 1, columns in characters."""
    start = text.rfind("\n", 0, index) + 1
    return text.count("\n", 0, index) + 1, index - start + 1


def ranges(locale: str | None) -> list[str]:
    """The locale and what is less and less specific of it, in lower case: `zh-Hant-TW`, `zh-Hant`, `zh`. A single letter left at
    the end goes with what it introduced (RFC 4647 section 3.4)."""
    steps = locale.lower().split("-") if locale else []
    found = []
    while steps:
        found.append("-".join(steps))
        steps.pop()
        if steps and len(steps[-1]) == 1:
            steps.pop()
    return found


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _rendered(source: Source, data: dict[str, Any], meter: Meter) -> Rendered:
    subject = _part(source, "subject", data, meter)
    frame = {"subject": subject or "", "locale": source.locale or ""}
    return Rendered(
        subject,
        _framed(source, "html", _part(source, "html", data, meter), data, frame, meter),
        _framed(source, "text", _part(source, "text", data, meter), data, frame, meter),
    )


def _framed(
    source: Source, part: str, content: str | None, data: dict[str, Any], frame: dict[str, Any], meter: Meter
) -> str | None:
    """The part inside its layout, which sees `content`, `subject` and `locale` before the message's own data."""
    layout = getattr(source.layout, part) if source.layout else None
    if content is None or not content.strip() or layout is None:
        return content
    inside = ReadOnlyChainMap({"content": Content(content), **frame}, data)
    return _run(
        source, part, layout, inside, meter, lambda why: f"{part} of the layout of template {source.key}: {why}."
    )


def _part(source: Source, part: str, data: dict[str, Any], meter: Meter) -> str | None:
    text = getattr(source, part)
    if text is None:
        return None
    return _run(source, part, text, data, meter, lambda why: f"{part} of template {source.key}: {why}.")


def _run(
    source: Source, part: str, text: str, data: Mapping[str, Any], meter: Meter, refusal: Callable[[str], str]
) -> str:
    """`refusal`: the message of a fault from its reason."""
    try:
        return language.render_part(compiled(part, text), data, meter, _loader(source, part))
    except LiquidError as error:
        raise _broken(part, refusal(explain(error))) from error
    except Exception as error:  # whatever a filter of the library makes of absurd operands
        reason = f"it cannot be rendered with this data ({type(error).__name__})"
        raise _broken(part, refusal(reason)) from error


def _loader(source: Source, part: str) -> Loader:
    side = "html" if part == "html" else "text"

    def load(key: str) -> BoundTemplate:
        piece = source.partials.get(key)
        if piece is None:
            raise TemplateNotFoundError(f"there is no published partial {key}", token=None)
        return compiled(side, getattr(piece, side) or "")

    return load


def _broken(part: str, message: str) -> TemplateFault:
    return TemplateFault([FieldError("template_data", "invalid_value", message)], part)


def _missing(name: str, key: str) -> FieldError:
    return FieldError(f"template_data.{name}", "required", f"The template {key} needs the variable {name}.")


def _unprintable(name: str, kind: str) -> FieldError:
    message = f"{name} is {kind}; the template prints it and expects text, a number or a boolean."
    return FieldError(f"template_data.{name}", "invalid_type", message)
