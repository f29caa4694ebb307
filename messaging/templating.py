"""Rendering an e-mail template with a message's variables: every fault at once, in the terms of the API."""

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from liquid import BoundTemplate

from messaging import template_language
from messaging.headers import line_fault
from messaging.template_language import LiquidError, Meter
from sendarix.core.errors import FieldError

MASK = "•••"


@dataclass(frozen=True, slots=True)
class Source:
    """One version of a template as its author wrote it; a part may be absent."""

    key: str
    version: int
    subject: str | None
    html: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Rendered:
    """The parts ready to send; the HTML has every variable escaped, subject and text are raw."""

    subject: str | None
    html: str | None
    text: str | None


class TemplateFault(Exception):
    """A template or its data that cannot be used. `faults` names all of them, ready for a 422."""

    def __init__(self, faults: Iterable[FieldError]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in self.faults))


def render(source: Source, data: dict[str, Any]) -> Rendered:
    """The message's parts. Raises TemplateFault, with `template_data.NAME: required` for every variable that
    is absent or null where its value is needed (not in a condition, not under `default`)."""
    meter = Meter()
    rendered = Rendered(
        _render_part(source, "subject", data, meter),
        _render_part(source, "html", data, meter),
        _render_part(source, "text", data, meter),
    )
    faults = [_missing(name, source.key) for name in meter.missing]
    faults += [_unprintable(name, kind) for name, kind in meter.unprintable.items()]
    reason = line_fault(rendered.subject or "")
    if reason:
        faults.append(FieldError("subject", "invalid_value", f"The rendered subject {reason}."))
    if faults:
        raise TemplateFault(faults)
    return rendered


def check(source: Source) -> None:
    """Raises TemplateFault naming each part that is not a valid template, with the line of the fault."""
    faults = []
    for part in ("subject", "html", "text"):
        try:
            _compile(part, getattr(source, part) or "")
        except LiquidError as error:
            faults.append(FieldError(part, "invalid_value", _explain(error)))
    if faults:
        raise TemplateFault(faults)


def variables(source: Source) -> tuple[str, ...]:
    """The top-level names the template reads, sorted; those with a default or in a condition included."""
    names: set[str] = set()
    for part in ("subject", "html", "text"):
        names.update(_compile(part, getattr(source, part) or "").analyze(include_partials=False).globals)
    return tuple(sorted(names))


def mask(text: str, values: Iterable[object]) -> str:
    """`text` with each of `values`, raw or HTML-escaped, replaced by MASK. Objects and arrays give all they
    hold; values of one or two characters are masked where they stand alone, lest half the text go."""
    words = {form for value in scalars(values) for form in (value, html.escape(value)) if form.strip()}
    if not words:
        return text
    longest_first = sorted(words, key=len, reverse=True)
    return re.sub("|".join(_mask_pattern(word) for word in longest_first), MASK, text)


def _mask_pattern(word: str) -> str:
    return re.escape(word) if len(word) > 2 else rf"(?<!\w){re.escape(word)}(?!\w)"


def scalars(value: object) -> Iterable[str]:
    """The texts and numbers of a variable's value, those inside objects and arrays included, as they are printed."""
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, str):
        yield value
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, Iterable):
        for item in value:
            yield from scalars(item)
    else:
        yield str(value)


@lru_cache(maxsize=1000)
def _compile(part: str, text: str) -> BoundTemplate:
    """Cached by the text itself: a version, an account or an edit cannot meet another's template."""
    language = template_language.HTML if part == "html" else template_language.TEXT
    return template_language.compile_part(language, text)


def _render_part(source: Source, part: str, data: dict[str, Any], meter: Meter) -> str | None:
    text = getattr(source, part)
    if text is None:
        return None
    try:
        return template_language.render_part(_compile(part, text), data, meter)
    except LiquidError as error:
        raise _broken(source.key, part, _explain(error)) from error
    except Exception as error:  # whatever a filter of the library makes of absurd operands
        raise _broken(source.key, part, f"it cannot be rendered with this data ({type(error).__name__})") from error


def _broken(key: str, part: str, reason: str) -> TemplateFault:
    return TemplateFault([FieldError("template_data", "invalid_value", f"{part} of template {key}: {reason}.")])


def _explain(error: LiquidError) -> str:
    token = error.token
    if token is None or token.start_index < 0:
        return str(error.message)
    return f"{error.message}, line {token.source.count(chr(10), 0, token.start_index) + 1}"


def _missing(name: str, key: str) -> FieldError:
    return FieldError(f"template_data.{name}", "required", f"The template {key} needs the variable {name}.")


def _unprintable(name: str, kind: str) -> FieldError:
    message = f"{name} is {kind}; the template prints it and expects text, a number or a boolean."
    return FieldError(f"template_data.{name}", "invalid_type", message)
