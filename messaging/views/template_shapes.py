"""Bodies and queries of the templates API."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from messaging.serializers import LOCALE, MailAddress
from messaging.templating import declarations
from messaging.templating.declarations import Variable
from messaging.templating.language import MAX_SOURCE
from sendarix.core.shapes import Limit, Page, Shape, fault

KEY = r"^[A-Za-z0-9_-]{1,100}$"
RESERVED_KEYS = frozenset(("import",))
LARGEST_DEFAULT = 10_000


def _key(key: str) -> str:
    if key in RESERVED_KEYS:
        raise fault("invalid_value", f"{key} is the name of a call; choose another key.")
    return key


def _sized(value: Any) -> Any:
    if len(json.dumps(value)) > LARGEST_DEFAULT:
        raise fault("too_long", f"A default has at most {LARGEST_DEFAULT:,} characters of JSON.")
    return value


Key = Annotated[str, Field(pattern=KEY), AfterValidator(_key)]
Locale = Annotated[str, Field(pattern=LOCALE, max_length=20)]
Subject = Annotated[str, Field(min_length=1, max_length=4_000)]
Body = Annotated[str, Field(min_length=1, max_length=MAX_SOURCE)]
Number = Annotated[int, Field(ge=1, le=1_000_000)]


class VariantShape(Shape):
    """The parts in one more language."""

    subject: Subject | None = None
    """Without it the default's."""
    html: Body | None = None
    text: Body | None = None
    """Made from the HTML when absent."""

    @model_validator(mode="after")
    def _says_something(self) -> "VariantShape":
        if self.html is None and self.text is None:
            raise fault("required", "Give html or text.")
        return self


class VariableShape(Shape):
    """A declared variable."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*$", max_length=100)]
    """As the template reads it; dotted when it lies in an object."""
    type: Annotated[str, Field(json_schema_extra={"enum": list(declarations.TYPES)})]
    required: bool | None = None
    """True unless there is a default. One that is not required may be absent; the template must then test it first."""
    default: Annotated[Any, AfterValidator(_sized), WithJsonSchema({})] = None
    """Taken when the variable is absent or null."""
    sensitive: bool = False
    """Masked in lists, logs, search and exports, and redacted from the stored message once its time is over."""
    description: Annotated[str, Field(max_length=500)] = ""

    @model_validator(mode="after")
    def _agrees(self) -> "VariableShape":
        if self.type not in declarations.TYPES:
            raise fault("invalid_value", f"{self.type[:50]!r} is no type; there are {', '.join(declarations.TYPES)}.")
        if self.default is not None and (wrong := declarations.misfit(self.type, self.default)):
            raise fault(wrong[0], f"The default: {wrong[1]}")
        return self

    def variable(self) -> Variable:
        required = self.default is None if self.required is None else self.required
        return Variable(self.name, self.type, required, self.default, self.sensitive, self.description)


def _distinct(variables: list[VariableShape]) -> list[VariableShape]:
    names = [variable.name for variable in variables]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise fault("conflict", f"{twice} is declared twice.")
    return variables


Variables = Annotated[list[VariableShape], Field(max_length=200), AfterValidator(_distinct)]
Variants = Annotated[dict[Locale, VariantShape], Field(max_length=50)]


class ContentShape(Shape):
    """What a version holds. In a change, fields left out stay as they are, and null takes one away."""

    layout: Annotated[str, Field(pattern=KEY)] | None = None
    """The key of a layout, which prints the template at `{{ content }}`; it may print `{{ subject }}` and `{{ locale }}` too."""
    sender: Annotated[MailAddress | None, Field(alias="from")] = None
    """The sender of messages that name none."""
    default_locale: Locale | None = None
    """The language of subject, html and text (BCP 47)."""
    subject: Subject | None = None
    html: Body | None = None
    text: Body | None = None
    """Made from the HTML when absent."""
    variants: Variants = Field(default_factory=dict)
    """The same in other languages, by locale."""
    variables: Variables = Field(default_factory=list)
    """Declared variables. Those not declared may hold anything, and must be there when they are printed."""
    publish: bool = False
    """Publish it at once."""

    def content(self) -> dict[str, Any]:
        """The given fields as a version stores them."""
        given = {name: getattr(self, name) for name in self.model_fields_set - {"publish", "sender", "key", "kind"}}
        if "sender" in self.model_fields_set:
            given["default_sender"] = self.sender or ""
        if "variants" in given:
            given["variants"] = {locale: variant.model_dump() for locale, variant in self.variants.items()}
        if "variables" in given:
            given["variables"] = [variable.variable().stored() for variable in self.variables]
        return given


class TemplateShape(ContentShape):
    key: Key
    """What messages and other templates call it."""
    kind: Literal["template", "layout", "partial"] = "template"


class TemplateQuery(Page):
    kind: Annotated[str, Field(pattern="^(template|layout|partial)$")] | None = None


class VersionQuery(Page):
    limit: Limit = Field(25, validate_default=False)


class PublishShape(Shape):
    version: Number | None = None
    """The newest, unless named."""


class RollbackShape(Shape):
    version: Number
    """One that was published before."""


class RenderShape(Shape):
    template_data: dict[str, Any] = Field(default_factory=dict)
    locale: Locale | None = None
    version: Number | None = None
    """The newest, unless named: usually the draft."""


class TemplateImportShape(Shape):
    """A template of another system."""

    source: Literal["mustache", "handlebars"]
    subject: Subject | None = None
    html: Body | None = None
    text: Body | None = None
    template_data: dict[str, Any] = Field(default_factory=dict)
    """Data as messages will carry it. With it, sections (`{{#x}}`) are known to be a list, an object or a condition."""
    save_as: Key | None = None
    """Saves the result as a draft under this key: a new template, or the next version of one there is."""

    @model_validator(mode="after")
    def _says_something(self) -> "TemplateImportShape":
        if not (self.subject or self.html or self.text):
            raise fault("required", "Give at least one of subject, html and text.")
        return self
