"""A version rendered with data before it is published: what a message would look like, or every fault with its part, line and
column. Nothing is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from liquid.exceptions import LiquidError

from messaging.models import EmailTemplate, TemplateVersion
from messaging.templating import building, publication, rendering
from messaging.templating.rendering import Rendered, TemplateFault
from sendarix.core.errors import FieldError, ValidationFailed


@dataclass(frozen=True, slots=True)
class Preview:
    """`locale` is that of the variant that was found."""

    rendered: Rendered
    locale: str | None
    warnings: list[dict[str, str]]


def preview(template: EmailTemplate, version: TemplateVersion, locale: str | None, data: dict[str, Any]) -> Preview:
    """Raises ValidationFailed. The parts are first rendered as they were written: publishing moves what stands in a line."""
    if faults := building.check(template.kind, version):
        raise ValidationFailed(faults)
    found = nearest(version, locale)
    published = publication.pieces_of(template.account_id)
    try:
        build = building.build(template, version, found, published)
        rendering.render(build.written, data)
        rendered = rendering.render(build.source, data)
    except TemplateFault as error:
        raise ValidationFailed([_placed(fault, error.part) for fault in error.faults]) from error
    warnings = [{"code": code, "message": message} for code, message in build.warnings]
    return Preview(rendered, build.source.locale, warnings)


def nearest(version: TemplateVersion, locale: str | None) -> str | None:
    """The variant that a message in this locale gets; None is the default's."""
    by_name = {name.lower(): name for name in version.variants}
    return next((by_name[name] for name in rendering.ranges(locale) if name in by_name), None)


def check(parts: Mapping[str, str]) -> None:
    """Raises ValidationFailed where a part is no template."""
    faults = []
    for part, text in parts.items():
        try:
            rendering.compiled(part, text)
        except LiquidError as error:
            faults.append(FieldError(part, "invalid_template", f"{rendering.explain(error)}."))
    if faults:
        raise ValidationFailed(faults)


def _placed(fault: FieldError, part: str | None) -> FieldError:
    """What broke off the rendering is a fault of the part, not of the data as a whole."""
    if part is None or fault.field != "template_data":
        return fault
    return FieldError(part, fault.code, fault.message)
