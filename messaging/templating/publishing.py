"""Templates from their first draft to their deletion. Publishing builds a version with the layouts and partials published at that
time; publishing one of those rebuilds every published template that uses it, in the same transaction, or changes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from messaging.models import EmailTemplate, TemplateBuild, TemplateVersion
from messaging.templating import building
from messaging.templating.building import Build, Published
from messaging.templating.rendering import TemplateFault
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account
from sendarix.core import ids
from sendarix.core.errors import Conflict, FieldError, NotFound, ValidationFailed

MAX_TEMPLATES = 5_000  # of one account
MAX_VERSIONS = 1_000  # of one template
_Kind = EmailTemplate.Kind
_NO_VERSION = "There is no such version."


@dataclass(frozen=True, slots=True)
class Change:
    """What a call made of a template: the version it was about, and warnings {code, message} when one was published."""

    template: EmailTemplate
    version: TemplateVersion
    warnings: list[dict[str, str]] = field(default_factory=list)


def create(actor: Actor, account_id: int, key: str, kind: str, content: dict[str, Any], publish: bool) -> Change:
    """A template with its first version. Raises Conflict when the key is taken, ValidationFailed with every fault."""
    with transaction.atomic():
        _lock(account_id)
        found = EmailTemplate.objects.filter(account_id=account_id)
        if found.filter(key=key).exists():
            raise Conflict(f"This account has a template with the key {key} already.")
        if found.count() >= MAX_TEMPLATES:
            raise Conflict(f"An account has at most {MAX_TEMPLATES:,} templates.")
        template = EmailTemplate(id=ids.new("tpl"), account_id=account_id, key=key, kind=kind)
        version = TemplateVersion(template=template, number=1, created_by=actor.id, **content)
        _check(template, version)
        template.save(force_insert=True)
        version.save()
        audit.record(actor, "template.created", key, after={"kind": kind, "version": 1})
        warnings = _publish(actor, template, version, "template.published") if publish else []
        return Change(*_fresh(template, version), warnings)


def edit(actor: Actor, account_id: int, key: str, content: dict[str, Any], publish: bool) -> Change:
    """The draft with these fields changed; when there is none, one is made of the newest version."""
    with transaction.atomic():
        _lock(account_id)
        template = one(account_id, key)
        version = template.versions.get(number=template.latest_version)
        if version.published_at is not None:
            if version.number >= MAX_VERSIONS:
                raise Conflict(f"A template has at most {MAX_VERSIONS:,} versions.")
            version = _copy(actor, version)
        for name, value in content.items():
            setattr(version, name, value)
        _check(template, version)
        version.updated_at = template.updated_at = datetime.now(UTC)
        version.save()
        template.latest_version = version.number
        template.save()
        warnings = _publish(actor, template, version, "template.published") if publish else []
        return Change(*_fresh(template, version), warnings)


def save(actor: Actor, account_id: int, key: str, content: dict[str, Any]) -> Change:
    """A draft with these fields: of the template with this key, or of a new one."""
    if EmailTemplate.objects.filter(account_id=account_id, key=key).exists():
        return edit(actor, account_id, key, content, publish=False)
    return create(actor, account_id, key, _Kind.TEMPLATE, content, publish=False)


def publish(actor: Actor, account_id: int, key: str, number: int | None) -> Change:
    """Make a version (the newest, unless named) the one that messages use."""
    with transaction.atomic():
        _lock(account_id)
        template = one(account_id, key)
        version = version_of(template, number or template.latest_version)
        warnings = _publish(actor, template, version, "template.published")
        return Change(*_fresh(template, version), warnings)


def roll_back(actor: Actor, account_id: int, key: str, number: int) -> Change:
    """Publish again a version that was published before; drafts and later versions stay. Raises Conflict for any other."""
    with transaction.atomic():
        _lock(account_id)
        template = one(account_id, key)
        version = version_of(template, number)
        if version.published_at is None:
            raise Conflict(f"Version {number} was never published; publish it instead.")
        warnings = _publish(actor, template, version, "template.rolled_back")
        return Change(*_fresh(template, version), warnings)


def delete(actor: Actor, account_id: int, key: str) -> EmailTemplate:
    """Remove a template with all its versions. Raises Conflict while published templates use it."""
    with transaction.atomic():
        _lock(account_id)
        template = one(account_id, key)
        if users := list(_users(template).values_list("key", flat=True).order_by("key")[:5]):
            raise Conflict(f"{key} is used by {', '.join(users)}.")
        before = {"kind": template.kind, "version": template.published_version}
        audit.record(actor, "template.deleted", key, before=before)
        EmailTemplate.objects.filter(pk=template.pk).delete()
        return template


def one(account_id: int, key: str) -> EmailTemplate:
    """The account's template; raises NotFound."""
    try:
        return EmailTemplate.objects.get(account_id=account_id, key=key)
    except EmailTemplate.DoesNotExist:
        raise NotFound from None


