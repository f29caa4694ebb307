"""Liquid's filters, guarded: operands looked at, work counted before it is done, results bounded. None of them can call, read
an attribute, or open up what was escaped."""

import html
import math
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from liquid.exceptions import FilterArgumentError, ResourceLimitError
from liquid.filter import with_context

from messaging.templating.metering import Content, Context, Missing

MAX_STRING = 500_000  # characters of a filter's result
MAX_LIST = 10_000  # items a filter or a range may give
MAX_UNIQUE = 1_000  # items `uniq` compares with each other
MAX_NUMBER = 10**30

_text_filters = """append capitalize downcase escape escape_once lstrip newline_to_br prepend remove remove_first
    remove_last replace replace_first replace_last split upcase strip rstrip strip_html strip_newlines truncate
    truncatewords url_encode url_decode base64_encode base64_decode base64_url_safe_encode base64_url_safe_decode
    squish escapejs date"""
_TEXT_FILTERS = frozenset(_text_filters.split())
_tag_in_text = re.compile(r"<[^<>]*>")


def guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with its operands looked at, its work counted and its result bounded."""

    @wraps(function)
    def checked(value: Any, *operands: Any, context: Context, **named: Any) -> Any:
        everything = (value, *operands, *named.values())
        if any(type(operand) is Content for operand in everything):
            raise FilterArgumentError("content can only be printed, not filtered", token=None)
        if name != "default":
            for operand in everything:
                if type(operand) is Missing:
                    operand.note()
            if name in _TEXT_FILTERS:
                _check_texts(everything)
            context.meter.spend(1 + (_weight(everything, context.meter.left << 10) >> 10))
            _check_growth(name, value, operands)
        return _bounded(function(value, *operands, **named))

    return with_context(checked)


def _check_texts(operands: tuple[Any, ...]) -> None:
    if any(isinstance(operand, (dict, list, tuple)) for operand in operands):
        raise FilterArgumentError("expected text, found an object or array", token=None)


def _weight(value: Any, enough: int) -> int:
    """About how many octets a walk over `value` touches, counted up to `enough`."""
    total = 0
    waiting = [value]
    while waiting and total <= enough:
        item = waiting.pop()
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, (list, tuple)):
            total += 64 * len(item)
            waiting.extend(item)
        elif isinstance(item, dict):
            total += 128 * len(item)
            waiting.extend(item.values())
        elif isinstance(item, range):
            total += 64 * len(item)
    return total


def _check_growth(name: str, value: Any, operands: tuple[Any, ...]) -> None:
    """Refuse before the work is done what could make much out of little."""
    size = 0
    if name == "replace" and len(operands) > 1:
        text, old, new = str(value), str(operands[0]), str(operands[1])
        size = len(text) + text.count(old) * len(new)
    elif name == "join" and isinstance(value, (list, tuple, range)):
        separator = len(str(operands[0])) if operands else 1
        size = separator * len(value) + _weight(value, MAX_STRING)
    elif name == "uniq" and isinstance(value, (list, tuple)) and len(value) > MAX_UNIQUE:
        raise ResourceLimitError(f"uniq takes at most {MAX_UNIQUE:,} items", token=None)
    elif name == "date" and len(str(value)) > 100:
        raise FilterArgumentError("date expected a date", token=None)
    if size > MAX_STRING:
        raise ResourceLimitError(f"{name} would make a string of {size:,} characters", token=None)


def _bounded(result: Any) -> Any:
    if isinstance(result, str):
        if len(result) > MAX_STRING:
            raise ResourceLimitError(f"a string of {len(result):,} characters is too long", token=None)
        if "\x00" in result:
            raise FilterArgumentError("a NUL character cannot be sent", token=None)
    elif isinstance(result, list):
        if len(result) > MAX_LIST:
            raise ResourceLimitError(f"an array of {len(result):,} items is too long", token=None)
    elif isinstance(result, (int, float)) and not (math.isfinite(result) and abs(result) <= MAX_NUMBER):
        raise ResourceLimitError("a number is too large", token=None)
    return result


def strip_html(value: object) -> str:
    """`value` without its tags, in linear time (the library's parser is quadratic on unclosed comments)."""
    return html.unescape(_tag_in_text.sub("", str(value)))
