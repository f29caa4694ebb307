"""Sensitive values, kept out of sight: what a variable's value looks like when printed, and texts without it."""

import html
import re
from collections.abc import Iterable

MASK = "•••"


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