def version_of(template: EmailTemplate, number: int) -> TemplateVersion:
    """One of its versions; raises NotFound."""
    try:
        return template.versions.get(number=number)
    except TemplateVersion.DoesNotExist:
        raise NotFound(_NO_VERSION) from None


def published_pieces(account_id: int) -> Published:
    """The account's published layouts and partials."""
    rows = TemplateVersion.objects.select_related("template").filter(
        template__account_id=account_id,
        template__kind__in=(_Kind.LAYOUT, _Kind.PARTIAL),
        number=F("template__published_version"),
    )
    return {row.template.key: (row.template.kind, row) for row in rows}


def _lock(account_id: int) -> None:
    """Changes of one account's templates wait for each other: what they are built of must not change under them."""
    Account.objects.select_for_update(no_key=True).only("id").get(pk=account_id)


def _fresh(template: EmailTemplate, version: TemplateVersion) -> tuple[EmailTemplate, TemplateVersion]:
    template.refresh_from_db()
    version.refresh_from_db()
    return template, version


def _copy(actor: Actor, version: TemplateVersion) -> TemplateVersion:
    names = ("layout", "default_sender", "default_locale", "subject", "html", "text", "variants", "variables")
    kept = {name: getattr(version, name) for name in names}
    return TemplateVersion(template=version.template, number=version.number + 1, created_by=actor.id, **kept)


def _check(template: EmailTemplate, version: TemplateVersion) -> None:
    faults = building.check(template.kind, version)
    if version.layout and template.kind != _Kind.TEMPLATE:
        faults.append(FieldError("layout", "conflict", f"A {template.kind} has no layout."))
    if version.variables and template.kind != _Kind.TEMPLATE:
        faults.append(
            FieldError("variables", "conflict", f"A {template.kind} takes the variables of the templates that use it.")
        )
    own = (version.default_locale or "").lower()
    names = [name.lower() for name in version.variants]
    faults += [
        FieldError(f"variants.{name}", "conflict", "This locale is given twice.")
        for name in version.variants
        if name.lower() == own or names.count(name.lower()) > 1
    ]
    if faults:
        raise ValidationFailed(faults)


def _publish(actor: Actor, template: EmailTemplate, version: TemplateVersion, action: str) -> list[dict[str, str]]:
    before = template.published_version
    published = published_pieces(template.account_id)
    builds = _builds(template, version, published)
    now = datetime.now(UTC)
    version.published_at = template.updated_at = now
    template.published_version = version.number
    version.save(update_fields=["published_at"])
    _store(template, version, builds)
    if template.kind != _Kind.TEMPLATE:
        _rebuild(template, {**published, template.key: (template.kind, version)})
    audit.record(actor, action, template.key, before={"version": before}, after={"version": version.number})
    warnings = dict.fromkeys(warning for build in builds for warning in build.warnings)
    return [{"code": code, "message": message} for code, message in warnings]


def _builds(template: EmailTemplate, version: TemplateVersion, published: Published) -> list[Build]:
    _check(template, version)
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
    return made


def _placed(fault: FieldError, locale: str | None) -> FieldError:
    """A fault of a variant's part, named as the request names it."""
    if locale is None or fault.field not in ("subject", "html", "text"):
        return fault
    return FieldError(f"variants.{locale}.{fault.field}", fault.code, fault.message)


def _rebuild(piece: EmailTemplate, published: Published) -> None:
    """Build anew what uses a layout or partial that changes. A fault in one of them refuses the change."""
    faults = []
    for template in _users(piece):
        version = template.versions.get(number=template.published_version)
        try:
            _store(template, version, _builds(template, version, published))
        except ValidationFailed as refused:
            faults += [
                FieldError(fault.field, fault.code, f"In {template.key}: {fault.message}") for fault in refused.errors
            ]
    if faults:
        raise ValidationFailed(faults)


def _users(template: EmailTemplate) -> Any:
    others = EmailTemplate.objects.filter(account_id=template.account_id, published_version__isnull=False)
    return others.filter(uses__contains=[template.key]).exclude(pk=template.pk)


def _store(template: EmailTemplate, version: TemplateVersion, builds: Iterable[Build]) -> None:
    builds = list(builds)
    template.uses = sorted({key for build in builds for key in build.uses})
    template.save(update_fields=["uses", "published_version", "updated_at"])
    if template.kind == _Kind.TEMPLATE:
        TemplateBuild.objects.filter(template=template).delete()
        TemplateBuild.objects.bulk_create(_row(template, version, build) for build in builds)


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
