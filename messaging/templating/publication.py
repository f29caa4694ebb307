"""What one publication stores: the builds of a version and of every published template that uses it. They are made before a lock
is taken, because that may take seconds, and stored in the transaction that finds what they were made of unchanged."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import F, QuerySet

from messaging.models import EmailTemplate, TemplateBuild, TemplateVersion
from messaging.templating import building
from messaging.templating.building import Build, Published
from messaging.templating.rendering import TemplateFault
from sendarix.core.errors import Conflict, FieldError, ValidationFailed

MAX_USERS = 200  # published templates that use one layout or partial: each is built anew with it
_Kind = EmailTemplate.Kind


@dataclass(frozen=True, slots=True)
class Built:
    """A version of a template in all its languages."""

    template: EmailTemplate
    version: TemplateVersion
    builds: tuple[Build, ...]

    @property
    def uses(self) -> set[str]:
        return {key for build in self.builds for key in build.uses}


@dataclass(frozen=True, slots=True)
class Publication:
    """`users` are rebuilt with what is published. `pieces` are the versions, by key, of the other layouts and partials used."""

    published: Built
    users: tuple[Built, ...]
    pieces: Mapping[str, int]

    @property
    def warnings(self) -> list[dict[str, str]]:
        found = dict.fromkeys(warning for build in self.published.builds for warning in build.warnings)
        return [{"code": code, "message": message} for code, message in found]


def prepare(template: EmailTemplate, version: TemplateVersion) -> Publication:
    """Build all of it. Writes nothing and wants no lock. Raises ValidationFailed with the faults of the version, or of those who
    use it, and Conflict when too many use one thing."""
    pieces = pieces_of(template.account_id)
    published = Built(template, version, _builds(template, version, pieces))
    _check_users(template, published.uses)
    users = _rebuilt(template, {**pieces, template.key: (template.kind, version)})
    used = set().union(published.uses, *(user.uses for user in users)) - {template.key}
    return Publication(published, users, {key: pieces[key][1].pk for key in used})


def holds(publication: Publication) -> bool:
    """Whether the pieces and the users are still those that it was made of. In the transaction that holds the account's lock."""
    template = publication.published.template
    newest = _pieces(template.account_id).filter(template__key__in=list(publication.pieces))
    if dict(newest.values_list("template__key", "pk")) != publication.pieces:
        return False
    expected = {(user.template.pk, user.version.number) for user in publication.users}
    return set(users_of(template).values_list("pk", "published_version")) == expected


def store(publication: Publication) -> None:
    """Put the builds in the place of those before."""
    for built in (publication.published, *publication.users):
        template = built.template
        template.uses = sorted(built.uses)
        template.save(update_fields=["uses"])
        if template.kind == _Kind.TEMPLATE:
            TemplateBuild.objects.filter(template=template).delete()
            TemplateBuild.objects.bulk_create(_row(template, built.version, build) for build in built.builds)


def pieces_of(account_id: int) -> Published:
    """The account's published layouts and partials."""
    return {row.template.key: (row.template.kind, row) for row in _pieces(account_id).select_related("template")}


def users_of(template: EmailTemplate) -> QuerySet[EmailTemplate]:
    """What is published and uses this layout or partial, itself or through others."""
    others = EmailTemplate.objects.filter(account_id=template.account_id, published_version__isnull=False)
    return others.filter(uses__contains=[template.key]).exclude(pk=template.pk)


def _pieces(account_id: int) -> QuerySet[TemplateVersion]:
    return TemplateVersion.objects.filter(
        template__account_id=account_id,
        template__kind__in=(_Kind.LAYOUT, _Kind.PARTIAL),
        number=F("template__published_version"),
    )


def _builds(template: EmailTemplate, version: TemplateVersion, published: Published) -> tuple[Build, ...]:
    made, faults = [], []
    for locale in building.locales(version):
        try:
            made.append(building.build(template, version, locale, published))
        except TemplateFault as error:
            faults += [_placed(fault, locale) for fault in error.faults]
    if not any((version.subject, version.html, version.text)):
        faults.append(FieldError("html", "required", "There is nothing to publish: give html or text."))
    if faults:
        raise ValidationFailed(list(dict.fromkeys(faults)))
    return tuple(made)


def _placed(fault: FieldError, locale: str | None) -> FieldError:
    """A fault of a variant's part, named as the request names it."""
    if locale is None or fault.field not in ("subject", "html", "text"):
        return fault
    return FieldError(f"variants.{locale}.{fault.field}", fault.code, fault.message)


def _check_users(template: EmailTemplate, uses: Iterable[str]) -> None:
    """One more user of each of `uses`, and as many of the template itself as there are."""
    others = EmailTemplate.objects.filter(account_id=template.account_id, published_version__isnull=False)
    wanted = list(uses)
    using = others.exclude(pk=template.pk).filter(uses__overlap=wanted).values_list("uses", flat=True) if wanted else []
    counts = Counter(key for keys in using for key in keys)
    crowded = [key for key in wanted if counts[key] >= MAX_USERS]
    if users_of(template).count() > MAX_USERS:
        crowded.append(template.key)
    if crowded:
        raise Conflict(f"At most {MAX_USERS} published templates may use {', '.join(sorted(crowded))}.")


def _rebuilt(piece: EmailTemplate, published: Published) -> tuple[Built, ...]:
    """What uses a layout or partial that changes, built anew. A fault in one of them refuses the change."""
    users = {template.pk: template for template in users_of(piece)}
    versions = TemplateVersion.objects.filter(template__in=users, number=F("template__published_version"))
    made, faults = [], []
    for version in versions:
        template = users[version.template_id]
        try:
            made.append(Built(template, version, _builds(template, version, published)))
        except ValidationFailed as refused:
            faults += [
                FieldError(fault.field, fault.code, f"In {template.key}: {fault.message}") for fault in refused.errors
            ]
    if faults:
        raise ValidationFailed(faults)
    return tuple(made)


def _row(template: EmailTemplate, version: TemplateVersion, build: Build) -> TemplateBuild:
    source = build.source
    return TemplateBuild(
        template=template,
        account_id=template.account_id,
        key=template.key,
        locale=(build.locale or "").lower(),
        shown_locale=source.locale,
        version=version.number,
        default_sender=version.default_sender,
        sensitive=[variable.name for variable in source.variables if variable.sensitive],
        variables=[variable.stored() for variable in source.variables],
        subject=source.subject,
        html=source.html,
        text=source.text,
        layout={"html": source.layout.html, "text": source.layout.text} if source.layout else None,
        partials={key: {"html": piece.html, "text": piece.text} for key, piece in source.partials.items()},
    )
