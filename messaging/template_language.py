"""Liquid, held to limits: the language customers' templates are written in.

Templates and data are hostile: no loader, no attribute access, no way out of HTML escaping, and every node,
filter and written kilobyte is counted, so that the work of one rendering is bounded and the same input ends
the same way. A variable missing where its value is needed is noted and rendering goes on, so that all show.
"""

import html
import math
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial, wraps
from io import StringIO
from typing import Any

from liquid import BoundTemplate, Environment, RenderContext
from liquid.ast import Node
from liquid.builtin import output
from liquid.builtin.expressions import FilteredExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags import echo_tag
from liquid.exceptions import FilterArgumentError, LiquidError, LiquidSyntaxError, ResourceLimitError
from liquid.expression import Expression
from liquid.filter import with_context
from liquid.output import LimitedStringIO
from liquid.stringify import to_liquid_string
from liquid.undefined import UNDEFINED, Undefined

MAX_STEPS = 200_000  # nodes, filters, look-ups and kilobytes of one message
MAX_OUTPUT = 500_000  # octets of one part
MAX_LOCALS = 200_000  # octets of the template's own variables
MAX_STRING = 500_000  # characters of a filter's result
MAX_LIST = 10_000  # items a filter or a range may give
MAX_UNIQUE = 1_000  # items `uniq` compares with each other
MAX_NUMBER = 10**30
MAX_SOURCE = 500_000  # characters of one part
MAX_TAGS = 5_000  # tags and outputs in one part
MAX_TAG = 4_000  # characters of one tag
MAX_EXPRESSIONS = 200  # operands in one tag
MAX_MISSING = 100  # names reported

_ABSENT = object()
_text_filters = """append capitalize downcase escape escape_once lstrip newline_to_br prepend remove remove_first
    remove_last replace replace_first replace_last split upcase strip rstrip strip_html strip_newlines truncate
    truncatewords url_encode url_decode base64_encode base64_decode base64_url_safe_encode base64_url_safe_decode
    squish escapejs date"""
_TEXT_FILTERS = frozenset(_text_filters.split())
_tag_opening = re.compile(r"\{[{%]").search
_end_of_raw = {name: re.compile(rf"{{%-?\s*end{name}\s*-?%}}").search for name in ("raw", "doc")}
_blank_run = re.compile(r"\s{100}").search
_tag_in_text = re.compile(r"<[^<>]*>")


class Meter:
    """What one rendering has used and found: steps left, variables missing, values of the wrong kind."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps
        self.missing: dict[str, None] = {}
        self.unprintable: dict[str, str] = {}

    def spend(self, steps: int) -> None:
        """Count work about to be done; raises ResourceLimitError when the rendering has had its share."""
        self.left -= steps
        if self.left < 0:
            raise ResourceLimitError("the template does too much work", token=None)

    def miss(self, name: str) -> None:
        """Note a variable whose value was needed and is not there."""
        if len(self.missing) < MAX_MISSING:
            self.missing[name[:200]] = None


class Missing(Undefined):
    """Stands for an absent or null variable: false in conditions, replaced by `default`, noted when its value
    is used in any other way."""

    __slots__ = ("note",)
    force_liquid_default = True

    def __init__(self, name: str, note: Callable[[], None]) -> None:
        super().__init__(name)
        self.note = note

    def __str__(self) -> str:
        self.note()
        return ""

    def __len__(self) -> int:
        self.note()
        return 0

    def __iter__(self) -> Iterator[Any]:
        self.note()
        return iter(())

    def __int__(self) -> int:
        self.note()
        return 0

    __hash__ = Undefined.__hash__


class Buffer(LimitedStringIO):
    """The output of one part, metered."""

    def __init__(self, limit: int, meter: Meter) -> None:
        super().__init__(limit)
        self.meter = meter

    def write(self, text: str) -> int:
        self.meter.spend(len(text) >> 10)
        return super().write(text)


class Context(RenderContext):
    """A rendering's state, with a meter."""

    __slots__ = ("_local_size", "meter")

    def __init__(self, template: BoundTemplate, data: dict[str, Any], meter: Meter) -> None:
        self.meter = meter
        self._local_size = 0
        super().__init__(template, globals=data)

    @property
    def disabled_tags(self) -> list[str]:
        """Read by the library before each node it renders, which makes it the place to count nodes."""
        self.meter.spend(1)
        return []

    @disabled_tags.setter
    def disabled_tags(self, _tags: list[str]) -> None:
        pass

    def get(self, path: list[object], *, token: Any, default: object = UNDEFINED) -> object:
        self.meter.spend(1)
        if default is not UNDEFINED:
            return super().get(path, token=token, default=default)
        found = super().get(path, token=token, default=_ABSENT)
        if found is not None and found is not _ABSENT:
            return found
        name = self._name(".".join(str(step) for step in path), len(self.loops))
        return Missing(name, partial(self.meter.miss, name))

    def _name(self, path: str, depth: int) -> str:
        """The path as the caller of the API knows it: `item.price` inside a loop becomes `items.0.price`."""
        root, dot, rest = path.partition(".")
        for level in range(depth - 1, -1, -1):
            loop = self.loops[level]
            if loop.name.startswith(f"{root}-"):
                return f"{self._name(loop.name[len(root) + 1 :], level)}.{loop.index0}{dot}{rest}"
        return path

    def assign(self, key: str, val: Any) -> None:
        """As the library's, without adding up all names at each assignment."""
        self._local_size += sys.getsizeof(val, 1) - sys.getsizeof(self.locals.get(key), 1)
        self.locals[key] = val
        if self._local_size > MAX_LOCALS:
            raise ResourceLimitError("the template's own variables hold too much", token=None)

    def get_buffer(self, buf: object = None) -> StringIO:
        used = buf.size if isinstance(buf, LimitedStringIO) else 0
        return Buffer(MAX_OUTPUT - used, self.meter)


