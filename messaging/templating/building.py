"""From what authors wrote to what is rendered: a version in one language with its layout and partials, CSS inlined, texts made.
Everything that can be wrong with it is found here, before it is published."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from liquid.exceptions import LiquidError

from messaging.models import EmailTemplate, TemplateVersion
from messaging.templating import advice, inlining, language, plain, rendering, sensitivity
from messaging.templating.declarations import Variable
from messaging.templating.metering import MAX_DEPTH
from messaging.templating.rendering import PARTS, Piece, Source, TemplateFault
from sendarix.core.errors import FieldError

MAX_PARTIALS = 100  # of one template
SAMPLE = "The content of a message."
_SAMPLE = Source("", 0, "The subject of a message", f"<p>{SAMPLE}</p>", f"{SAMPLE}\n")
_Kind = EmailTemplate.Kind
_UNPUBLISHED = {
    _Kind.LAYOUT: "This account has no published layout with the key {key}.",
    _Kind.PARTIAL: "This account has no published partial with the key {key}.",
}


@dataclass(frozen=True, slots=True)
class Build:
    """A version in one language. `written` has the parts as their authors wrote them, so that faults have their places; `source`
    is what is sent. `locale` is None for the default's."""

    locale: str | None
    written: Source
    source: Source
    uses: tuple[str, ...]
    warnings: tuple[tuple[str, str], ...]


Published = Mapping[str, tuple[str, TemplateVersion]]
"""By key: kind and published version of an account's layouts and partials."""


def locales(version: TemplateVersion) -> list[str | None]:
    return [None, *version.variants]


def build(template: EmailTemplate, version: TemplateVersion, locale: str | None, published: Published) -> Build:
    """Raises TemplateFault naming each part that can't be used, with line and column, and each layout or partial that is not
    published or that renders itself."""
    shown = locale or version.default_locale
    parts = _parts(version, locale)
    own, layout_key = Piece(parts["html"], parts["text"]), version.layout
    if template.kind == _Kind.LAYOUT:
        published, layout_key = {**published, template.key: (template.kind, version)}, template.key
        parts = {part: getattr(_SAMPLE, part) for part in PARTS}
    elif template.kind == _Kind.PARTIAL:
        published = {**published, template.key: (template.kind, version)}
    layout = _published(published, layout_key, _Kind.LAYOUT, "layout", shown)
    root = template.key if template.kind == _Kind.PARTIAL else None
    pieces = _partials([*_keys(parts), *_keys_of(layout)], published, shown, (root,) if root else ())
    written = Source(
        template.key, version.number, parts["subject"], parts["html"], parts["text"], shown, layout, pieces,
        tuple(Variable(**item) for item in version.variables),
    )  # fmt: skip
    _check_kind(template.kind, own)
    source, warnings = _ready(written)
    uses = (*((layout_key,) if layout_key and layout_key != template.key else ()), *pieces)
    return Build(
        locale,
        written,
        source,
        uses,
        tuple(dict.fromkeys([*warnings, *sensitivity.warnings(written), *_missing(version, locale)])),
    )


def check(kind: str, version: TemplateVersion) -> list[FieldError]:
    """Faults of syntax in any part of any language, with line and column."""
    faults = []
    for locale in locales(version):
        given = version.variants[locale] if locale else {part: getattr(version, part) for part in PARTS}
        for part in PARTS:
            try:
                rendering.compiled(part, given.get(part) or "")
            except LiquidError as error:
                field = f"variants.{locale}.{part}" if locale else part
                faults.append(FieldError(field, "invalid_template", f"{rendering.explain(error)}."))
    return faults


def _parts(version: TemplateVersion, locale: str | None) -> dict[str, str | None]:
    """The parts in a language: a variant without a subject takes the default's."""
    variant = version.variants.get(locale) if locale else None
    if variant is None:
        return {part: getattr(version, part) for part in PARTS}
    return {
        "subject": variant.get("subject") or version.subject,
        "html": variant.get("html"),
        "text": variant.get("text"),
    }


def _nearest(version: TemplateVersion, locale: str | None) -> Piece:
    by_name = {name.lower(): name for name in version.variants}
    for name in rendering.ranges(locale):
        if name in by_name:
            parts = _parts(version, by_name[name])
            return Piece(parts["html"], parts["text"])
    return Piece(version.html, version.text)


def _published(published: Published, key: str | None, kind: str, field: str, locale: str | None) -> Piece | None:
    if key is None:
        return None
    found = published.get(key)
    if found is None or found[0] != kind:
        raise TemplateFault([FieldError(field, "not_found", _UNPUBLISHED[_Kind(kind)].format(key=key))])
    return _nearest(found[1], locale)


