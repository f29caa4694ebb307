"""Mustache and Handlebars templates rewritten in our language. What means the same is converted; what would not is a fault or a
warning with its line and column, so that nothing is silently wrong. Rules: mustache(5), handlebarsjs.com/guide."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from messaging.templating import declarations
from messaging.templating.mustache import Tag, Unreadable, tags_of
from messaging.templating.rendering import PARTS, position
from sendarix.core.errors import FieldError

MAX_NESTING = 15

_RESERVED = frozenset(
    ["and", "or", "not", "contains", "in", "if", "true", "false", "nil", "null", "empty", "blank", "forloop", "content"]
)
_is_step = re.compile(r"[A-Za-z_][\w-]*").fullmatch
_is_index = re.compile(r"\[?(\d{1,9})\]?").fullmatch
_is_number = re.compile(r"-?\d{1,15}(?:\.\d{1,9})?").fullmatch
_is_key = re.compile(r"[A-Za-z0-9_-]{1,100}").fullmatch
_is_name = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*").fullmatch
_is_quoted = re.compile(r"""(?:"[^"'{}%]*"|'[^"'{}%]*')""").fullmatch
_identifiers = re.compile(r"[A-Za-z_]\w*").findall
_prints_this = re.compile(r"\{\{\{?~?\s*\.\s*~?\}").search
_tag_like = re.compile(r"\{\{|\{%")
_words = re.compile(r"""\(|\)|\|[^|]*\||[\w@./\[\]-]+=|"[^"]*"|'[^']*'|[^\s()]+""").findall
_COMPARISONS = {"eq": "==", "ne": "!=", "neq": "!=", "lt": "<", "gt": ">", "lte": "<=", "gte": ">="}
_LOOP_DATA = {"@index": "forloop.index0", "@first": "forloop.first", "@last": "forloop.last"}


@dataclass(frozen=True, slots=True)
class Converted:
    """The parts in our language; `types` tells what the variables are used as, `partials` which partials must be there too."""

    parts: dict[str, str]
    types: dict[str, str]
    partials: tuple[str, ...]
    warnings: tuple[dict[str, str], ...]
    faults: tuple[FieldError, ...]


def convert(source: str, parts: Mapping[str, str | None], sample: Mapping[str, Any]) -> Converted:
    """Convert the parts of a `mustache` or `handlebars` template. `sample` is data as messages will carry it: with it sections,
    which may be a loop, a condition or an object, are told apart."""
    converter = _Converter(source, sample, filter(None, parts.values()))
    done = {part: converter.run(part, text) for part in PARTS if (text := parts.get(part)) is not None}
    return Converted(
        done, converter.types, tuple(converter.partials), tuple(converter.warnings), tuple(converter.faults)
    )


class _Refused(Exception):
    """A tag that cannot be converted."""


@dataclass(frozen=True, slots=True)
class _Block:
    """An open block. `path` is what names inside it start from in our language ("" at the top), `sample` the value there; a block
    that changes neither has `context` False. `names` are the names it binds."""

    ends: str
    path: str = ""
    sample: Any = None
    opened: Tag | None = None
    context: bool = True
    names: dict[str, str] = field(default_factory=dict)


class _Converter:
    def __init__(self, source: str, sample: Mapping[str, Any], texts: Iterable[str]) -> None:
        self.handlebars = source == "handlebars"
        self.sample = sample
        self.types: dict[str, str] = {}
        self.partials: dict[str, None] = {}
        self.warnings: list[dict[str, str]] = []
        self.faults: list[FieldError] = []
        self._part = self._text = ""
        self._at = 0
        self._blocks: list[_Block] = []
        self._used = set(_identifiers(" ".join(texts)))

    def run(self, part: str, text: str) -> str:
        self._part, self._text = part, text
        self._blocks = [_Block("", sample=self.sample)]
        pieces: list[str] = []
        end = 0
        try:
            for tag in tags_of(text, self.handlebars):
                pieces += [_literal(text[end : tag.outer_start]), self._converted(tag)]
                end = tag.outer_end
        except Unreadable as error:
            self._fault(error.index, str(error))
        pieces.append(_literal(text[end:]))
        for block in self._blocks[1:]:
            if block.opened:
                self._fault(block.opened.start, f"{block.opened.sigil}{block.opened.body} is not closed.")
        return "".join(pieces)

    def _converted(self, tag: Tag) -> str:
        self._at = tag.start
        try:
            return self._dispatch(tag)
        except _Refused as refused:
            self._fault(tag.start, str(refused))
            if tag.sigil in ("#", "^") and tag.body:
                self._blocks.append(_Block("", opened=tag, context=False))
            return ""

    def _dispatch(self, tag: Tag) -> str:
        words = _words(tag.body)
        match tag.sigil:
            case "!":
                return ""
            case "literal":
                return _literal(tag.body)
            case ">":
                return self._partial(tag, words)
            case "/":
                return self._close(tag)
            case "#" | "^" if words:
                return self._open(tag, words)
        if self.handlebars and (tag.sigil == "^" or words[:1] == ["else"]):
            return self._else(tag, words[1:])
        if len(words) != 1:
            raise _Refused(
                f"{words[0]} is called with arguments; there are no helpers here." if words else "The tag is empty."
            )
        path = self._path(words[0])
        if tag.sigil == "&":
            self._warn("raw_escaped", f"{words[0]} was printed raw and is escaped now: data may not hold HTML.")
        return tag.wrapped("{{", path, "}}")

    def _open(self, tag: Tag, words: list[str]) -> str:
        if len(self._blocks) > MAX_NESTING:
            raise _Refused(f"Blocks are nested more than {MAX_NESTING} deep.")
        name = words[0]
        if not self.handlebars or len(words) == 1:
            return self._section(tag, tag.body)
        if tag.sigil == "#" and name in ("if", "unless"):
            condition = self._condition(words[1:])
            return self._opened(tag, f"{name} {condition}", _Block(f"end{name}", opened=tag, context=False))
        arguments, names = _block_parameters(words[1:])
        if tag.sigil == "#" and name == "each" and len(arguments) == 1:
            return self._loop(tag, arguments[0], names)
        if tag.sigil == "#" and name == "with" and len(arguments) == 1:
            return self._with(tag, arguments[0], names)
        raise _Refused(f"{name} is no helper that can be converted; if, unless, each and with are.")

    def _section(self, tag: Tag, name: str) -> str:
        """`{{#x}}` and `{{^x}}`: what it is depends on the value."""
        path, sample = self._path(name), self._sample(name)
        if tag.sigil == "^":
            return self._opened(tag, f"unless {_truth(path)}", _Block("endunless", opened=tag, context=False))
        if isinstance(sample, list) or (sample is None and self._prints_item(tag)):
            return self._loop(tag, name, [])
        if isinstance(sample, dict):
            return self._with(tag, name, [])
        if sample is None:
            raise _Refused(
                f"Whether {name} is a list, an object or a condition cannot be told; give an example in template_data."
            )
        return self._opened(tag, f"if {_truth(path)}", _Block("endif", opened=tag, context=False))

    def _prints_item(self, tag: Tag) -> bool:
        """Whether the section prints `{{.}}`, which only a list's does."""
        closing = re.compile(r"\{\{~?/\s*" + re.escape(tag.body)).search(self._text, tag.end)
        return bool(_prints_this(self._text, tag.end, closing.start() if closing else len(self._text)))

    def _loop(self, tag: Tag, name: str, names: list[str]) -> str:
        path, sample = self._path(name), self._sample(name)
        if isinstance(sample, dict):
            raise _Refused(f"{name} is an object; only arrays can be looped over.")
        self._note(path, "array")
        item = names[0] if names else self._new_name()
        bound = {item: item} | ({names[1]: "forloop.index0"} if len(names) > 1 else {})
        first = sample[0] if isinstance(sample, list) and sample else None
        return self._opened(tag, f"for {item} in {path}", _Block("endfor", item, first, tag, True, bound))

    def _with(self, tag: Tag, name: str, names: list[str]) -> str:
        path = self._path(name)
        self._note(path, "object")
        bound = {names[0]: path} if names else {}
        return self._opened(tag, f"if {_truth(path)}", _Block("endif", path, self._sample(name), tag, True, bound))

    def _opened(self, tag: Tag, inner: str, block: _Block) -> str:
        self._blocks.append(block)
        return tag.wrapped("{%", inner, "%}")

    def _else(self, tag: Tag, words: list[str]) -> str:
        block = self._blocks[-1]
        if block.opened is None:
            raise _Refused("else stands outside of any block.")
        if block.context:  # the other branch of each and with sees what is around them
            self._blocks[-1] = _Block(block.ends, opened=block.opened, context=False)
        if not words:
            return tag.wrapped("{%", "else", "%}")
        if words[0] != "if" or block.context or block.ends != "endif":
            raise _Refused("Only else if inside an if can be converted.")
        return tag.wrapped("{%", f"elsif {self._condition(words[1:])}", "%}")

    def _close(self, tag: Tag) -> str:
        block = self._blocks[-1]
        if block.opened is None:
            raise _Refused(f"/{tag.body} closes nothing.")
        opened = block.opened.body
        expected = _words(opened)[0] if self.handlebars and _words(opened) else opened
        if tag.body != expected:
            raise _Refused(f"/{tag.body} stands where /{expected} was expected.")
        self._blocks.pop()
        return tag.wrapped("{%", block.ends, "%}") if block.ends else ""

    def _partial(self, tag: Tag, words: list[str]) -> str:
        if not words or not _is_key(words[0]):
            raise _Refused("A partial is named by a key: letters, digits, - and _.")
        names, values = words[1::2], words[2::2]
        if len(names) != len(values) or not all(name.endswith("=") and _is_step(name[:-1]) for name in names):
            raise _Refused("A partial takes name=value pairs only.")
        pairs = [f"{name[:-1]}: {self._value(value)}" for name, value in zip(names, values, strict=True)]
        if [block for block in self._blocks if block.context][-1].path:
            if not pairs:
                raise _Refused("Inside a loop or with, a partial needs what it prints as name=value pairs.")
            self._warn(
                "partial_scope", f"The partial {words[0]} sees its pairs and template_data, nothing else around it."
            )
        self.partials[words[0]] = None
        return tag.wrapped("{%", ", ".join([f"render '{words[0]}'", *pairs]), "%}")

    def _condition(self, words: list[str]) -> str:
        if len(words) == 1:
            return _truth(self._path(words[0]))
        if len(words) == 5 and (words[0], words[4]) == ("(", ")") and words[1] in _COMPARISONS:
            return f"{self._value(words[2])} {_COMPARISONS[words[1]]} {self._value(words[3])}"
        raise _Refused("The condition calls a helper; only (eq a b), ne, lt, gt, lte and gte can be converted.")

    def _value(self, word: str) -> str:
        plain = _is_quoted(word) or _is_number(word) or word in ("true", "false")
        return word if plain else self._path(word)

    def _path(self, name: str) -> str:
        """A name as a path of ours. Raises _Refused for what has no equal."""
        if name.startswith("@") and not name.startswith("@root."):
            return self._loop_data(name)
        place = self._place(name)
        path = place.path
        for step in place.steps:
            path = _stepped(path, step)
        if not path:
            raise _Refused("template_data as a whole cannot be printed or looped over.")
        return path

    def _sample(self, name: str) -> Any:
        """The value of a name in the example data; None when that does not tell."""
        place = self._place(name)
        return declarations.lookup(place.sample, ".".join(place.steps)) if place.steps else place.sample

    def _place(self, name: str) -> "_Place":
        levels = [block for block in self._blocks if block.context]
        explicit = name.startswith(("@root.", "../", "./", "this.", "this/")) or name in ("this", ".", "..")
        if name.startswith("@root."):
            levels, name = levels[:1], name.removeprefix("@root.")
        while name == ".." or name.startswith("../"):
            levels, name = levels[:-1], name[3:]
        if not levels:
            raise _Refused("../ leads out of the template.")
        steps = _steps(name)
        if not explicit:
            for block in reversed(self._blocks):
                if steps[0] in block.names:
                    bound = block.names[steps[0]]
                    return _Place(bound, block.sample if bound == block.path else None, steps[1:])
            if not self.handlebars:
                levels = self._seen_from(levels, steps[0])
        block = levels[-1]
        if not block.path and steps and any(steps[0] in outer.names for outer in self._blocks):
            raise _Refused(f"{steps[0]} means two things here; give the item another name.")
        return _Place(block.path, block.sample, steps)

    def _seen_from(self, levels: list[_Block], name: str) -> list[_Block]:
        """Mustache looks a name up from the innermost section outwards; only the example data tells where it will be found."""
        for depth in range(len(levels), 0, -1):
            sample = levels[depth - 1].sample
            if isinstance(sample, dict) and name in sample:
                return levels[:depth]
        if len(levels) > 1:
            self._warn("looked_up_inside", f"{name} is looked up in the section's item only, not around it.")
        return levels

    def _loop_data(self, name: str) -> str:
        if name not in _LOOP_DATA:
            raise _Refused(f"{name} has no equal here.")
        if not any(block.ends == "endfor" and block.context for block in self._blocks):
            raise _Refused(f"{name} stands outside of any loop.")
        return _LOOP_DATA[name]

    def _new_name(self) -> str:
        number = 1
        while (name := f"item{number if number > 1 else ''}") in self._used:
            number += 1
        self._used.add(name)
        return name

    def _note(self, path: str, kind: str) -> None:
        if not any(path.partition(".")[0] in block.names for block in self._blocks) and _is_name(path):
            self.types[path] = kind

    def _warn(self, code: str, message: str) -> None:
        line, column = position(self._text, self._at)
        place = f"{message} ({self._part}, line {line}, column {column})"
        self.warnings.append({"code": code, "message": place})

    def _fault(self, index: int, message: str) -> None:
        line, column = position(self._text, index)
        self.faults.append(
            FieldError(self._part, "invalid_template", f"{message.rstrip('.')}, line {line}, column {column}.")
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a name leads: steps from a path of ours, and the example's value at that path."""

    path: str
    sample: Any
    steps: list[str]


def _steps(name: str) -> list[str]:
    """`user.name`, `items.[0]` and `this/x` as their steps; none for the item itself. Raises _Refused."""
    parts = re.split(r"[./]", name) if name not in ("", ".", "this") else []
    parts = parts[1:] if parts and parts[0] in ("", "this") else parts
    steps = []
    for number, part in enumerate(parts):
        index = _is_index(part)
        if index and number:
            steps.append(index[1])
        elif not _is_step(part):
            raise _Refused(f"{name} is no name that can be converted.")
        elif part in _RESERVED:
            raise _Refused(f"{part} is a word of our language; give the variable another name.")
        else:
            steps.append(part)
    return steps


def _stepped(path: str, step: str) -> str:
    if step.isdecimal():
        return f"{path}[{step}]"
    return f"{path}.{step}" if path else step


def _truth(path: str) -> str:
    """What Mustache and Handlebars take for true: not empty text, not 0, not an empty list."""
    return path if path.startswith("forloop.") else f"{path} and {path} != empty and {path} != 0"


def _literal(text: str) -> str:
    """Text that must come out as it is; what our language would read as a tag is printed."""
    text = _tag_like.sub(lambda found: f"{{{{ '{found[0]}' }}}}", text)
    return f"{text[:-1]}{{{{ '{{' }}}}" if text.endswith("{") else text


def _block_parameters(words: list[str]) -> tuple[list[str], list[str]]:
    """`items as |item index|` as its arguments and names."""
    if len(words) < 2 or words[-2] != "as" or not words[-1].startswith("|"):
        return words, []
    names = words[-1].strip("|").split()
    if not 1 <= len(names) <= 2 or not all(_is_step(name) and name not in _RESERVED for name in names):
        raise _Refused("Block parameters are one or two names.")
    return words[:-2], names
