"""The bodies of the templates API's answers, as its document shows them."""

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from messaging.models import EmailTemplate
from messaging.templating import declarations
from sendarix.accounts.calls import SOMETIMES, AnswerShape, Moment, one_of, public_id

TemplateId = Annotated[str, public_id("tpl")]
Kind = Annotated[str, one_of(EmailTemplate.Kind.values)]
Standing = Annotated[str, one_of(("draft", "published", "retired"))]


class TemplateWarning(AnswerShape):
    """Something worth knowing of a template that works all the same."""

    code: str
    message: str


class Variant(AnswerShape):
    """The parts in one more language."""

    subject: str | None
    html: str | None
    text: str | None


class Variable(AnswerShape):
    """A declared variable."""

    name: str
    type: Annotated[str, one_of(declarations.TYPES)]
    required: bool
    default: Annotated[Any, WithJsonSchema({})]
    sensitive: bool
    description: str


class VersionSummary(AnswerShape):
    """A version without its contents."""

    version: int
    status: Standing
    """`published`: the one that messages use; `retired`: it was; `draft`: not yet, and may be edited while it is the newest."""
    locales: list[str]
    """Of its variants, the default's first if it names one."""
    created_by: str
    created_at: Moment
    updated_at: Moment
    published_at: Moment | None


class Version(VersionSummary):
    """A version as its author wrote it."""

    layout: str | None
    sender: str | None = Field(alias="from")
    default_locale: str | None
    subject: str | None
    html: str | None
    text: str | None
    variants: dict[str, Variant]
    variables: list[Variable]


class Template(AnswerShape):
    """A template, layout or partial."""

    template_id: TemplateId
    key: str
    kind: Kind
    published_version: int | None
    latest_version: int
    uses: list[str]
    """Keys of the layout and the partials its published version is made with."""
    created_at: Moment
    updated_at: Moment


class TemplateDetail(Template):
    """A template with a version of it: the newest, or the one the call was about."""

    version: Version
    warnings: list[TemplateWarning] = SOMETIMES
    """There when it was published."""


class TemplatePage(AnswerShape):
    data: list[Template]
    has_more: bool
    next_cursor: str | None


class VersionPage(AnswerShape):
    data: list[VersionSummary]
    has_more: bool
    next_cursor: str | None


class DeletedTemplate(AnswerShape):
    """It is gone, with its versions. Messages accepted before are not touched."""

    key: str
    deleted: bool


class Preview(AnswerShape):
    """The parts as a message with this data would have them."""

    version: int
    locale: str | None
    """Of the variant that was found; null for the default's when it names none."""
    subject: str | None
    html: str | None
    text: str | None
    warnings: list[TemplateWarning]


class ImportedVariable(AnswerShape):
    name: str
    type: str


class ImportedTemplate(AnswerShape):
    """The template in our language."""

    subject: str | None
    html: str | None
    text: str | None
    variables: list[ImportedVariable]
    """Lists and objects it reads, to be declared."""
    partials: list[str]
    """Keys of partials it renders; they must be published before it is."""
    warnings: list[TemplateWarning]
    saved: TemplateDetail | None
    """The draft, when `save_as` asked for one."""