def _partials(
    keys: Iterable[str], published: Published, locale: str | None, above: tuple[str, ...]
) -> dict[str, Piece]:
    """All partials that are rendered, at any depth."""
    found: dict[str, Piece] = {}
    heights: dict[str, int] = {}

    def visit(key: str, chain: tuple[str, ...]) -> int:
        path = (*chain, key)
        if key in chain:
            raise _unusable(f"The partial {key} renders itself: {' → '.join(path)}")
        if len(path) + heights.get(key, 0) > MAX_DEPTH:
            raise _unusable(f"Partials are nested more than {MAX_DEPTH} deep: {' → '.join(path)}")
        if key not in heights:
            piece = _published(published, key, _Kind.PARTIAL, "html", locale)
            if piece is None or len(found) >= MAX_PARTIALS:
                raise _unusable(f"More than {MAX_PARTIALS} partials are used")
            found[key] = piece
            heights[key] = max((visit(inner, path) + 1 for inner in _keys_of(piece)), default=0)
        return heights[key]

    for key in keys:
        visit(key, above)
    return found


def _unusable(message: str) -> TemplateFault:
    return TemplateFault([FieldError("html", "invalid_template", f"{message}.")])


def _keys(parts: Mapping[str, str | None]) -> Iterator[str]:
    for part, text in parts.items():
        if text and "render" in text:
            yield from language.partials_of(rendering.compiled(part, text))


def _keys_of(piece: Piece | None) -> list[str]:
    return list(dict.fromkeys(_keys({"html": piece.html, "text": piece.text}))) if piece else []


def _check_kind(kind: str, piece: Piece) -> None:
    faults = []
    if kind == _Kind.LAYOUT:
        for part in ("html", "text"):
            text = getattr(piece, part)
            if text and not language.prints(rendering.compiled(part, text), "content"):
                faults.append(FieldError(part, "invalid_template", "A layout must print {{ content }}."))
    if faults:
        raise TemplateFault(faults)


def _ready(written: Source) -> tuple[Source, list[tuple[str, str]]]:
    """The source with its CSS inlined and its texts made, and what there is to say of it."""
    texts = {"content": written.html, "layout": written.layout.html if written.layout else None}
    texts |= {f"partial:{key}": piece.html for key, piece in written.partials.items()}
    given = {name: text for name, text in texts.items() if text}
    made, remarks = given, list[str]()
    if "content" in given:
        try:
            made, remarks = inlining.inlined(given, "layout" if "layout" in given else "content")
        except inlining.NotInlined as refused:
            remarks = [f"{refused}; the CSS stays in its style element."]
    warnings = [("css_not_inlined", remark) for remark in remarks]
    text, layout = written.text, written.layout
    partials = {key: Piece(made.get(f"partial:{key}"), _text(piece)) for key, piece in written.partials.items()}
    if layout:
        layout = Piece(made.get("layout"), _text(layout))
        if layout.text and not language.prints(rendering.compiled("text", layout.text), "content"):
            layout = Piece(layout.html, None)
    if not text and written.html:
        text = _text(Piece(written.html, None))
        if text is None:
            warnings.append(
                (
                    "text_not_made",
                    "No text template can be made from the HTML; each message's text is made from its own.",
                )
            )
    source = replace(written, html=made.get("content"), text=text, layout=layout, partials=partials)
    _check_size(source)
    return source, warnings + [(item["code"], item["message"]) for item in advice.warnings(source)]


def _check_size(source: Source) -> None:
    """What publishing adds must not push a part over the limits of the language."""
    for part in ("html", "text"):
        for piece in (source, source.layout, *source.partials.values()):
            try:
                rendering.compiled(part, getattr(piece, part, None) or "")
            except LiquidError as error:
                raise TemplateFault(
                    [FieldError(part, "too_long", f"With its CSS inlined: {error.message}.")]
                ) from error


def _text(piece: Piece) -> str | None:
    """The text of a piece, made from its HTML when it has none and one can be made."""
    if piece.text or not piece.html:
        return piece.text
    try:
        text = plain.from_html(piece.html)
        rendering.compiled("text", text)
    except (plain.NoText, LiquidError):
        return None
    return text


def _missing(version: TemplateVersion, locale: str | None) -> Iterator[tuple[str, str]]:
    if not _parts(version, locale)["subject"]:
        yield "subject_missing", "There is no subject; every message must give one."
    elif locale and not version.variants[locale].get("subject"):
        yield "subject_missing", f"The variant {locale} has no subject and takes the default's."
