"""What one rendering may use, and where it stands: the limits, the meter that all parts, layouts and partials of a message
share, and the context in which names are looked up. Nothing is reachable from it but the data passed in."""

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import StringIO
from typing import Any

from liquid import BoundTemplate, RenderContext
from liquid.exceptions import ContextDepthError, ResourceLimitError
from liquid.output import LimitedStringIO
from liquid.undefined import UNDEFINED, Undefined
from liquid.utils import ReadOnlyChainMap

MAX_STEPS = 200_000  # nodes, filters, look-ups and kilobytes of one message
MAX_OUTPUT = 500_000  # octets of one part
MAX_LOCALS = 200_000  # octets of the template's own variables
MAX_DEPTH = 8  # partials inside partials
MAX_MISSING = 100  # names reported

_ABSENT = object()


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


class Content:
    """What a layout prints in its middle: finished output of the template. It is no text, so that no filter can open up what was
    escaped; it can only be printed."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


Loader = Callable[[str], BoundTemplate]
"""Gives the compiled partial of this rendering by its key; raises LiquidError when there is none."""


class Context(RenderContext):
    """The state of one part's rendering, or of one partial's inside it, with the meter of the whole message."""

    __slots__ = ("_local_size", "data", "loader", "meter", "origins")

    def __init__(
        self,
        template: BoundTemplate,
        data: Mapping[str, Any],
        meter: Meter,
        loader: Loader,
        parent: "Context | None" = None,
        arguments: Mapping[str, Any] | None = None,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        self.meter, self.data, self.loader = meter, data, loader
        self.origins = origins or {}
        self._local_size: int = parent._local_size if parent else 0
        super().__init__(
            template,
            globals=data if arguments is None else ReadOnlyChainMap(arguments, data),
            copy_depth=parent._copy_depth + 1 if parent else 0,
            parent_context=parent,
            loop_iteration_carry=_iterations(parent) if parent else 1,
        )

    @property
    def disabled_tags(self) -> list[str]:
        """Read by the library before each node it renders, which makes it the place to count nodes."""
        self.meter.spend(1)
        return []

    @disabled_tags.setter
    def disabled_tags(self, _tags: list[str]) -> None:
        pass

    def inside(self, template: BoundTemplate, arguments: Mapping[str, Any], origins: Mapping[str, str]) -> "Context":
        """The context of a partial: it sees the message's data and its arguments, nothing of its caller's own variables.
        Raises ContextDepthError beyond MAX_DEPTH."""
        self.meter.spend(5)
        if self._copy_depth >= MAX_DEPTH:
            raise ContextDepthError(f"partials are nested more than {MAX_DEPTH} deep", token=None)
        return Context(template, self.data, self.meter, self.loader, self, arguments, origins)

    def get(self, path: list[object], *, token: Any, default: object = UNDEFINED) -> object:
        self.meter.spend(1)
        if default is not UNDEFINED:
            return super().get(path, token=token, default=default)
        found = super().get(path, token=token, default=_ABSENT)
        if found is not None and found is not _ABSENT:
            return found
        name = self.spelled(".".join(str(step) for step in path))
        return Missing(name, partial(self.meter.miss, name))

    def spelled(self, path: str) -> str:
        """The path as the caller of the API knows it: `item.price` inside a loop or a partial becomes `items.0.price`."""
        return self._name(path, len(self.loops))

    def _name(self, path: str, depth: int) -> str:
        root, dot, rest = path.partition(".")
        for level in range(depth - 1, -1, -1):
            loop = self.loops[level]
            if loop.name.startswith(f"{root}-"):
                return f"{self._name(loop.name[len(root) + 1 :], level)}.{loop.index0}{dot}{rest}"
        return f"{self.origins.get(root, root)}{dot}{rest}"

    def assign(self, key: str, val: Any) -> None:
        """As the library's, without adding up all names at each assignment."""
        self._local_size += sys.getsizeof(val, 1) - sys.getsizeof(self.locals.get(key), 1)
        self.locals[key] = val
        if self._local_size > MAX_LOCALS:
            raise ResourceLimitError("the template's own variables hold too much", token=None)

    def get_buffer(self, buf: object = None) -> StringIO:
        used = buf.size if isinstance(buf, LimitedStringIO) else 0
        return Buffer(MAX_OUTPUT - used, self.meter)


def _iterations(context: Context) -> int:
    count = context.loop_iteration_carry
    for loop in context.loops:
        count *= loop.length
    return count
