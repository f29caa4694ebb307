"""JSON from strangers: what RFC 8259 leaves to the reader is refused here, so that nothing later meets it.

Refused: other encodings than UTF-8, a byte order mark, duplicate keys, depth over 64, NUL and lone surrogates
(raw or escaped), NaN, Infinity, floats beyond a double, integers beyond 64 bits, more than 2,000,000 values.
Time and memory are linear in the body.
"""

import json
import math
import re
from collections import Counter
from itertools import chain
from typing import Any, NoReturn

MAX_DEPTH = 64
MAX_VALUES = 2_000_000

_MIN_INT, _MAX_INT = -(2**63), 2**63 - 1
_suspect = re.compile(r"\\u(?:0000|[dD][89a-fA-F])").search
_surrogate = re.compile("[\ud800-\udfff]").search


class JsonError(ValueError):
    """Not JSON as this module accepts it; the message says why and, where known, at which place."""


def loads(raw: bytes) -> Any:
    """The value of a JSON text. Raises JsonError and nothing else."""
    text = _decode(raw)
    openings = text.count("{") + text.count("[")
    if openings + text.count(",") > MAX_VALUES:
        raise JsonError(f"The body holds more than {MAX_VALUES:,} values.")
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise JsonError(f"Not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise _too_deep() from None
    if openings > MAX_DEPTH:
        _check_depth(value)
    if _suspect(text):
        _check_strings(value)
    return value


def _decode(raw: bytes) -> str:
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise JsonError("The body starts with a byte order mark; send plain UTF-8.")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise JsonError(f"The body is not UTF-8: {error.reason} at byte {error.start}.") from None


def _too_deep() -> JsonError:
    return JsonError(f"The body is nested more than {MAX_DEPTH} levels deep.")


def _check_depth(value: Any) -> None:
    level = [value] if type(value) in (dict, list) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return
        children = chain.from_iterable(item.values() if type(item) is dict else item for item in level)
        level = [child for child in children if type(child) in (dict, list)]
    if level:
        raise _too_deep()


def _check_strings(value: Any) -> None:
    waiting = [("", value)]
    while waiting:
        path, item = waiting.pop()
        if type(item) is str:
            _check_string(path, item)
        elif type(item) is dict:
            for key in item:
                _check_string(path, key)
            waiting.extend((f"{path}.{key}"[-200:], child) for key, child in item.items())
        elif type(item) is list:
            waiting.extend((f"{path}.{index}"[-200:], child) for index, child in enumerate(item))


def _check_string(path: str, text: str) -> None:
    where = f" in {path[1:]}" if path else ""
    if "\x00" in text:
        raise JsonError(f"A NUL character (\\u0000) is not allowed{where}.")
    if _surrogate(text):
        raise JsonError(f"Half of a surrogate pair stands alone{where}.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key, count in Counter(names).items() if count > 1)
        raise JsonError(f"The key {json.dumps(twice[:100])} stands twice in one object.")
    return found


def _integer(digits: str) -> int:
    if len(digits) <= 20 and _MIN_INT <= (number := int(digits)) <= _MAX_INT:
        return number
    raise JsonError(f"The integer {digits[:24]} is beyond 64 bits; send it as a string.")


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise JsonError(f"The number {digits[:24]} is beyond the range of a double.")
    return number


def _constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is not a JSON value.")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
