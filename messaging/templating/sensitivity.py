"""Where a template changes a sensitive value before it prints it, so that neither masking nor redaction would know it again:
warnings for its author."""

from collections.abc import Iterator

from liquid.builtin.expressions import FilteredExpression, Path

from messaging.templating import language, rendering
from messaging.templating.rendering import PARTS, Source

KNOWN_AGAIN = frozenset(("default", "escape", "upcase", "downcase", "capitalize"))
"""Filters whose results masking looks for too."""


def warnings(source: Source) -> Iterator[tuple[str, str]]:
    """Each (code, message with place), for filters that stand directly at a variable declared sensitive, or inside one."""
    names = [variable.name for variable in source.variables if variable.sensitive]
    if names:
        for what, part, text in _texts(source):
            for name, used, place in _changed(part, text, names):
                yield (
                    "sensitive_filtered",
                    f"{what}: The filter {used} changes {name}, which is sensitive; what it prints may not be masked, {place}.",
                )


def _texts(source: Source) -> Iterator[tuple[str, str, str]]:
    for part in PARTS:
        yield part, part, getattr(source, part) or ""
    for part in ("html", "text"):
        if source.layout:
            yield "layout", part, getattr(source.layout, part) or ""
        for key, piece in source.partials.items():
            yield f"partial {key}", part, getattr(piece, part) or ""


def _changed(part: str, text: str, names: list[str]) -> Iterator[tuple[str, str, str]]:
    for expression in language.expressions_of(rendering.compiled(part, text)):
        if isinstance(expression, FilteredExpression) and isinstance(expression.left, Path):
            name = str(expression.left)
            used = next((used for used in expression.filters or () if used.name not in KNOWN_AGAIN), None)
            if used and any(name == one or name.startswith(f"{one}.") for one in names):
                line, column = rendering.position(used.token.source, used.token.start_index)
                yield name, used.name, f"line {line}, column {column}"
