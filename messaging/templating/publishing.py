"""Templates from their first draft to their deletion. Publishing builds a version with the layouts and partials published at that
time; publishing one of those rebuilds every published template that uses it, in the same transaction, or changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from messaging.models import EmailTemplate, TemplateVersion
from messaging.templating import building, publication
from messaging.templating.publication import Publication
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account
from sendarix.core import ids
from sendarix.core.errors import Conflict, FieldError, NotFound, ValidationFailed

MAX_TEMPLATES = 5_000  # of one account
MAX_VERSIONS = 1_000  # of one template
TRIES = 10
"""How often a change is prepared anew because another one came first."""
_Kind = EmailTemplate.Kind
_NO_VERSION = "There is no such version."


@dataclass(frozen=True, slots=True)
class Change:
    """What a call made of a template: the version it was about, and warnings {code, message} when one was published."""

    template: EmailTemplate
    version: TemplateVersion
    warnings: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A change that is checked and built, and not written. `seen` is the state of the template it starts from."""

    template: EmailTemplate
    version: TemplateVersion
    publication: Publication | None
    seen: tuple | None


def create(actor: Actor, account_id: int, key: str, kind: str, content: dict[str, Any], publish: bool) -> Change:
    """A template with its first version. Raises Conflict when the key is taken, ValidationFailed with every fault."""

    def prepare() -> _Prepared:
        _refuse_new(account_id, key)
        template = EmailTemplate(id=ids.new("tpl"), account_id=account_id, key=key, kind=kind)
        version = TemplateVersion(template=template, number=1, created_by=actor.id, **content)
        return _prepared(template, version, publish, None)

    def write(change: _Prepared) -> None:
        change.template.save(force_insert=True)
        change.version.save()
        audit.record(actor, "template.created", key, after={"kind": kind, "version": 1})

    return _settle(actor, account_id, key, prepare, write)


def edit(actor: Actor, account_id: int, key: str, content: dict[str, Any], publish: bool) -> Change:
    """The draft with these fields changed; when there is none, one is made of the newest version."""

    def prepare() -> _Prepared:
        template = one(account_id, key)
        version = template.versions.get(number=template.latest_version)
        if version.published_at is not None:
            if version.number >= MAX_VERSIONS:
                raise Conflict(f"A template has at most {MAX_VERSIONS:,} versions.")
            version = _copy(actor, version)
        for name, value in content.items():
            setattr(version, name, value)
        return _prepared(template, version, publish, _state(template))

    def write(change: _Prepared) -> None:
        change.version.updated_at = change.template.updated_at = datetime.now(UTC)
        change.version.save()
        change.template.latest_version = change.version.number
        change.template.save(update_fields=["latest_version", "updated_at"])

    return _settle(actor, account_id, key, prepare, write)


def save(actor: Actor, account_id: int, key: str, content: dict[str, Any]) -> Change:
    """A draft with these fields: of the template with this key, or of a new one."""
    if EmailTemplate.objects.filter(account_id=account_id, key=key).exists():
        return edit(actor, account_id, key, content, publish=False)
    return create(actor, account_id, key, _Kind.TEMPLATE, content, publish=False)


def publish(actor: Actor, account_id: int, key: str, number: int | None) -> Change:
    """Make a version (the newest, unless named) the one that messages use."""

    def prepare() -> _Prepared:
        template = one(account_id, key)
        version = version_of(template, number or template.latest_version)
        return _prepared(template, version, True, _state(template))

    return _settle(actor, account_id, key, prepare)


def roll_back(actor: Actor, account_id: int, key: str, number: int) -> Change:
    """Publish again a version that was published before; drafts and later versions stay. Raises Conflict for any other."""

    def prepare() -> _Prepared:
        template = one(account_id, key)
        version = version_of(template, number)
        if version.published_at is None:
            raise Conflict(f"Version {number} was never published; publish it instead.")
        return _prepared(template, version, True, _state(template))

    return _settle(actor, account_id, key, prepare, action="template.rolled_back")


def delete(actor: Actor, account_id: int, key: str) -> EmailTemplate:
    """Remove a template with all its versions. Raises Conflict while published templates use it."""
    with transaction.atomic():
        _lock(account_id)
        template = one(account_id, key)
        if users := list(publication.users_of(template).values_list("key", flat=True).order_by("key")[:5]):
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


def _prepared(template: EmailTemplate, version: TemplateVersion, publish: bool, seen: tuple | None) -> _Prepared:
    _check(template, version)
    return _Prepared(template, version, publication.prepare(template, version) if publish else None, seen)


def _settle(
    actor: Actor,
    account_id: int,
    key: str,
    prepare: Callable[[], _Prepared],
    write: Callable[[_Prepared], None] = lambda change: None,
    *,
    action: str = "template.published",
) -> Change:
    """Prepare a change outside any transaction, write it under the account's lock if all it was made of is still so, and else try
    again. Raises Conflict when that never is."""
    for _ in range(TRIES):
        change = prepare()
        with transaction.atomic():
            _lock(account_id)
            found = EmailTemplate.objects.filter(account_id=account_id, key=key).first()
            if (found and _state(found)) != change.seen or (
                change.publication and not publication.holds(change.publication)
            ):
                continue
            write(change)
            if change.publication:
                _publish(actor, change.publication, action)
            warnings = change.publication.warnings if change.publication else []
            return Change(*_fresh(change.template, change.version), warnings)
    raise Conflict("Other changes of these templates keep coming first; try again.", retry_after=1)


def _state(template: EmailTemplate) -> tuple:
    """Different after every change of the template or of its draft."""
    return template.pk, template.latest_version, template.published_version, template.updated_at


def _refuse_new(account_id: int, key: str) -> None:
    found = EmailTemplate.objects.filter(account_id=account_id)
    if found.filter(key=key).exists():
        raise Conflict(f"This account has a template with the key {key} already.")
    if found.count() >= MAX_TEMPLATES:
        raise Conflict(f"An account has at most {MAX_TEMPLATES:,} templates.")


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


def _publish(actor: Actor, prepared: Publication, action: str) -> None:
    template, version = prepared.published.template, prepared.published.version
    before = template.published_version
    version.published_at = template.updated_at = datetime.now(UTC)
    template.published_version = version.number
    version.save(update_fields=["published_at"])
    template.save(update_fields=["published_version", "updated_at"])
    publication.store(prepared)
    audit.record(actor, action, template.key, before={"version": before}, after={"version": version.number})
