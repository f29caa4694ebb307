"""Liquid, held to limits: the language customers' templates are written in.

Templates and data are hostile: partials come from the message's own template alone, there is no attribute access and no way out
of HTML escaping, and every node, filter and written kilobyte is counted, so that the work of one rendering is bounded and the
same input ends the same way. A variable missing where its value is needed is noted and rendering goes on, so that all show."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from liquid import BoundTemplate, Environment, RenderContext
from liquid.ast import Node
from liquid.builtin import output
from liquid.builtin.expressions import FilteredExpression, Path, StringLiteral
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags import echo_tag, render_tag
from liquid.exceptions import LiquidError, LiquidInterrupt, LiquidSyntaxError, ResourceLimitError
from liquid.expression import Expression
from liquid.stringify import to_liquid_string
from liquid.token import TOKEN_EOF, TOKEN_TAG, Token

from messaging.templating.filters import MAX_LIST, guarded, strip_html
from messaging.templating.metering import (
    MAX_LOCALS,
    MAX_OUTPUT,
    Buffer,
    Content,
    Context,
    Loader,
    Meter,
    Missing,
)

MAX_SOURCE = 500_000  # characters of one part
MAX_TAGS = 5_000  # tags and outputs in one part
MAX_TAG = 4_000  # characters of one tag
MAX_EXPRESSIONS = 200  # operands in one tag

_tag_opening = re.compile(r"\{[{%]").search
_end_of_raw = {name: re.compile(rf"{{%-?\s*end{name}\s*-?%}}").search for name in ("raw", "doc")}
_blank_run = re.compile(r"\s{100}").search
_is_key = re.compile(r"[A-Za-z0-9_-]{1,100}").fullmatch


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
        try:
            value = self.expression.evaluate(context)
        except LiquidError as error:
            error.token = error.token or self.token
            raise
        if isinstance(value, (dict, list, tuple)):
            kind = "an object" if isinstance(value, dict) else "an array"
            context.meter.unprintable.setdefault(str(getattr(self.expression, "left", "")), kind)
            return 0
        if type(value) is Content:
            return buffer.write(value.text)
        return buffer.write(to_liquid_string(value, context.autoescape))


class PartialNode(render_tag.RenderNode):
    """`{% render 'key', name: value %}`: another template of the account in a room of its own."""

    @property
    def key(self) -> str:
        return self.name.value if isinstance(self.name, StringLiteral) else ""

    def render_to_output(self, context: Any, buffer: Any) -> int:
        name = self.key
        try:
            template = context.loader(name)
            arguments = {argument.name: argument.value.evaluate(context) for argument in self.args}
            origins = {argument.name: context.spelled(str(argument.value)) for argument in self.args}
            for bound, spelled in self._bound(context, self.alias or name):
                _run(context.inside(template, {**arguments, **bound}, {**origins, **spelled}), buffer)
        except LiquidError as error:
            error.token = error.token or self.token
            if error.token.source is not self.token.source:
                error.template_name = error.template_name or name
            raise
        return 1

    def _bound(self, context: Any, alias: str) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
        """What `with` or `for` adds to the arguments, once per rendering of the partial."""
        if self.var is None:
            yield {}, {}
            return
        value, path = self.var.evaluate(context), context.spelled(str(self.var))
        if not self.loop or not isinstance(value, (list, tuple, range, Missing)):
            yield {alias: value}, {alias: path}
            return
        items = list(value)
        context.raise_for_loop_limit(len(items))
        for index, item in enumerate(items):
            turn = {"index": index + 1, "index0": index, "first": index == 0, "length": len(items)}
            turn["last"] = index + 1 == len(items)
            yield {"forloop": turn, alias: item}, {alias: f"{path}.{index}"}


class _Output(output.Output):
    node_class = OutputNode


class _Echo(echo_tag.EchoTag):
    node_class = OutputNode


class _Render(render_tag.RenderTag):
    node_class = PartialNode

    def parse(self, stream: Any) -> Node:
        node = super().parse(stream)
        if not isinstance(node, PartialNode) or not _is_key(node.key):
            raise LiquidSyntaxError("render needs the key of a partial in quotes", token=node.token)
        return node


class Language(Environment):
    """The dialect: Liquid without `include` and without `safe`."""

    block_nesting_limit = 20
    context_depth_limit = 20
    loop_iteration_limit = 10_000
    local_namespace_limit = MAX_LOCALS
    output_stream_limit = MAX_OUTPUT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        del self.tags["include"]
        self.add_tag(_Output)
        self.add_tag(_Echo)
        self.add_tag(_Render)
        del self.filters["safe"]
        self.filters["strip_html"] = strip_html
        self.filters = {name: guarded(name, function) for name, function in self.filters.items()}


def compile_part(language: Language, text: str) -> BoundTemplate:
    """Parse `text`; raises LiquidError with a message fit for the template's author."""
    _check_tags(text)
    try:
        template = language.from_string(text)
        for node in template.nodes:
            _check_node(language, node, RenderContext(template))
    except RecursionError:
        raise LiquidSyntaxError("an expression is nested too deeply", token=None) from None
    except LiquidSyntaxError as error:
        if error.token is not None and error.token.start_index < 0:  # something was missing at the end
            error.token = Token(TOKEN_EOF, "", len(text), text)
        raise
    return template


def partials_of(template: BoundTemplate) -> tuple[str, ...]:
    """The keys of the partials it renders, in the order of their first use."""
    found: dict[str, None] = {}
    waiting = list(reversed(template.nodes))
    context = RenderContext(template)
    while waiting:
        node = waiting.pop()
        if isinstance(node, PartialNode):
            found[node.key] = None
        waiting.extend(reversed(list(node.children(context, include_partials=False))))
    return tuple(found)


def prints(template: BoundTemplate, name: str) -> bool:
    """Whether it holds the plain output `{{ name }}`."""
    waiting = list(template.nodes)
    context = RenderContext(template)
    while waiting:
        node = waiting.pop()
        left = getattr(getattr(node, "expression", None), "left", None)
        if isinstance(node, OutputNode) and isinstance(left, Path) and str(left) == name:
            return True
        waiting.extend(node.children(context, include_partials=False))
    return False


def expressions_of(template: BoundTemplate) -> Iterator[Expression]:
    """Every expression in it, those inside others included."""
    nodes = list(template.nodes)
    context = RenderContext(template)
    while nodes:
        node = nodes.pop()
        waiting = list(node.expressions())
        while waiting:
            expression = waiting.pop()
            yield expression
            waiting.extend(expression.children())
        nodes.extend(node.children(context, include_partials=False))


def render_part(template: BoundTemplate, data: Mapping[str, Any], meter: Meter, loader: Loader) -> str:
    """The template's output; raises LiquidError, or what a filter let slip on absurd input."""
    context = Context(template, data, meter, loader)
    buffer = Buffer(MAX_OUTPUT, meter)
    _run(context, buffer)
    return buffer.getvalue()


def _run(context: Context, buffer: Any) -> None:
    for node in context.template.nodes:
        try:
            node.render(context, buffer)
        except LiquidError as error:
            error.token = error.token or node.token
            raise
        except LiquidInterrupt:
            raise LiquidSyntaxError("break and continue belong inside a loop", token=node.token) from None


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
    return LiquidSyntaxError(message, token=Token(TOKEN_TAG, text[index : index + 20], index, text))


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


HTML = Language(autoescape=True)
TEXT = Language(autoescape=False)
