"""The versions of a template: which is used, what differs between two, publishing one, rolling back."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _

from messaging.models import TemplateVersion
from messaging.templating import comparing, publishing
from messaging.templating.publishing import Change
from sendarix.core.errors import ApiError
from sendarix.dashboard import wording
from sendarix.dashboard.views.templates import TemplatePage

SHOWN = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A version with its standing: published, draft or retired."""

    version: TemplateVersion
    status: str


class Versions(TemplatePage):
    actions = {"GET": "templates.view"}

    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        template = self.one(key)
        newest = template.versions.order_by("-number").defer("subject", "html", "text", "variables", "variants")
        rows = [Row(version, self._status(version, template.published_version)) for version in newest[:SHOWN]]
        context = {"template": template, "rows": rows, **self._compared(template)}
        return self.render("dashboard/templates/versions.html", context)

    def _status(self, version: TemplateVersion, published: int | None) -> str:
        if version.number == published:
            return "published"
        return "retired" if version.published_at else "draft"

    def _compared(self, template: Any) -> dict[str, Any]:
        """By default the newest with the published one, or with the one before."""
        new = _number(self.request.GET.get("new")) or template.latest_version
        before = template.published_version if template.published_version != new else new - 1
        old = _number(self.request.GET.get("old")) or before or new - 1
        found = {version.number: version for version in template.versions.filter(number__in=[old, new])}
        both = old in found and new in found
        return {"old": old, "new": new, "differences": comparing.compare(found[old], found[new]) if both else None}


def _number(text: str | None) -> int | None:
    """A version's number; None for anything else."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 8 else None


class Publication(TemplatePage):
    """Publishes a draft, or again a version that was published before."""

    actions = {"POST": "templates.write"}

    def post(self, request: HttpRequest, key: str) -> HttpResponse:
        number = _number(request.POST.get("version")) or 0
        version = publishing.version_of(self.one(key), number)
        try:
            change = self._publish(key, version)
        except ApiError as refused:
            for message in [fault.message for fault in refused.errors] or [refused.message]:
                messages.error(request, wording.said(message))
            return self.to("template-versions", key)
        messages.success(request, _("Version %(n)s is published. Messages use it from now on.") % {"n": number})
        for warning in change.warnings:
            messages.warning(request, wording.said(warning["message"]))
        return self.to("template-versions", key)

    def _publish(self, key: str, version: TemplateVersion) -> Change:
        act = publishing.publish if version.published_at is None else publishing.roll_back
        return act(self.visit.actor, self.visit.account.pk, key, version.number)


urlpatterns = [
    path("templates/<str:key>/versions", Versions.as_view(), name="template-versions"),
    path("templates/<str:key>/publish", Publication.as_view(), name="template-publish"),
]
