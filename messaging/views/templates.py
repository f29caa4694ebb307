"""/v1/templates: templates, layouts and partials of an account, their versions, publishing, previews and imports."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from messaging.models import EmailTemplate, TemplateVersion
from messaging.templating import importing, previewing, publishing
from messaging.templating.publishing import Change
from messaging.templating.rendering import PARTS
from messaging.views import template_calls as calls
from messaging.views.template_shapes import (
    ContentShape,
    PublishShape,
    RenderShape,
    RollbackShape,
    TemplateImportShape,
    TemplateQuery,
    TemplateShape,
    VersionQuery,
)
from sendarix.accounts.api import ApiView
from sendarix.core import pagination
from sendarix.core.answers import answer
from sendarix.core.errors import NotFound, ValidationFailed
from sendarix.core.pagination import cursor_part
from sendarix.core.times import zulu


class Templates(ApiView):
    scopes = {"GET": "templates:read", "POST": "templates:write"}
    queries = {"GET": TemplateQuery}
    calls = {"GET": calls.LIST, "POST": calls.CREATE}

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.query(TemplateQuery)
        found = EmailTemplate.objects.filter(account_id=self.key.account_id).order_by("-id")
        if asked.kind:
            found = found.filter(kind=asked.kind)
        if asked.cursor:
            found = found.filter(id__lt=pagination.decode_cursor(asked.cursor, 1)[0])
        rows = list(found[: asked.limit + 1])
        return answer(pagination.page(rows, asked.limit, lambda row: pagination.encode_cursor(row.id), _template))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.read(TemplateShape)
        account = self.key.account_id
        made = publishing.create(self.actor, account, asked.key, asked.kind, asked.content(), asked.publish)
        return answer(_changed(made, asked.publish), 201)


class TemplateByKey(ApiView):
    scopes = {"GET": "templates:read", "PATCH": "templates:write", "DELETE": "templates:write"}
    calls = {"GET": calls.GET, "PATCH": calls.CHANGE, "DELETE": calls.DELETE}

    def get(self, request: HttpRequest, template_key: str) -> HttpResponse:
        template = publishing.one(self.key.account_id, template_key)
        version = publishing.version_of(template, template.latest_version)
        return answer(_changed(Change(template, version), False))

    def patch(self, request: HttpRequest, template_key: str) -> HttpResponse:
        asked = self.read(ContentShape)
        made = publishing.edit(self.actor, self.key.account_id, template_key, asked.content(), asked.publish)
        return answer(_changed(made, asked.publish))

    def delete(self, request: HttpRequest, template_key: str) -> HttpResponse:
        publishing.delete(self.actor, self.key.account_id, template_key)
        return answer({"key": template_key, "deleted": True})


class Versions(ApiView):
    scopes = {"GET": "templates:read"}
    queries = {"GET": VersionQuery}
    calls = {"GET": calls.VERSIONS}

    def get(self, request: HttpRequest, template_key: str) -> HttpResponse:
        asked = self.query(VersionQuery)
        template = publishing.one(self.key.account_id, template_key)
        found = template.versions.order_by("-number").defer("subject", "html", "text", "variables")
        if asked.cursor:
            before = cursor_part(_small, pagination.decode_cursor(asked.cursor, 1)[0])
            found = found.filter(number__lt=before)
        rows = list(found[: asked.limit + 1])
        return answer(
            pagination.page(
                rows, asked.limit, lambda row: pagination.encode_cursor(row.number), lambda row: _summary(template, row)
            )
        )


class VersionByNumber(ApiView):
    scopes = {"GET": "templates:read"}
    calls = {"GET": calls.VERSION}

    def get(self, request: HttpRequest, template_key: str, version: str) -> HttpResponse:
        template = publishing.one(self.key.account_id, template_key)
        if not (version.isascii() and version.isdecimal() and len(version) < 8):
            raise NotFound
        return answer(_version(template, publishing.version_of(template, int(version))))


class Publish(ApiView):
    scopes = {"POST": "templates:write"}
    calls = {"POST": calls.PUBLISH}

    def post(self, request: HttpRequest, template_key: str) -> HttpResponse:
        number = self.read(PublishShape).version
        return answer(_changed(publishing.publish(self.actor, self.key.account_id, template_key, number), True))


class Rollback(ApiView):
    scopes = {"POST": "templates:write"}
    calls = {"POST": calls.ROLL_BACK}

    def post(self, request: HttpRequest, template_key: str) -> HttpResponse:
        number = self.read(RollbackShape).version
        return answer(_changed(publishing.roll_back(self.actor, self.key.account_id, template_key, number), True))


class Render(ApiView):
    scopes = {"POST": "templates:read"}
    calls = {"POST": calls.RENDER}

    def post(self, request: HttpRequest, template_key: str) -> HttpResponse:
        asked = self.read(RenderShape)
        template = publishing.one(self.key.account_id, template_key)
        version = publishing.version_of(template, asked.version or template.latest_version)
        shown = previewing.preview(template, version, asked.locale, asked.template_data)
        parts = {part: getattr(shown.rendered, part) for part in PARTS}
        return answer({"version": version.number, "locale": shown.locale, **parts, "warnings": shown.warnings})


class Import(ApiView):
    scopes = {"POST": "templates:write"}
    calls = {"POST": calls.IMPORT}

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.read(TemplateImportShape)
        made = importing.convert(asked.source, {part: getattr(asked, part) for part in PARTS}, asked.template_data)
        if made.faults:
            raise ValidationFailed(made.faults)
        saved = None
        if asked.save_as:
            saved = publishing.save(self.actor, self.key.account_id, asked.save_as, dict(made.parts))
        else:
            previewing.check(made.parts)
        shown = {
            "variables": [{"name": name, "type": kind} for name, kind in made.types.items()],
            "partials": list(made.partials),
            "warnings": list(made.warnings),
            "saved": _changed(saved, False) if saved else None,
        }
        return answer({part: made.parts.get(part) for part in PARTS} | shown)


def _small(text: str) -> int:
    number = int(text)
    if abs(number) > 2**31 - 1:
        raise ValueError(text)
    return number


def _changed(change: Change, published: bool) -> dict[str, Any]:
    shown = {**_template(change.template), "version": _version(change.template, change.version)}
    return {**shown, "warnings": change.warnings} if published else shown


def _template(template: EmailTemplate) -> dict[str, Any]:
    return {
        "template_id": template.id,
        "key": template.key,
        "kind": str(template.kind),
        "published_version": template.published_version,
        "latest_version": template.latest_version,
        "uses": template.uses,
        "created_at": zulu(template.created_at),
        "updated_at": zulu(template.updated_at),
    }


def _summary(template: EmailTemplate, version: TemplateVersion) -> dict[str, Any]:
    status = "retired" if version.published_at else "draft"
    return {
        "version": version.number,
        "status": "published" if version.number == template.published_version else status,
        "locales": [*filter(None, [version.default_locale]), *version.variants],
        "created_by": version.created_by,
        "created_at": zulu(version.created_at),
        "updated_at": zulu(version.updated_at),
        "published_at": zulu(version.published_at),
    }


def _version(template: EmailTemplate, version: TemplateVersion) -> dict[str, Any]:
    return {
        **_summary(template, version),
        "layout": version.layout,
        "from": version.default_sender or None,
        "default_locale": version.default_locale,
        "subject": version.subject,
        "html": version.html,
        "text": version.text,
        "variants": version.variants,
        "variables": version.variables,
    }