class BoundedRange(RangeLiteral):
    """`(1..n)` of at most MAX_LIST numbers, checked before anything walks it."""

    __slots__ = ()

    def evaluate(self, context: Any) -> range:
        found = super().evaluate(context)
        if found.stop - found.start > MAX_LIST:
            raise ResourceLimitError(f"a range may hold at most {MAX_LIST:,} numbers", token=self.token)
        context.meter.spend(1 + len(found) // 100)
        return found


class OutputNode(echo_tag.EchoNode):
    """`{{ value }}`, which prints text, numbers and booleans; an object or array is noted as a fault."""

    def render_to_output(self, context: Any, buffer: Any) -> int:
        value = self.expression.evaluate(context)
        if isinstance(value, (dict, list, tuple)):
            kind = "an object" if isinstance(value, dict) else "an array"
            context.meter.unprintable.setdefault(str(getattr(self.expression, "left", "")), kind)
            return 0
        return buffer.write(to_liquid_string(value, context.autoescape))


class _Output(output.Output):
    node_class = OutputNode


class _Echo(echo_tag.EchoTag):
    node_class = OutputNode


class Language(Environment):
    """The dialect: Liquid without partials and without `safe`."""

    block_nesting_limit = 20
    context_depth_limit = 20
    loop_iteration_limit = 10_000
    local_namespace_limit = MAX_LOCALS
    output_stream_limit = MAX_OUTPUT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for tag in ("include", "render"):
            del self.tags[tag]
        self.add_tag(_Output)
        self.add_tag(_Echo)
        del self.filters["safe"]
        self.filters["strip_html"] = _strip_html
        self.filters = {name: _guarded(name, function) for name, function in self.filters.items()}


def compile_part(language: Language, text: str) -> BoundTemplate:
    """Parse `text`; raises LiquidError with a message fit for the template's author."""
    _check_tags(text)
    try:
        template = language.from_string(text)
        for node in template.nodes:
            _check_node(language, node, RenderContext(template))
    except RecursionError:
        raise LiquidSyntaxError("an expression is nested too deeply", token=None) from None
    return template


def render_part(template: BoundTemplate, data: dict[str, Any], meter: Meter) -> str:
    """The template's output; raises LiquidError, or what a filter let slip on absurd input."""
    context = Context(template, data, meter)
    buffer = Buffer(MAX_OUTPUT, meter)
    for node in template.nodes:
        try:
            node.render(context, buffer)
        except LiquidError as error:
            error.token = error.token or node.token
            raise
    return buffer.getvalue()


def _check_tags(text: str) -> None:
    """Refuse unclosed, endless, blank and countless tags: the library's lexer is quadratic in them."""
    if len(text) > MAX_SOURCE:
        raise LiquidSyntaxError(f"at most {MAX_SOURCE:,} characters are allowed", token=None)
    position = count = 0
    while opening := _tag_opening(text, position):
        start = opening.start()
        end = text.find("}}" if opening[0] == "{{" else "%}", start + 2, start + MAX_TAG)
        body = text[start + 2 : end].strip("- \t\r\n")
        count += 1
        if end < 0:
            raise _syntax_error("a tag is not closed, or longer than 4,000 characters", text, start)
        if not body or _blank_run(text, start, end):
            raise _syntax_error("a tag is empty, or holds 100 blanks in a row", text, start)
        if count > MAX_TAGS:
            raise _syntax_error(f"there are more than {MAX_TAGS:,} tags", text, start)
        position = end + 2
        if opening[0] == "{%" and body in _end_of_raw:
            closing = _end_of_raw[body](text, position)
            if closing is None:
                raise _syntax_error(f"{body} is not closed", text, start)
            position = closing.end()


def _syntax_error(message: str, text: str, index: int) -> LiquidSyntaxError:
    line = text.count("\n", 0, index) + 1
    return LiquidSyntaxError(f"{message}, line {line}", token=None)


def _check_node(language: Language, node: Node, context: RenderContext) -> None:
    seen = 0
    waiting: list[Expression] = list(node.expressions())
    while waiting:
        expression = waiting.pop()
        seen += 1
        if seen > MAX_EXPRESSIONS:
            raise LiquidSyntaxError(f"more than {MAX_EXPRESSIONS} operands in one tag", token=node.token)
        if type(expression) is RangeLiteral:
            expression.__class__ = BoundedRange
        if isinstance(expression, FilteredExpression):
            for used in expression.filters or ():
                used.validate_filter_arguments(language)
        waiting.extend(expression.children())
    for child in node.children(context, include_partials=False):
        _check_node(language, child, context)


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with its operands looked at, its work counted and its result bounded."""

    @wraps(function)
    def guarded(value: Any, *operands: Any, context: Context, **named: Any) -> Any:
        everything = (value, *operands, *named.values())
        if name != "default":
            for operand in everything:
                if type(operand) is Missing:
                    operand.note()
            if name in _TEXT_FILTERS:
                _check_texts(everything)
            context.meter.spend(1 + (_weight(everything, context.meter.left << 10) >> 10))
            _check_growth(name, value, operands)
        return _bounded(function(value, *operands, **named))

    return with_context(guarded)


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


def _strip_html(value: object) -> str:
    """`value` without its tags, in linear time (the library's parser is quadratic on unclosed comments)."""
    return html.unescape(_tag_in_text.sub("", str(value)))


HTML = Language(autoescape=True)
TEXT = Language(autoescape=False)
